/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/net-judge.h"

#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

nsb_address net_network_of(const nsb_address *address, unsigned prefix)
{
	nsb_address network = *address;

	network.prefix = prefix;
	for (unsigned i = prefix; i < 8 * sizeof(network.bytes); i++)
		network.bytes[i / 8] &= (unsigned char)~(0x80u >> (i % 8));
	return network;
}

nsb_address net_broadcast(const nsb_address *network)
{
	nsb_address address = *network;

	for (unsigned i = network->prefix; i < 32; i++)
		address.bytes[i / 8] |= (unsigned char)(0x80u >> (i % 8));
	address.prefix = 32;
	return address;
}

bool net_route_of_box(int family, unsigned prefix, unsigned protocol)
{
	return protocol == NET_ROUTE_PROTOCOL && prefix == nsb_address_width(family);
}

bool net_reserved(const nsb_address *network, const nsb_address *own)
{
	nsb_address first = net_network_of(network, network->prefix), last = net_broadcast(network);

	first.prefix = nsb_address_width(network->family);
	if (network->prefix + 1 >= first.prefix) /* RFC 3021, RFC 6164 */
		return false;
	return nsb_networks_overlap(&first, own) || (network->family == AF_INET && nsb_networks_overlap(&last, own));
}

static bool same_network(const nsb_address *a, const nsb_address *b)
{
	return a->prefix == b->prefix && nsb_networks_overlap(a, b);
}

bool net_route_allows(const net_route *route, const nsb_address *pool, const net_station *station, int link)
{
	if (route->to.prefix == 0 || !nsb_networks_overlap(pool, &route->to))
		return true;
	switch (route->type) {
	case RTN_LOCAL:
		return false;
	case RTN_UNICAST:
		/* the network itself that the boxes live in */
		return net_route_of_box(route->to.family, route->to.prefix, route->protocol) ||
		       (station != NULL && route->link == link && same_network(&route->to, &station->network));
	default:
		/* Blackholes and the like: nobody lives there. Routers have them for whole pools, to announce them. */
		return true;
	}
}

static uint32_t within(uint64_t value, uint64_t low, uint64_t high)
{
	return (uint32_t)(value < low ? low : value > high ? high : value);
}

net_bucket net_bucket_for(uint64_t bits, uint32_t mtu)
{
	/* what must fit: a frame, and, waiting, TCP's first ten segments (RFC 6928) */
	uint64_t frame = (uint64_t)mtu + 100, queue = 10 * frame;
	net_bucket bucket = { .rate = bits / 8 };

	/* 10 ms of traffic at once, because timers are late; 50 ms of it may wait */
	bucket.burst = within(bucket.rate / 100, frame, INT32_MAX);
	bucket.limit = bucket.burst + within(bucket.rate / 20, queue, INT32_MAX);
	return bucket;
}
