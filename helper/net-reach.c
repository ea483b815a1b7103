/* SPDX-License-Identifier: BSD-3-Clause */
/* allow and deny as rules that do not overlap. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "helper/net-elements.h"

#define PORT_MAX 65535

typedef struct list {
	net_reach *items;
	size_t n;
} list;

static int add(list *to, const net_reach *item)
{
	net_reach *grown = nsb_grow(to->items, to->n, sizeof(*item));

	if (grown == NULL)
		return -ENOMEM;
	to->items = grown;
	to->items[to->n++] = *item;
	return 0;
}

/* Ports without a protocol are those of TCP and of UDP. */
static int add_rule(list *to, const nsb_rule *rule, int family)
{
	static const int numbers[] = {
		[NSB_PROTOCOL_ANY] = 0, [NSB_PROTOCOL_TCP] = IPPROTO_TCP, [NSB_PROTOCOL_UDP] = IPPROTO_UDP
	};
	net_reach item = { .peer = rule->peer, .network = { .family = family }, .last = PORT_MAX };
	int r;

	if (rule->peer == NSB_PEER_ADDRESS && rule->network.family != family)
		return 0;
	if (rule->peer == NSB_PEER_ADDRESS)
		item.network = rule->network;
	if (rule->peer == NSB_PEER_ANY)
		item.peer = NSB_PEER_ADDRESS;
	if (rule->ports) {
		item.first = rule->first;
		item.last = rule->last;
	}
	if (rule->protocol == NSB_PROTOCOL_ICMP)
		item.protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	else
		item.protocol = numbers[rule->protocol];
	if (!rule->ports || item.protocol != 0)
		return add(to, &item);
	item.protocol = IPPROTO_TCP;
	r = add(to, &item);
	item.protocol = IPPROTO_UDP;
	return r < 0 ? r : add(to, &item);
}

/* Those that hold more come first: all protocols before one, short prefixes before long ones. */
static int compare(const void *left, const void *right)
{
	const net_reach *a = left, *b = right;

	if ((a->protocol == 0) != (b->protocol == 0))
		return a->protocol == 0 ? -1 : 1;
	if (a->network.prefix != b->network.prefix)
		return a->network.prefix < b->network.prefix ? -1 : 1;
	return a->first < b->first ? -1 : a->first > b->first;
}

/* What `item` holds beyond those of `to` from number i on: nothing, or it is less, or it falls in two. */
static int add_beyond(list *to, size_t i, net_reach item)
{
	for (; i < to->n; i++) {
		const net_reach *other = &to->items[i];
		net_reach below = item;
		int r;

		/* networks lie in each other or apart, and the wider one is in the list already */
		if (other->peer != item.peer || other->network.prefix > item.network.prefix ||
		    !nsb_network_has(&other->network, &item.network) ||
		    (other->protocol != 0 && other->protocol != item.protocol))
			continue;
		if (other->protocol == 0)
			return 0;
		if (other->last < item.first || other->first > item.last)
			continue;
		if (other->first > item.first) {
			unsigned last = other->last;

			below.last = other->first - 1;
			r = add_beyond(to, i + 1, below);
			if (r < 0 || last >= item.last)
				return r;
			item.first = last + 1;
			continue;
		}
		if (other->last >= item.last)
			return 0;
		item.first = other->last + 1;
	}
	return add(to, &item);
}

int net_reach_list(const char words[][NSB_RECORD_WORD], size_t n_words, int family, net_reach **ret, size_t *ret_n)
{
	list all = { 0 }, apart = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_words; i++) {
		nsb_rule rule;

		r = nsb_rule_parse(words[i], &rule, NULL);
		if (r == 0)
			r = add_rule(&all, &rule, family);
	}
	if (r == 0 && all.n > 0)
		qsort(all.items, all.n, sizeof(*all.items), compare);
	for (size_t i = 0; r == 0 && i < all.n; i++)
		r = add_beyond(&apart, 0, all.items[i]);
	free(all.items);
	if (r < 0) {
		free(apart.items);
		return r;
	}
	*ret = apart.items;
	*ret_n = apart.n;
	return 0;
}
