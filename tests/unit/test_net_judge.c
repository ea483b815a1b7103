/* SPDX-License-Identifier: BSD-3-Clause */
/* What nsbox-net decides about routes, networks and rates. */
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "helper/net-judge.h"

#define BRIDGE 7

static nsb_address network(const char *text)
{
	nsb_address parsed = { 0 };

	assert_int_equal(nsb_network_parse(text, &parsed, NULL), 0);
	return parsed;
}

static const char *text_of(const nsb_address *address)
{
	static char text[NSB_ADDRESS_SIZE];

	nsb_address_text(address, text);
	return text;
}

static void routes(void **state)
{
	static const struct {
		const char *to;
		unsigned char type, protocol;
		bool veth, bridge; /* whether it is no obstacle */
	} cases[] = {
		{ "0.0.0.0/0", RTN_UNICAST, RTPROT_STATIC, true, true },
		{ "10.2.0.0/16", RTN_UNICAST, RTPROT_STATIC, true, true },
		{ "::/1", RTN_UNICAST, RTPROT_STATIC, true, true },
		{ "10.1.0.0/16", RTN_UNICAST, RTPROT_KERNEL, false, true }, /* the bridge's own network */
		{ "10.0.0.0/8", RTN_UNICAST, RTPROT_STATIC, false, false },
		{ "10.1.128.0/17", RTN_UNICAST, RTPROT_BGP, false, false },
		{ "10.1.128.0/24", RTN_UNICAST, RTPROT_STATIC, false, false },
		{ "10.1.128.7/32", RTN_UNICAST, RTPROT_STATIC, false, false },
		{ "10.1.128.7/32", RTN_UNICAST, NET_ROUTE_PROTOCOL, true, true }, /* another box */
		{ "10.1.128.0/24", RTN_UNICAST, NET_ROUTE_PROTOCOL, false, false },
		{ "10.1.128.7/32", RTN_LOCAL, RTPROT_KERNEL, false, false },
		{ "10.1.128.7/32", RTN_LOCAL, NET_ROUTE_PROTOCOL, false, false },
		{ "10.1.127.7/32", RTN_LOCAL, RTPROT_KERNEL, true, true },
		{ "10.1.128.0/17", RTN_BLACKHOLE, RTPROT_BGP, true, true },
		{ "10.0.0.0/8", RTN_UNREACHABLE, RTPROT_STATIC, true, true },
		{ "10.0.0.0/8", RTN_PROHIBIT, RTPROT_STATIC, true, true },
		{ "10.0.0.0/8", RTN_THROW, RTPROT_STATIC, true, true },
	};
	const nsb_address pool = network("10.1.128.0/17");
	const net_station station = { .own = network("10.1.0.1"), .network = network("10.1.0.0/16") };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		net_route route = {
			.to = network(cases[i].to), .type = cases[i].type, .protocol = cases[i].protocol, .link = BRIDGE
		};

		assert_int_equal(net_route_allows(&route, &pool, NULL, 0), cases[i].veth);
		assert_int_equal(net_route_allows(&route, &pool, &station, BRIDGE), cases[i].bridge);
		/* the bridge's network through another link is somebody else's */
		assert_int_equal(net_route_allows(&route, &pool, &station, BRIDGE + 1), cases[i].veth);
	}
}

static void networks(void **state)
{
	static const struct {
		const char *address;
		unsigned prefix;
		const char *network, *broadcast;
	} cases[] = {
		{ "192.168.5.77", 24, "192.168.5.0/24", "192.168.5.255" },
		{ "192.168.5.77", 27, "192.168.5.64/27", "192.168.5.95" },
		{ "192.168.5.77", 32, "192.168.5.77", "192.168.5.77" },
		{ "192.168.5.77", 0, "0.0.0.0/0", "255.255.255.255" },
		{ "2001:db8::ffff:ffff", 113, "2001:db8::ffff:8000/113", NULL },
		{ "2001:db8::1", 128, "2001:db8::1", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nsb_address address = network(cases[i].address), found = net_network_of(&address, cases[i].prefix);

		assert_string_equal(text_of(&found), cases[i].network);
		if (cases[i].broadcast == NULL)
			continue;
		address = net_broadcast(&found);
		assert_string_equal(text_of(&address), cases[i].broadcast);
	}
}

static void reserved(void **state)
{
	static const struct {
		const char *network, *address;
		bool reserved;
	} cases[] = {
		{ "192.168.5.0/24", "192.168.5.0", true },
		{ "192.168.5.0/24", "192.168.5.255", true },
		{ "192.168.5.0/24", "192.168.5.127", false },
		{ "192.168.5.0/31", "192.168.5.0", false },
		{ "192.168.5.0/31", "192.168.5.1", false },
		{ "192.168.5.0/30", "192.168.5.3", true },
		{ "2001:db8::/64", "2001:db8::", true },
		{ "2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", false },
		{ "2001:db8::/127", "2001:db8::", false },
		{ "192.168.5.0/24", "2001:db8::", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nsb_address net = network(cases[i].network), own = network(cases[i].address);

		assert_int_equal(net_reserved(&net, &own), cases[i].reserved);
	}
}

/* Every rate that the configuration takes: a frame always fits, 50 ms may wait, and ten frames. */
static void buckets(void **state)
{
	static const uint32_t mtus[] = { 1280, 1500, 9000, 65535 };

	(void)state;
	for (uint64_t bits = 8000; bits <= 1000000000000u; bits *= 5)
		for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
			net_bucket bucket = net_bucket_for(bits, mtus[i]);

			assert_int_equal(bucket.rate, bits / 8);
			assert_true(bucket.burst >= mtus[i] + 18 && bucket.burst >= bucket.rate / 100);
			assert_true(bucket.burst <= bucket.rate / 100 || bucket.burst <= mtus[i] + 100);
			assert_true(bucket.limit - bucket.burst >= 10 * mtus[i]);
			assert_true(bucket.limit > bucket.burst || bucket.rate > INT32_MAX);
		}
	assert_int_equal(net_bucket_for(1000000000000u, 1500).burst, 1250000000);
	assert_int_equal(net_bucket_for(8000000, 1500).burst, 10000);
	assert_int_equal(net_bucket_for(8000000, 1500).limit, 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes),
		cmocka_unit_test(networks),
		cmocka_unit_test(reserved),
		cmocka_unit_test(buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
