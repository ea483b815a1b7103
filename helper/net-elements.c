/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/net-elements.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "helper/net-table.h"

/*
 * nft counts a second's worth and the burst (nft_limit.c). The burst must hold what comes in one piece: a buffer of TCP
 * segments that nobody has cut yet has up to 64 kB, and would never pass a smaller limit. The kernel multiplies the rate by
 * 10^9 in 64 bits: beyond 100 Gbit it is left out.
 */
#define BURST	 131072
#define RATE_MAX UINT64_C(100000000000)

typedef struct writer {
	const nsb_network_record *record;
	FILE *make, *renew, *published, *shut, *forget, *rest, *wake;
} writer;

/* What an element is for the box. */
enum kind {
	PART,  /* one of many */
	LEAVE, /* by which its packets are still known when all else is gone */
	OWN,   /* may exist once only */
};

/* `set`: "inet nsbox NAME"; `data`: what an element has behind its key, or "". */
static void element(writer *to, enum kind kind, const char *set, const char *key, const char *data)
{
	const char *verb = kind == PART ? "add" : "create";

	fprintf(to->make, "%s element %s { %s%s }\n", verb, set, key, data);
	fprintf(to->renew, "add element %s { %s%s }\n", set, key, data);
	fprintf(kind == LEAVE ? to->forget : to->shut, "delete element %s { %s }\n", set, key);
}

static unsigned char four_or_six(int family)
{
	return family == AF_INET ? '4' : '6';
}

/* The address without its prefix, whatever that is. */
static const char *plain(const nsb_address *address, char buffer[NSB_ADDRESS_SIZE])
{
	nsb_address alone = *address;

	alone.prefix = nsb_address_width(address->family);
	nsb_address_text(&alone, buffer);
	return buffer;
}

/* ---- one element each ---- */

static void put_layout(writer *to, const char *table)
{
	/* is there for ever */
	fprintf(to->make, "add element %s nsbox " NET_TABLE_LAYOUT " { 1 }\n", table);
	fprintf(to->renew, "add element %s nsbox " NET_TABLE_LAYOUT " { 1 }\n", table);
}

static void put_links(writer *to, const char *table)
{
	char set[32], key[32];

	snprintf(set, sizeof(set), "%s nsbox links", table);
	snprintf(key, sizeof(key), "\"%s\"", to->record->link);
	element(to, LEAVE, set, key, "");
}

static void put_own(writer *to, const char *table, const char *link, const nsb_address *address)
{
	char set[32], key[NSB_ADDRESS_SIZE + 32], text[NSB_ADDRESS_SIZE];

	snprintf(set, sizeof(set), "%s nsbox own%c", table, four_or_six(address->family));
	snprintf(key, sizeof(key), "\"%s\" . %s", link, plain(address, text));
	element(to, OWN, set, key, "");
}

static void put_rate(writer *to, const char *table)
{
	char set[32], key[32], limit[80];
	uint64_t bytes = to->record->rate / 8;

	if (to->record->rate == 0 || to->record->rate > RATE_MAX)
		return;
	snprintf(set, sizeof(set), "%s nsbox rates", table);
	snprintf(key, sizeof(key), "\"%s\"", to->record->link);
	snprintf(limit, sizeof(limit), " limit rate over %" PRIu64 " bytes/second burst %d bytes", bytes, BURST);
	element(to, PART, set, key, limit);
}

static void put_connections(writer *to, const nsb_address *address)
{
	char set[32], text[NSB_ADDRESS_SIZE], limit[48];

	if (to->record->connections == 0)
		return;
	snprintf(set, sizeof(set), "inet nsbox connections%c", four_or_six(address->family));
	snprintf(limit, sizeof(limit), " ct count over %" PRIu64, to->record->connections);
	element(to, PART, set, plain(address, text), limit);
}

static void put_rest(writer *to, const nsb_address *address)
{
	char text[NSB_ADDRESS_SIZE];

	plain(address, text);
	/* also where it is there already: its time begins anew */
	for (int i = 0; i < 3; i++)
		fprintf(to->rest, "%s element inet nsbox rest%c { %s }\n", i == 1 ? "delete" : "add",
			four_or_six(address->family), text);
	fprintf(to->wake, "delete element inet nsbox rest%c { %s }\n", four_or_six(address->family), text);
}

static void put_nat(writer *to, const nsb_address *address)
{
	char set[32], text[NSB_ADDRESS_SIZE];

	snprintf(set, sizeof(set), "inet nsbox nat%c", four_or_six(address->family));
	element(to, PART, set, plain(address, text), "");
}

static int put_publish(writer *to, const nsb_address *address)
{
	char set[32], key[32], data[NSB_ADDRESS_SIZE + 32], text[NSB_ADDRESS_SIZE];

	snprintf(set, sizeof(set), "inet nsbox publish%c", four_or_six(address->family));
	for (size_t i = 0; i < to->record->n_publish; i++) {
		nsb_publish publish;

		if (nsb_publish_parse(to->record->publish[i], &publish, NULL) < 0)
			return -EINVAL;
		snprintf(key, sizeof(key), "%d . %u", publish.protocol == NSB_PROTOCOL_UDP ? IPPROTO_UDP : IPPROTO_TCP,
			 publish.host);
		snprintf(data, sizeof(data), "%s . %u", plain(address, text), publish.box);
		fprintf(to->make, "add element %s { %s : %s }\n", set, key, data);
		fprintf(to->renew, "add element %s { %s : %s }\n", set, key, data);
		fprintf(to->published, "%s\t%s\t%s\n", set, key, data);
	}
	return 0;
}

/* ---- allow and deny ---- */

/* The address before or after, as if it were one large number. */
static nsb_address neighbour(nsb_address address, int step)
{
	for (int i = (int)nsb_address_width(address.family) / 8 - 1; i >= 0; i--) {
		address.bytes[i] = (unsigned char)(address.bytes[i] + step);
		if (address.bytes[i] != (step > 0 ? 0x00 : 0xff))
			break;
	}
	return address;
}

static nsb_address last_of(nsb_address network)
{
	for (unsigned bit = network.prefix; bit < nsb_address_width(network.family); bit++)
		network.bytes[bit / 8] |= (unsigned char)(0x80 >> bit % 8);
	return network;
}

/* "FIRST-LAST", or nothing if that is empty. */
static bool range(const nsb_address *first, const nsb_address *last, char *buffer, size_t size)
{
	char from[NSB_ADDRESS_SIZE], to[NSB_ADDRESS_SIZE];

	if (memcmp(first->bytes, last->bytes, sizeof(first->bytes)) > 0)
		return false;
	snprintf(buffer, size, "%s-%s", plain(first, from), plain(last, to));
	return true;
}

/* The network as one or two words, without the link-local addresses if it is wider than these: they are opened only by who
 * names them. Returns how many. */
static size_t without_link_local(const nsb_address *network, char words[2][2 * NSB_ADDRESS_SIZE])
{
	static const nsb_address local4 = { .family = AF_INET, .bytes = { 169, 254 }, .prefix = 16 },
				 local6 = { .family = AF_INET6, .bytes = { 0xfe, 0x80 }, .prefix = 10 };
	const nsb_address *local = network->family == AF_INET ? &local4 : &local6;
	nsb_address first = *network, before = neighbour(*local, -1), after = neighbour(last_of(*local), 1),
		    last = last_of(*network);
	size_t n = 0;

	if (network->prefix >= local->prefix || !nsb_network_has(network, local)) {
		nsb_address_text(network, words[0]);
		return 1;
	}
	n += range(&first, &before, words[n], sizeof(words[n])) ? 1 : 0;
	n += range(&after, &last, words[n], sizeof(words[n])) ? 1 : 0;
	return n;
}

static void put_reach(writer *to, const char *table, bool allow, const char *address, const net_reach *reach)
{
	static const char *const peers[] = {
		[NSB_PEER_ADDRESS] = "", [NSB_PEER_HOST] = "_host", [NSB_PEER_BOXES] = "_boxes"
	};
	bool all = reach->protocol == 0 && reach->peer == NSB_PEER_ADDRESS;
	char set[48], ports[48] = "", words[2][2 * NSB_ADDRESS_SIZE] = { "", "" }, key[3 * sizeof(words[0])];
	size_t n = 1;

	snprintf(set, sizeof(set), "%s nsbox %s%s%s%c", table, allow ? "allow" : "deny", peers[reach->peer],
		 all ? "_all" : "", four_or_six(reach->network.family));
	if (reach->protocol != 0)
		snprintf(ports, sizeof(ports), " . %d . %u-%u", reach->protocol, reach->first, reach->last);
	else if (!all)
		snprintf(ports, sizeof(ports), " . 0-255 . 0-65535");
	if (reach->peer == NSB_PEER_ADDRESS && allow)
		n = without_link_local(&reach->network, words);
	else if (reach->peer == NSB_PEER_ADDRESS)
		nsb_address_text(&reach->network, words[0]);
	for (size_t i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%s%s%s%s", address, words[i][0] == '\0' ? "" : " . ", words[i], ports);
		element(to, PART, set, key, "");
	}
}

/* The host and other boxes are only for the IP layer to tell, and refused where nothing allows them: no set for `deny`. */
static bool has_set(const char *table, bool allow, nsb_rule_peer peer)
{
	return peer == NSB_PEER_ADDRESS || (allow && strcmp(table, "inet") == 0);
}

static int put_rules(writer *to, const char *table, bool allow, const nsb_address *address)
{
	NSB_FREE net_reach *list = NULL;
	char text[NSB_ADDRESS_SIZE];
	size_t n = 0;
	int r;

	r = allow ? net_reach_list(to->record->allow, to->record->n_allow, address->family, &list, &n)
		  : net_reach_list(to->record->deny, to->record->n_deny, address->family, &list, &n);
	plain(address, text);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (has_set(table, allow, list[i].peer))
			put_reach(to, table, allow, text, &list[i]);
	return r;
}

/* ---- the tables ---- */

static int put_inet(writer *to, const nsb_address *address)
{
	const nsb_network_record *record = to->record;
	char set[32], text[NSB_ADDRESS_SIZE];
	int r;

	/* what comes from a box on a bridge has come from the bridge, for the IP layer */
	put_own(to, "inet", record->kind == NSB_NETWORK_BRIDGE ? record->bridge : record->link, address);
	snprintf(set, sizeof(set), "inet nsbox box%c", four_or_six(address->family));
	element(to, LEAVE, set, plain(address, text), "");
	put_rest(to, address);
	put_connections(to, address);
	if (record->nat)
		put_nat(to, address);
	r = put_publish(to, address);
	if (r == 0)
		r = put_rules(to, "inet", true, address);
	return r < 0 ? r : put_rules(to, "inet", false, address);
}

static int put_bridge_address(writer *to, const nsb_address *address)
{
	char set[32], text[NSB_ADDRESS_SIZE];
	int r;

	put_own(to, "bridge", to->record->link, address);
	snprintf(set, sizeof(set), "bridge nsbox box%c", four_or_six(address->family));
	element(to, PART, set, plain(address, text), "");
	r = put_rules(to, "bridge", true, address);
	return r < 0 ? r : put_rules(to, "bridge", false, address);
}

static void put_target(writer *to, const nsb_address *address)
{
	char key[80];
	size_t length = (size_t)snprintf(key, sizeof(key), "\"%s\" . 0x", to->record->link);

	for (size_t i = 0; i < 16; i++)
		length += (size_t)snprintf(key + length, sizeof(key) - length, "%02x", address->bytes[i]);
	element(to, PART, "bridge nsbox target6", key, "");
}

/* The link-local address that the box's end has from its MAC: RFC 4291, appendix A. */
static nsb_address link_local(const unsigned char mac[6])
{
	nsb_address address = { .family = AF_INET6, .bytes = { 0xfe, 0x80 }, .prefix = 128 };
	unsigned char *end = address.bytes + 8;

	memcpy(end, mac, 3);
	end[0] ^= 2;
	end[3] = 0xff;
	end[4] = 0xfe;
	memcpy(end + 5, mac + 3, 3);
	return address;
}

static void put_link_local(writer *to)
{
	nsb_address address = link_local(to->record->box_mac);

	put_own(to, "bridge", to->record->link, &address);
	put_target(to, &address);
}

static int put_bridge(writer *to)
{
	const nsb_network_record *record = to->record;
	const unsigned char *mac = record->box_mac;
	char key[64];
	int r = 0;

	put_layout(to, "bridge");
	put_links(to, "bridge");
	snprintf(key, sizeof(key), "\"%s\" . %02x:%02x:%02x:%02x:%02x:%02x", record->link, mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	element(to, OWN, "bridge nsbox mac", key, "");
	for (size_t i = 0; r == 0 && i < 2; i++) {
		if (record->address[i].family == 0)
			continue;
		r = put_bridge_address(to, &record->address[i]);
		if (record->address[i].family == AF_INET6) {
			put_target(to, &record->address[i]);
			put_link_local(to);
		}
	}
	put_rate(to, "bridge");
	return r;
}

static int put_all(writer *to)
{
	const nsb_network_record *record = to->record;
	int r = 0;

	put_layout(to, "inet");
	/* Also a bridge's port, which owns no address here: a bridge leaves frames for link-local groups (LLDP, STP) to the port
	 * itself, past the table of the bridge, and the host takes a packet in them for its own. */
	put_links(to, "inet");
	if (record->kind == NSB_NETWORK_VETH)
		put_rate(to, "inet");
	for (size_t i = 0; r == 0 && i < 2; i++)
		if (record->address[i].family != 0)
			r = put_inet(to, &record->address[i]);
	return r == 0 && record->kind == NSB_NETWORK_BRIDGE ? put_bridge(to) : r;
}

/* ---- the texts ---- */

int net_elements_make(const nsb_network_record *record, net_elements *ret)
{
	net_elements made = { 0 };
	writer to = { .record = record };
	const struct {
		FILE **file;
		char **text;
	} all[] = { { &to.make, &made.make }, { &to.renew, &made.renew },   { &to.published, &made.published },
		    { &to.shut, &made.shut }, { &to.forget, &made.forget }, { &to.rest, &made.rest },
		    { &to.wake, &made.wake } };
	size_t sizes[sizeof(all) / sizeof(all[0])], n = 0;
	int r = 0;

	for (; r == 0 && n < sizeof(all) / sizeof(all[0]); n++) {
		*all[n].file = open_memstream(all[n].text, &sizes[n]);
		r = *all[n].file == NULL ? -ENOMEM : 0;
	}
	if (r == 0)
		r = put_all(&to);
	for (size_t i = 0; i < n; i++)
		if (*all[i].file != NULL && fclose(*all[i].file) != 0)
			r = -ENOMEM;
	if (r < 0)
		net_elements_free(&made);
	else
		*ret = made;
	return r;
}

void net_elements_free(net_elements *elements)
{
	free(elements->make);
	free(elements->renew);
	free(elements->published);
	free(elements->shut);
	free(elements->forget);
	free(elements->rest);
	free(elements->wake);
	*elements = (net_elements){ 0 };
}
