/* SPDX-License-Identifier: BSD-3-Clause */
/* What nsbox-net decides about links without looking at the host: pure functions. */
#ifndef NSB_HELPER_NET_JUDGE_H
#define NSB_HELPER_NET_JUDGE_H

#include "common/network.h"

/* The protocol number of the routes to our boxes, which tells them from others without a look at their links. Not in
 * rt_protos(5). */
#define NET_ROUTE_PROTOCOL 110

/* A route of the host: one line of ip-route(8). */
typedef struct net_route {
	nsb_address to;	     /* prefix 0: a default route */
	nsb_address gateway; /* family 0: none */
	unsigned char type, protocol;
	int link; /* index of the link; 0: none */
	uint32_t metric;
} net_route;

/* A network that a bridge has an address in. */
typedef struct net_station {
	nsb_address own;     /* of the bridge itself, with full prefix */
	nsb_address network; /* without bits beyond its prefix */
} net_station;

/* `address` without the bits beyond `prefix`. */
nsb_address net_network_of(const nsb_address *address, unsigned prefix);

/* Whether a route is one that this program has added for a box. */
bool net_route_of_box(int family, unsigned prefix, unsigned protocol);

/* Whether `own` is an address of the network that no host can have: its first or its last (IPv4), its first (IPv6). */
bool net_reserved(const nsb_address *network, const nsb_address *own);

/* Whether boxes could have addresses of the pool in spite of the route. `station` is the network of the bridge `link` that
 * the boxes live in; NULL for veth. */
bool net_route_allows(const net_route *route, const nsb_address *pool, const net_station *station, int link);

/* The last address of a network of IPv4, for those that look for a broadcast. */
nsb_address net_broadcast(const nsb_address *network);

/* The token bucket for a rate: struct tc_tbf_qopt in plain numbers. */
typedef struct net_bucket {
	uint64_t rate;	/* bytes per second */
	uint32_t burst; /* bytes that may pass at once */
	uint32_t limit; /* bytes that may wait */
} net_bucket;

/* `bits` per second, not 0, on a link with that MTU. */
net_bucket net_bucket_for(uint64_t bits, uint32_t mtu);

#endif
