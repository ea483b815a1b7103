/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of the configuration that are about the network. */
#include "common/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/expand.h"
#include "common/string-util.h"

#define RATE_LEAST    8000LL /* bits per second */
#define RATE_MOST     1000000000000LL
#define POOL_BITS_MIN 2 /* of the host part: a network of four addresses has two for boxes */

static const struct {
	const char *word;
	nsb_network kind;
	bool target;
} kinds[] = {
	{ "loopback", NSB_NETWORK_LOOPBACK, false }, { "host", NSB_NETWORK_HOST, false },
	{ "veth", NSB_NETWORK_VETH, false },	     { "bridge:", NSB_NETWORK_BRIDGE, true },
	{ "netns:", NSB_NETWORK_NETNS, true },	     { "join:", NSB_NETWORK_JOIN, true },
};

/* The index of its kind, or -1. */
static int find_kind(const char *word, const char **ret_target)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *rest = nsb_after_prefix(word, kinds[i].word);

		if (rest == NULL || (rest[0] != '\0') != kinds[i].target)
			continue;
		if (ret_target != NULL)
			*ret_target = rest;
		return (int)i;
	}
	return -1;
}

nsb_network nsb_network_kind(const char *word, const char **ret_target)
{
	int i;

	if (ret_target != NULL)
		*ret_target = "";
	i = find_kind(word, ret_target);
	return i < 0 ? NSB_NETWORK_LOOPBACK : kinds[i].kind;
}

/* A name that is a file's below /run/netns, or a link's. */
static int check_name(const char *word, const char *name, size_t max, nsb_error *error)
{
	if (!nsb_is_plain_name(name, max))
		return nsb_error_set(error, EINVAL, "\"%.128s\": the name takes 1 to %zu of A-Z a-z 0-9 . _ -", word,
				     max);
	return 0;
}

int nsb_check_network(const char *word, nsb_error *error)
{
	const char *target = "";
	int i = find_kind(word, &target);

	if (i < 0)
		return nsb_error_set(
			error, EINVAL,
			"\"%.128s\" is not one of loopback, host, veth, bridge:NAME, netns:NAME, join:USER", word);
	switch (kinds[i].kind) {
	case NSB_NETWORK_BRIDGE:
		return check_name(word, target, NSB_LINK_NAME_MAX, error);
	case NSB_NETWORK_NETNS:
		return check_name(word, target, 64, error);
	case NSB_NETWORK_JOIN:
		return nsb_expand_check(target, error);
	default:
		return 0;
	}
}

/* Addresses that no box can have: not routed by the kernel, or not of one host. RFC 6890. */
static const char *reserved_in(const nsb_address *pool)
{
	static const char *const networks[] = { "0.0.0.0/8",	   "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
						"255.255.255.255", "::/8",	  "fe80::/10",	    "ff00::/8" };

	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		nsb_address network;

		if (nsb_network_parse(networks[i], &network, NULL) == 0 && network.family == pool->family &&
		    nsb_networks_overlap(&network, pool))
			return networks[i];
	}
	return NULL;
}

int nsb_check_network_pool(const char *word, nsb_error *error)
{
	const char *reserved;
	nsb_address pool;
	int r = nsb_network_parse(word, &pool, error);

	if (r < 0)
		return r;
	if (pool.prefix + POOL_BITS_MIN > nsb_address_width(pool.family) || pool.prefix == 0)
		return nsb_error_set(error, EINVAL,
				     "\"%.128s\" is no pool: write NETWORK/PREFIX with a prefix from 1 to %u", word,
				     nsb_address_width(pool.family) - POOL_BITS_MIN);
	reserved = reserved_in(&pool);
	if (reserved != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\" overlaps %s, of which no box can have an address", word,
				     reserved);
	return 0;
}

/* "N" or "N-M". */
static int parse_ports(const char *text, nsb_rule *rule)
{
	char first[8];
	size_t length = strcspn(text, "-");
	uint64_t from, to;

	if (length >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, length);
	first[length] = '\0';
	if (nsb_parse_u64(first, UINT16_MAX, &from) < 0 || from == 0)
		return -EINVAL;
	to = from;
	if (text[length] == '-' && (nsb_parse_u64(text + length + 1, UINT16_MAX, &to) < 0 || to < from))
		return -EINVAL;
	rule->ports = true;
	rule->first = (uint16_t)from;
	rule->last = (uint16_t)to;
	return 0;
}

static int parse_protocol(const char *text, nsb_rule_protocol *ret)
{
	static const struct {
		const char *word;
		nsb_rule_protocol protocol;
	} protocols[] = { { "tcp", NSB_PROTOCOL_TCP }, { "udp", NSB_PROTOCOL_UDP }, { "icmp", NSB_PROTOCOL_ICMP } };

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(protocols[i].word, text) == 0) {
			*ret = protocols[i].protocol;
			return 0;
		}
	return -EINVAL;
}

static int no_rule(const char *word, nsb_error *error)
{
	return nsb_error_set(
		error, EINVAL,
		"\"%.128s\" is no rule: write PEER, PEER:PORT, PEER:PORT-PORT, each perhaps with /tcp, /udp "
		"or /icmp behind it; PEER is host, boxes, any, ADDRESS or ADDRESS/PREFIX (in brackets before "
		"a port where it is IPv6: [fd00::/8]:443)",
		word);
}

/* What stands before the port. */
static int parse_peer(const char *peer, nsb_rule *rule, nsb_error *error)
{
	static const char *const words[] = {
		[NSB_PEER_HOST] = "host", [NSB_PEER_BOXES] = "boxes", [NSB_PEER_ANY] = "any"
	};

	for (nsb_rule_peer i = NSB_PEER_HOST; i <= NSB_PEER_ANY; i++)
		if (strcmp(words[i], peer) == 0) {
			rule->peer = i;
			return 0;
		}
	rule->peer = NSB_PEER_ADDRESS;
	return nsb_network_parse(peer, &rule->network, error);
}

/* Takes "/PROTOCOL" off the end, where it is one and no prefix length. */
static int take_protocol(char *text, nsb_rule *rule)
{
	char *slash = strrchr(text, '/');

	if (slash == NULL || strchr(slash, ']') != NULL || (slash[1] >= '0' && slash[1] <= '9'))
		return 0;
	*slash = '\0';
	return parse_protocol(slash + 1, &rule->protocol);
}

/* Takes ":PORTS" off the end: in IPv6 addresses there are colons too, so those must be in brackets. */
static int take_ports(char *text, char **ret_peer, nsb_rule *rule)
{
	char *colon;

	*ret_peer = text;
	if (text[0] == '[') {
		char *bracket = strchr(text, ']');

		if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':'))
			return -EINVAL;
		colon = bracket[1] == ':' ? bracket + 1 : NULL;
		*bracket = '\0';
		*ret_peer = text + 1;
	} else {
		colon = strchr(text, ':');
		if (colon != NULL && strchr(colon + 1, ':') != NULL)
			return 0; /* an IPv6 address by itself */
	}
	if (colon == NULL)
		return 0;
	*colon = '\0';
	return parse_ports(colon + 1, rule);
}

int nsb_rule_parse(const char *word, nsb_rule *ret, nsb_error *error)
{
	char copy[NSB_RECORD_WORD], *peer = copy;
	nsb_rule rule = { 0 };
	int r;

	if (strlen(word) >= sizeof(copy))
		return no_rule(word, error);
	snprintf(copy, sizeof(copy), "%s", word);
	if (take_protocol(copy, &rule) < 0 || take_ports(copy, &peer, &rule) < 0)
		return no_rule(word, error);
	r = parse_peer(peer, &rule, NULL);
	if (r < 0)
		return strchr(peer, '/') != NULL ? nsb_network_parse(peer, &rule.network, error) : no_rule(word, error);
	if (rule.ports && rule.protocol == NSB_PROTOCOL_ICMP)
		return nsb_error_set(error, EINVAL, "\"%.128s\": ICMP has no ports", word);
	/* brackets are for IPv6 alone: "[host]:53" is no host */
	if (peer != copy && strchr(peer, ':') == NULL)
		return no_rule(word, error);
	*ret = rule;
	return 0;
}

int nsb_check_rule(const char *word, nsb_error *error)
{
	nsb_rule rule;

	return nsb_rule_parse(word, &rule, error);
}

int nsb_publish_parse(const char *word, nsb_publish *ret, nsb_error *error)
{
	nsb_publish publish = { .protocol = NSB_PROTOCOL_TCP };
	size_t length = strcspn(word, ":"), rest = word[length] == ':' ? strcspn(word + length + 1, "/") : 0;
	char host[8] = "", box[8] = "";
	const char *slash = word[length] == ':' ? word + length + 1 + rest : "";
	uint64_t from = 0, to = 0;

	if (length < sizeof(host) && rest < sizeof(box)) {
		snprintf(host, sizeof(host), "%.*s", (int)length, word);
		snprintf(box, sizeof(box), "%.*s", (int)rest, rest > 0 ? word + length + 1 : "");
	}
	if (nsb_parse_u64(host, UINT16_MAX, &from) < 0 || nsb_parse_u64(box, UINT16_MAX, &to) < 0 || from == 0 ||
	    to == 0 ||
	    (slash[0] == '/' &&
	     (parse_protocol(slash + 1, &publish.protocol) < 0 || publish.protocol == NSB_PROTOCOL_ICMP)))
		return nsb_error_set(
			error, EINVAL,
			"\"%.128s\" publishes nothing: write PORT:PORT, the host's and the box's, perhaps with "
			"/tcp or /udp behind them",
			word);
	publish.host = (uint16_t)from;
	publish.box = (uint16_t)to;
	*ret = publish;
	return 0;
}

int nsb_check_publish(const char *word, nsb_error *error)
{
	nsb_publish publish;

	return nsb_publish_parse(word, &publish, error);
}

int nsb_check_dns(const char *word, nsb_error *error)
{
	nsb_address address;

	if (strcmp(word, "host") == 0 || strcmp(word, "none") == 0 || nsb_address_parse(word, &address))
		return 0;
	return nsb_error_set(error, EINVAL, "\"%.128s\" is neither host nor none nor the address of a name server",
			     word);
}

int nsb_rate_parse(const char *text, int64_t *ret)
{
	static const struct {
		const char *word;
		int64_t bits;
	} units[] = { { "kbit", 1000 }, { "Mbit", 1000 * 1000 }, { "Gbit", 1000 * 1000 * 1000 } };
	size_t digits = strspn(text, "0123456789");
	char number[16];
	uint64_t value;
	int64_t rate;

	if (digits == 0 || digits >= sizeof(number))
		return digits == 0 ? -EINVAL : -ERANGE;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].word) != 0)
			continue;
		if (nsb_parse_u64(number, 1000LL * 1000 * 1000, &value) < 0)
			return -ERANGE;
		rate = (int64_t)value * units[i].bits;
		if (rate < RATE_LEAST || rate > RATE_MOST)
			return -ERANGE;
		*ret = rate;
		return 0;
	}
	return -EINVAL;
}
