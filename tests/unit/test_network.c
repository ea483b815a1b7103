/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and networks, the words of the configuration about the network, and the record of a box's network. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/fd-util.h"
#include "common/network.h"
#include "tests/unit/alloc-fail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

char *__real_strndup(const char *text, size_t size);
char *__wrap_strndup(const char *text, size_t size);

char *__wrap_strndup(const char *text, size_t size)
{
	return alloc_fails() ? NULL : __real_strndup(text, size);
}

/* ---- addresses ---- */

static nsb_address network(const char *text)
{
	nsb_address parsed;
	nsb_error error = { 0 };

	if (nsb_network_parse(text, &parsed, &error) != 0)
		fail_msg("%s: %s", text, error.words);
	return parsed;
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *same; /* NULL: none */
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "2001:DB8:0::1", "2001:db8::1" },
		{ "::", "::" },
		/* a listener on "::" reports IPv4 clients so */
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::192.0.2.1", "::192.0.2.1" },
		{ "192.0.2.1/32", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.01", NULL },
		{ "fe80::1%eth0", NULL },
		{ "[::1]", NULL },
		{ " ::1", NULL },
		{ "", NULL },
		{ "host", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[NSB_ADDRESS_SIZE];
		nsb_address parsed = { .family = -1 };

		if (nsb_address_parse(cases[i].text, &parsed) != (cases[i].same != NULL))
			fail_msg("%s", cases[i].text);
		if (cases[i].same == NULL) {
			assert_int_equal(parsed.family, -1);
			continue;
		}
		assert_int_equal(parsed.prefix, nsb_address_width(parsed.family));
		nsb_address_text(&parsed, text);
		assert_string_equal(text, cases[i].same);
	}
}

static void networks(void **state)
{
	static const struct {
		const char *text, *same, *words;
	} cases[] = {
		{ "10.0.0.0/8", "10.0.0.0/8", NULL },
		{ "10.1.2.3", "10.1.2.3", NULL },
		{ "10.1.2.3/32", "10.1.2.3", NULL },
		{ "0.0.0.0/0", "0.0.0.0/0", NULL },
		{ "::/0", "::/0", NULL },
		{ "fd00::/8", "fd00::/8", NULL },
		{ "2001:db8::1/128", "2001:db8::1", NULL },
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8", NULL },
		{ "::ffff:0.0.0.0/96", "0.0.0.0/0", NULL },
		{ "10.0.0.1/8", NULL, "has bits set beyond its prefix of 8" },
		{ "fd00::1/64", NULL, "has bits set beyond its prefix of 64" },
		{ "::ffff:0:0/95", NULL, "has bits set beyond its prefix of 95" },
		{ "10.0.0.0/33", NULL, "a number from 0 to 32" },
		{ "fd00::/129", NULL, "a number from 0 to 128" },
		{ "10.0.0.0/", NULL, "a number from 0 to 32" },
		{ "10.0.0.0/-1", NULL, "a number from 0 to 32" },
		{ "10.0.0.0/8/8", NULL, "a number from 0 to 32" },
		{ "10.0.0/8", NULL, "is not an IPv4 or IPv6 address" },
		{ "/8", NULL, "is not an IPv4 or IPv6 address" },
		{ "", NULL, "is not an IPv4 or IPv6 address" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[NSB_ADDRESS_SIZE];
		nsb_address parsed = { .family = -1 };
		nsb_error error = { 0 };
		int r = nsb_network_parse(cases[i].text, &parsed, &error);

		if (cases[i].same == NULL) {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(parsed.family, -1);
			if (strstr(error.words, cases[i].words) == NULL)
				fail_msg("%s: %s", cases[i].text, error.words);
			continue;
		}
		assert_int_equal(r, 0);
		nsb_address_text(&parsed, text);
		assert_string_equal(text, cases[i].same);
	}
}

/* Longer than any address. */
static void long_networks(void **state)
{
	char text[NSB_ADDRESS_SIZE + 8];
	nsb_address parsed;
	nsb_error error = { 0 };

	(void)state;
	memset(text, '1', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(nsb_network_parse(text, &parsed, &error), -EINVAL);
	assert_non_null(strstr(error.words, "is not an address"));
	text[NSB_ADDRESS_SIZE - 1] = '\0';
	assert_int_equal(nsb_network_parse(text, &parsed, NULL), -EINVAL);
}

static void inside(void **state)
{
	static const struct {
		const char *a, *b;
		bool has, overlap; /* a has b */
	} cases[] = {
		{ "10.0.0.0/8", "10.255.255.255", true, true },
		{ "10.0.0.0/8", "11.0.0.0", false, false },
		{ "10.0.0.0/9", "10.128.0.0", false, false },
		{ "10.1.0.0/16", "10.0.0.0/8", false, true },
		{ "10.0.0.0/8", "10.1.0.0/16", true, true },
		{ "0.0.0.0/0", "192.0.2.1", true, true },
		{ "0.0.0.0/0", "::1", false, false },
		{ "::/0", "192.0.2.1", false, false },
		{ "fd00::/8", "fdff::1", true, true },
		{ "192.0.2.1", "192.0.2.1", true, true },
		{ "192.0.2.1", "192.0.2.0", false, false },
		{ "2001:db8::/127", "2001:db8::1", true, true },
		{ "2001:db8::/127", "2001:db8::2", false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		nsb_address a = network(cases[i].a), b = network(cases[i].b);

		if (nsb_networks_overlap(&a, &b) != cases[i].overlap ||
		    nsb_networks_overlap(&b, &a) != cases[i].overlap)
			fail_msg("%s, %s overlap", cases[i].a, cases[i].b);
		if ((a.prefix <= b.prefix && nsb_network_has(&a, &b)) != cases[i].has)
			fail_msg("%s has %s", cases[i].a, cases[i].b);
	}
}

static void numbered(void **state)
{
	static const struct {
		const char *network;
		uint64_t index;
		const char *address;
	} cases[] = {
		{ "10.213.0.0/16", 0, "10.213.0.0" },
		{ "10.213.0.0/16", 1, "10.213.0.1" },
		{ "10.213.0.0/16", 256, "10.213.1.0" },
		{ "10.213.0.0/16", 65535, "10.213.255.255" },
		{ "192.0.2.8/30", 3, "192.0.2.11" },
		{ "128.0.0.0/1", 0x7fffffff, "255.255.255.255" },
		{ "fd00::/64", 0x123456789abcdefULL, "fd00::123:4567:89ab:cdef" },
		{ "fd00::/64", UINT64_MAX, "fd00::ffff:ffff:ffff:ffff" },
		{ "fd00::8/126", 2, "fd00::a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		nsb_address pool = network(cases[i].network), address = nsb_network_at(&pool, cases[i].index);
		char text[NSB_ADDRESS_SIZE];

		nsb_address_text(&address, text);
		assert_string_equal(text, cases[i].address);
		assert_true(nsb_network_has(&pool, &address));
	}
}

/* ---- words ---- */

static void kinds(void **state)
{
	static const struct {
		const char *word;
		nsb_network kind;
		const char *target;
	} good[] = {
		{ "loopback", NSB_NETWORK_LOOPBACK, "" },
		{ "host", NSB_NETWORK_HOST, "" },
		{ "veth", NSB_NETWORK_VETH, "" },
		{ "bridge:br0", NSB_NETWORK_BRIDGE, "br0" },
		{ "bridge:a-b_c.d89012345", NSB_NETWORK_BRIDGE, "a-b_c.d89012345" },
		{ "netns:lab", NSB_NETWORK_NETNS, "lab" },
		{ "join:alice", NSB_NETWORK_JOIN, "alice" },
		{ "join:%u-net", NSB_NETWORK_JOIN, "%u-net" },
	};
	static const char *const bad[] = {
		"",	      "Host",	    "loopback ", "hostx",    "veth:",	   "veth:x",  "bridge",
		"bridge:",    "bridge:a/b", "bridge:..", "bridge:.", "bridge:a:b", "netns:",  "netns:../x",
		"bridge:a b", "bridge:a%u", "join:",	 "join:%x",  "macvlan",	   "host:53", "bridge:1234567890123456"
	};
	const char *target;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		/* the longest name of a link has 15 bytes */
		bool fits = strlen(good[i].target) <= NSB_LINK_NAME_MAX;

		assert_int_equal(nsb_check_network(good[i].word, NULL), fits ? 0 : -EINVAL);
		assert_int_equal(nsb_network_kind(good[i].word, &target), good[i].kind);
		assert_string_equal(target, good[i].target);
		assert_int_equal(nsb_network_kind(good[i].word, NULL), good[i].kind);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		nsb_error error = { 0 };

		if (nsb_check_network(bad[i], &error) != -EINVAL || error.words[0] == '\0')
			fail_msg("%s: %s", bad[i], error.words);
	}
	/* what was not checked has no network */
	assert_int_equal(nsb_network_kind("nonsense", &target), NSB_NETWORK_LOOPBACK);
	assert_string_equal(target, "");
}

static void pools(void **state)
{
	static const char *const good[] = { "10.213.0.0/16", "192.0.2.8/30",	    "fd6e:7362:6f78::/64",
					    "fd00::/126",    "::ffff:10.0.0.0/104", "2000::/3" };
	static const struct {
		const char *word, *words;
	} bad[] = {
		{ "10.213.0.1", "is no pool: write NETWORK/PREFIX with a prefix from 1 to 30" },
		{ "10.213.0.0/31", "is no pool: write NETWORK/PREFIX with a prefix from 1 to 30" },
		{ "fd00::/127", "is no pool: write NETWORK/PREFIX with a prefix from 1 to 126" },
		{ "0.0.0.0/0", "is no pool" },
		{ "::/0", "is no pool" },
		{ "10.213.0.1/16", "has bits set beyond" },
		{ "veth", "is not an IPv4 or IPv6 address" },
		{ "169.254.8.0/24", "overlaps 169.254.0.0/16, of which no box can have an address" },
		{ "127.0.0.0/8", "overlaps 127.0.0.0/8" },
		{ "0.0.0.0/1", "overlaps 0.0.0.0/8" },
		{ "224.0.0.0/8", "overlaps 224.0.0.0/4" },
		{ "128.0.0.0/1", "overlaps 169.254.0.0/16" },
		{ "255.255.255.0/24", "overlaps 255.255.255.255" },
		{ "fe80::/64", "overlaps fe80::/10" },
		{ "ff02::/64", "overlaps ff00::/8" },
		{ "::/64", "overlaps ::/8" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(nsb_check_network_pool(good[i], NULL), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		nsb_error error = { 0 };

		assert_int_equal(nsb_check_network_pool(bad[i].word, &error), -EINVAL);
		if (strstr(error.words, bad[i].words) == NULL)
			fail_msg("%s: %s", bad[i].word, error.words);
	}
}

static void rules(void **state)
{
	static const struct {
		const char *word;
		nsb_rule_peer peer;
		const char *network; /* NULL: none */
		nsb_rule_protocol protocol;
		uint16_t first, last; /* 0: no ports */
	} cases[] = {
		{ "host", NSB_PEER_HOST, NULL, NSB_PROTOCOL_ANY, 0, 0 },
		{ "host:53", NSB_PEER_HOST, NULL, NSB_PROTOCOL_ANY, 53, 53 },
		{ "host:53/udp", NSB_PEER_HOST, NULL, NSB_PROTOCOL_UDP, 53, 53 },
		{ "host/icmp", NSB_PEER_HOST, NULL, NSB_PROTOCOL_ICMP, 0, 0 },
		{ "boxes:8000-8999/tcp", NSB_PEER_BOXES, NULL, NSB_PROTOCOL_TCP, 8000, 8999 },
		{ "any", NSB_PEER_ANY, NULL, NSB_PROTOCOL_ANY, 0, 0 },
		{ "any:1-65535", NSB_PEER_ANY, NULL, NSB_PROTOCOL_ANY, 1, 65535 },
		{ "any:7-7", NSB_PEER_ANY, NULL, NSB_PROTOCOL_ANY, 7, 7 },
		{ "10.0.0.0/8", NSB_PEER_ADDRESS, "10.0.0.0/8", NSB_PROTOCOL_ANY, 0, 0 },
		{ "10.0.0.0/8/tcp", NSB_PEER_ADDRESS, "10.0.0.0/8", NSB_PROTOCOL_TCP, 0, 0 },
		{ "10.0.0.0/8:443/tcp", NSB_PEER_ADDRESS, "10.0.0.0/8", NSB_PROTOCOL_TCP, 443, 443 },
		{ "10.0.0.1:443", NSB_PEER_ADDRESS, "10.0.0.1", NSB_PROTOCOL_ANY, 443, 443 },
		{ "10.0.0.1/udp", NSB_PEER_ADDRESS, "10.0.0.1", NSB_PROTOCOL_UDP, 0, 0 },
		{ "fd00::/8", NSB_PEER_ADDRESS, "fd00::/8", NSB_PROTOCOL_ANY, 0, 0 },
		{ "fd00::/8/icmp", NSB_PEER_ADDRESS, "fd00::/8", NSB_PROTOCOL_ICMP, 0, 0 },
		{ "[fd00::/8]:443", NSB_PEER_ADDRESS, "fd00::/8", NSB_PROTOCOL_ANY, 443, 443 },
		{ "[fd00::/8]:443/tcp", NSB_PEER_ADDRESS, "fd00::/8", NSB_PROTOCOL_TCP, 443, 443 },
		{ "[fd00::1]", NSB_PEER_ADDRESS, "fd00::1", NSB_PROTOCOL_ANY, 0, 0 },
		{ "[fd00::1]/tcp", NSB_PEER_ADDRESS, "fd00::1", NSB_PROTOCOL_TCP, 0, 0 },
		/* the price of the notation: brackets are what tells a port from the last part */
		{ "fd00::1:443", NSB_PEER_ADDRESS, "fd00::1:443", NSB_PROTOCOL_ANY, 0, 0 },
		{ "::ffff:10.0.0.1", NSB_PEER_ADDRESS, "10.0.0.1", NSB_PROTOCOL_ANY, 0, 0 },
		{ "[::ffff:10.0.0.1]:80", NSB_PEER_ADDRESS, "10.0.0.1", NSB_PROTOCOL_ANY, 80, 80 },
		{ "169.254.169.254:80/tcp", NSB_PEER_ADDRESS, "169.254.169.254", NSB_PROTOCOL_TCP, 80, 80 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		nsb_rule rule;
		nsb_error error = { 0 };
		char text[NSB_ADDRESS_SIZE] = "";

		if (nsb_rule_parse(cases[i].word, &rule, &error) != 0)
			fail_msg("%s: %s", cases[i].word, error.words);
		assert_int_equal(nsb_check_rule(cases[i].word, NULL), 0);
		assert_int_equal(rule.peer, cases[i].peer);
		assert_int_equal(rule.protocol, cases[i].protocol);
		assert_int_equal(rule.ports, cases[i].first != 0);
		assert_int_equal(rule.first, cases[i].first);
		assert_int_equal(rule.last, cases[i].last);
		if (cases[i].network == NULL)
			continue;
		nsb_address_text(&rule.network, text);
		assert_string_equal(text, cases[i].network);
	}
}

static void no_rules(void **state)
{
	static const struct {
		const char *word, *words;
	} cases[] = {
		{ "", "is no rule" },
		{ "hosts", "is no rule" },
		{ "host:", "is no rule" },
		{ "host:0", "is no rule" },
		{ "host:65536", "is no rule" },
		{ "host:53-", "is no rule" },
		{ "host:-53", "is no rule" },
		{ "host:90-80", "is no rule" },
		{ "host:80-90-95", "is no rule" },
		{ "host:0-5", "is no rule" },
		{ "host:00000000053", "is no rule" },
		{ "host:+53", "is no rule" },
		{ "host:53/", "is no rule" },
		{ "host:53/sctp", "is no rule" },
		{ "host:53/TCP", "is no rule" },
		{ "host/tcp:53", "is no rule" },
		{ "host:http", "is no rule" },
		{ "host:53/icmp", "ICMP has no ports" },
		{ "[host]:53", "is no rule" },
		{ "[any]", "is no rule" },
		{ "[10.0.0.1]:53", "is no rule" },
		{ "[fd00::1:53", "is no rule" },
		{ "[fd00::1]53", "is no rule" },
		{ "[fd00::1]]:53", "is no rule" },
		{ "[]:53", "is no rule" },
		{ "example.org:443", "is no rule" },
		{ "10.0.0.1/8:443", "has bits set beyond its prefix of 8" },
		{ "10.0.0.0/33", "must be a number from 0 to 32" },
		{ "fd00::/8:443", "must be a number from 0 to 128" },
		{ "host/8", "is not an IPv4 or IPv6 address" },
		{ "any;drop", "is no rule" },
		{ "any\n", "is no rule" },
		{ "host 53", "is no rule" },
		{ "hosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthosthost",
		  "is no rule" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		nsb_rule rule = { .first = 4711 };
		nsb_error error = { 0 };

		if (nsb_rule_parse(cases[i].word, &rule, &error) != -EINVAL || rule.first != 4711)
			fail_msg("%s is taken", cases[i].word);
		if (strstr(error.words, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].word, error.words);
	}
}

static void published(void **state)
{
	static const struct {
		const char *word;
		uint16_t host, box;
		nsb_rule_protocol protocol;
	} good[] = {
		{ "8080:80", 8080, 80, NSB_PROTOCOL_TCP },
		{ "8080:80/tcp", 8080, 80, NSB_PROTOCOL_TCP },
		{ "53:5353/udp", 53, 5353, NSB_PROTOCOL_UDP },
		{ "1:65535", 1, 65535, NSB_PROTOCOL_TCP },
	};
	static const char *const bad[] = {
		"",	    "80",     "80:",	    ":80",	   "0:80",	  "80:0",
		"80:65536", "80:80/", "80:80/icmp", "80:80/sctp",  "80-81:80",	  "80:80:80",
		"host:80",  " 80:80", "80/tcp:80",  "12345678:80", "80:12345678", "80:80/tcp/udp"
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		nsb_publish publish;

		assert_int_equal(nsb_publish_parse(good[i].word, &publish, NULL), 0);
		assert_int_equal(nsb_check_publish(good[i].word, NULL), 0);
		assert_int_equal(publish.host, good[i].host);
		assert_int_equal(publish.box, good[i].box);
		assert_int_equal(publish.protocol, good[i].protocol);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		nsb_publish publish = { .host = 4711 };
		nsb_error error = { 0 };

		if (nsb_publish_parse(bad[i], &publish, &error) != -EINVAL || publish.host != 4711)
			fail_msg("%s is taken", bad[i]);
		assert_non_null(strstr(error.words, "publishes nothing: write PORT:PORT"));
	}
}

static void rates(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t rate;
	} cases[] = {
		{ "8kbit", 0, 8000 },
		{ "500kbit", 0, 500000 },
		{ "20Mbit", 0, 20000000 },
		{ "1Gbit", 0, 1000000000 },
		{ "1000Gbit", 0, 1000000000000 },
		{ "1000000000kbit", 0, 1000000000000 },
		{ "7kbit", -ERANGE, 0 },
		{ "0Gbit", -ERANGE, 0 },
		{ "1001Gbit", -ERANGE, 0 },
		{ "1000000001kbit", -ERANGE, 0 },
		{ "9999999999999999Gbit", -ERANGE, 0 },
		{ "999999999999999Gbit", -ERANGE, 0 },
		{ "20", -EINVAL, 0 },
		{ "20mbit", -EINVAL, 0 },
		{ "20M", -EINVAL, 0 },
		{ "20MB", -EINVAL, 0 },
		{ "20Mbit/s", -EINVAL, 0 },
		{ "1.5Mbit", -EINVAL, 0 },
		{ "-1Mbit", -EINVAL, 0 },
		{ "Mbit", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t rate = 4711;

		if (nsb_rate_parse(cases[i].text, &rate) != cases[i].r ||
		    rate != (cases[i].r == 0 ? cases[i].rate : 4711))
			fail_msg("%s: %lld", cases[i].text, (long long)rate);
	}
}

static void name_servers(void **state)
{
	static const char *const good[] = { "host", "none", "192.0.2.1", "2001:db8::1" };
	static const char *const bad[] = {
		"", "Host", "192.0.2.0/24", "dns.example.org", "[2001:db8::1]", "192.0.2.1:53"
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(nsb_check_dns(good[i], NULL), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		nsb_error error = { 0 };

		assert_int_equal(nsb_check_dns(bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.words, "is neither host nor none nor the address of a name server"));
	}
}

/* ---- the record ---- */

#define VETH                                                                                                           \
	"nsbox-network 1\nid k3j5h7g9fx\nkind veth\nlink nsbk3j5h7g9fx\nhost_mac 02:00:00:00:00:01\n"                  \
	"box_mac 06:ff:0a:1b:2c:3d\naddress 10.213.0.5\naddress fd6e:7362:6f78::5\npool 10.213.0.0/16\n"               \
	"pool fd6e:7362:6f78::/64\nnat yes\nforwarding check\nrate 20000000\nconnections 8192\nallow host:53\nallow boxes\n"             \
	"deny any:25/tcp\npublish 8080:80\nend\n"
#define BRIDGE                                                                                                         \
	"nsbox-network 1\nid k3j5h7g9fx\nkind bridge\nlink nsb0\nbridge br0\nhost_mac 02:00:00:00:00:01\n"             \
	"box_mac 02:00:00:00:00:02\naddress fd00::5\nnat no\nforwarding set\nrate 0\nconnections 0\nend\n"

static nsb_network_record record;

static int parse(const char *text)
{
	return nsb_network_record_parse(text, strlen(text), &record);
}

static void both_ways(void **state)
{
	static const char *const texts[] = { VETH, BRIDGE };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		NSB_FREE char *text = NULL;

		assert_int_equal(parse(texts[i]), 0);
		assert_int_equal(nsb_network_record_format(&record, &text), 0);
		assert_string_equal(text, texts[i]);
	}
	assert_int_equal(record.kind, NSB_NETWORK_BRIDGE);
	assert_string_equal(record.bridge, "br0");
	assert_true(record.set_forwarding && !record.nat && record.rate == 0 && record.address[1].family == 0);
	assert_int_equal(parse(VETH), 0);
	assert_int_equal(record.kind, NSB_NETWORK_VETH);
	assert_string_equal(record.id, "k3j5h7g9fx");
	assert_string_equal(record.link, "nsbk3j5h7g9fx");
	assert_string_equal(record.bridge, "");
	assert_memory_equal(record.box_mac, "\x06\xff\x0a\x1b\x2c\x3d", 6);
	assert_true(record.address[0].family == AF_INET && record.address[1].family == AF_INET6);
	assert_true(record.n_pools == 2 && record.n_allow == 2 && record.n_deny == 1 && record.n_publish == 1);
	assert_string_equal(record.allow[1], "boxes");
	assert_true(record.nat && !record.set_forwarding && record.rate == 20000000);
}

/* `text` with the first `old` replaced. The caller frees. */
static char *with(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	char *changed = malloc(strlen(text) + strlen(new) + 1);

	assert_non_null(at);
	assert_non_null(changed);
	sprintf(changed, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return changed;
}

static void damaged(void **state)
{
	static const struct {
		const char *old, *new;
	} cases[] = {
		{ "nsbox-network 1", "nsbox-network 2" },
		{ "nsbox-network 1\n", "" },
		{ "id k3j5h7g9fx\n", "" },
		{ "k3j5h7g9fx", "K3j5h7g9fx" },
		{ "k3j5h7g9fx", "../../../x" },
		{ "kind veth", "kind host" },
		{ "kind veth\n", "" },
		{ "kind veth\n", "kind veth\nkind veth\n" },
		{ "kind veth\n", "kind bridge\n" },
		{ "link nsbk3j5h7g9fx", "link a/b" },
		{ "link nsbk3j5h7g9fx", "link .." },
		{ "link nsbk3j5h7g9fx", "link 1234567890123456" },
		{ "link nsbk3j5h7g9fx", "link a b" },
		{ "link nsbk3j5h7g9fx", "link " },
		{ "link nsbk3j5h7g9fx\n", "link nsbk3j5h7g9fx\nbridge br0\n" },
		{ "02:00:00:00:00:01", "00:00:00:00:00:01" },
		{ "02:00:00:00:00:01", "03:00:00:00:00:01" },
		{ "02:00:00:00:00:01", "02:00:00:00:00:1" },
		{ "02:00:00:00:00:01", "02:00:00:00:00:0x" },
		{ "02:00:00:00:00:01", "02:00:00:00:00: 1" },
		{ "06:ff:0a", "06:FF:0a" },
		{ "address 10.213.0.5\n", "address 10.213.0.5\naddress 10.213.0.6\n" },
		{ "address 10.213.0.5\naddress fd6e:7362:6f78::5\n",
		  "address fd6e:7362:6f78::5\naddress 10.213.0.5\n" },
		{ "address 10.213.0.5\naddress fd6e:7362:6f78::5\n", "" },
		{ "address 10.213.0.5", "address 10.213.0.0/16" },
		{ "address fd6e:7362:6f78::5", "address fd6e:7362:6f78:0::5" },
		{ "pool 10.213.0.0/16", "pool 10.213.0.1/16" },
		{ "nat yes", "nat maybe" },
		{ "nat yes\n", "" },
		{ "forwarding check", "forwarding" },
		{ "rate 20000000", "rate 020000000" },
		{ "connections 8192", "connections 08192" },
		{ "connections 8192", "connections 4294967296" },
		{ "rate 20000000", "rate -1" },
		{ "rate 20000000", "rate 9223372036854775808" },
		{ "allow host:53", "allow host:0" },
		{ "allow host:53", "allow host:53 }" },
		{ "allow host:53", "allow host:53\n\n" },
		{ "deny any:25/tcp\n", "deny any:25/tcp\nallow any\n" },
		{ "publish 8080:80", "publish 8080" },
		{ "publish 8080:80", "sniff 8080:80" },
		{ "end\n", "end" },
		{ "end\n", "end\nend\n" },
		{ "end\n", "" },
		{ "end\n", "x\n" },
	};

	(void)state;
	memset(&record, 0x5a, sizeof(record));
	for (size_t i = 0; i < COUNT(cases); i++) {
		NSB_FREE char *text = with(VETH, cases[i].old, cases[i].new);

		if (parse(text) != -EBADMSG)
			fail_msg("%s -> %s is taken", cases[i].old, cases[i].new);
	}
	assert_int_equal(nsb_network_record_parse("", 0, &record), -EBADMSG);
	assert_int_equal(nsb_network_record_parse(VETH "\0", sizeof(VETH), &record), -EBADMSG);
	assert_int_equal(record.kind, 0x5a5a5a5a);
	/* each beginning of it is none */
	for (size_t i = 0; i < sizeof(VETH) - 1; i++)
		assert_int_equal(nsb_network_record_parse(VETH, i, &record), -EBADMSG);
}

/* What is longer than its text can be read back is no record, nor is one with words that are none. */
static void unwritable(void **state)
{
	NSB_FREE char *text = NULL, *longest = NULL;

	(void)state;
	assert_int_equal(parse(VETH), 0);
	strcpy(record.allow[0], "any; drop");
	assert_int_equal(nsb_network_record_format(&record, &text), -EINVAL);
	assert_int_equal(parse(VETH), 0);
	record.address[0].prefix = 24;
	assert_int_equal(nsb_network_record_format(&record, &text), -EINVAL);
	assert_int_equal(parse(VETH), 0);
	record.id[0] = '\0';
	assert_int_equal(nsb_network_record_format(&record, &text), -EINVAL);
	assert_null(text);
	/* as much as there can be */
	assert_int_equal(parse(VETH), 0);
	while (record.n_pools < NSB_NETWORK_POOLS)
		record.pools[record.n_pools++] = network("2001:db8:1111:2222:3333:4444:5555:6664/126");
	for (record.n_allow = record.n_deny = 0; record.n_allow < NSB_NETWORK_RULES;
	     record.n_allow++, record.n_deny++) {
		strcpy(record.allow[record.n_allow],
		       "[2001:db8:1111:2222:3333:4444:5555:6664/126]:00010-000065535/tcp");
		strcpy(record.deny[record.n_deny], "[2001:db8:1111:2222:3333:4444:5555:6664/126]:10000-65535/udp");
	}
	for (record.n_publish = 0; record.n_publish < NSB_NETWORK_PUBLISH; record.n_publish++)
		strcpy(record.publish[record.n_publish], "0010000:0065535/tcp");
	assert_int_equal(nsb_network_record_format(&record, &longest), 0);
	assert_true(strlen(longest) < NSB_RECORD_TEXT_MAX);
}

/* One more than there is room for. */
static void too_many(void **state)
{
	static const struct {
		const char *line;
		size_t room, there;
	} cases[] = {
		{ "pool 10.213.0.0/16\n", NSB_NETWORK_POOLS, 2 },
		{ "allow host:53\n", NSB_NETWORK_RULES, 2 },
		{ "deny any:25/tcp\n", NSB_NETWORK_RULES, 1 },
		{ "publish 8080:80\n", NSB_NETWORK_PUBLISH, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		NSB_FREE char *text = strdup(VETH);

		for (size_t n = cases[i].there; n <= cases[i].room; n++) {
			char twice[64];
			char *more;

			assert_int_equal(parse(text), 0);
			snprintf(twice, sizeof(twice), "%s%s", cases[i].line, cases[i].line);
			more = with(text, cases[i].line, twice);
			free(text);
			text = more;
		}
		assert_int_equal(parse(text), -EBADMSG);
	}
}

/* Every allocation fails once. */
static void no_memory(void **state)
{
	char *text = NULL;
	int r;

	(void)state;
	for (int n = 0;; n++) {
		memset(&record, 0x5a, sizeof(record));
		alloc_fail_at(n);
		r = parse(VETH);
		if (!alloc_fail_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(record.kind, 0x5a5a5a5a);
	}
	assert_int_equal(r, 0);
	for (int n = 0;; n++) {
		alloc_fail_at(n);
		r = nsb_network_record_format(&record, &text);
		if (!alloc_fail_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_null(text);
	}
	assert_int_equal(r, 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(networks),  cmocka_unit_test(long_networks),
		cmocka_unit_test(inside),    cmocka_unit_test(numbered),  cmocka_unit_test(kinds),
		cmocka_unit_test(pools),     cmocka_unit_test(rules),	  cmocka_unit_test(no_rules),
		cmocka_unit_test(published), cmocka_unit_test(rates),	  cmocka_unit_test(name_servers),
		cmocka_unit_test(both_ways), cmocka_unit_test(damaged),	  cmocka_unit_test(unwritable),
		cmocka_unit_test(too_many),  cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
