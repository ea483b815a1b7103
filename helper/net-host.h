/* SPDX-License-Identifier: BSD-3-Clause */
/* What nsbox-net wants to know of the host: links, bridges, routes, sysctls. Changes nothing. */
#ifndef NSB_HELPER_NET_HOST_H
#define NSB_HELPER_NET_HOST_H

#include <linux/if.h>

#include "helper/net-judge.h"
#include "helper/net-request.h"

typedef struct net_link {
	int index;
	uint32_t mtu;
	char name[IFNAMSIZ], kind[16], alias[64];
	unsigned char mac[6];
} net_link;

/* The link of that name, or with `name` NULL of that index. 0, -ENODEV, another negative errno. */
int net_link_get(struct nl_sock *sock, const char *name, int index, net_link *ret);

/* The first veth for which `ours` is true. 0, -ENODEV, another negative errno. */
int net_link_find(struct nl_sock *sock, bool (*ours)(const net_link *link, const nsb_network_record *record),
		  const nsb_network_record *record, net_link *ret);

/* Whether the link belongs to a box, by its alias. */
bool net_link_of_box(const net_link *link);

#define NET_STATIONS 16

typedef struct net_bridge {
	net_link link;
	net_station stations[NET_STATIONS]; /* more addresses than that are not looked at */
	size_t n;
} net_bridge;

/* The bridge of the record and its addresses. 0; -ENODEV with a sentence if there is none of that name. */
int net_bridge_get(struct nl_sock *sock, const nsb_network_record *record, net_bridge *ret, nsb_error *error);

/* The network of the bridge that holds all of `pool` (an address is one, too), or NULL. */
const net_station *net_bridge_station(const net_bridge *bridge, const nsb_address *pool);

/*
 * The routes to which a packet of that family may go: those of the table main, and the host's own addresses (local). Not
 * those to boxes, which are many. With `link` not 0 only those through it.
 */
int net_routes(struct nl_sock *sock, int family, int link, void (*each)(const net_route *route, void *data),
	       void *data);

/* The route by which the host would send to the address, as it stands in its table. 0; -ENETUNREACH: there is none; another negative
 * errno, also for routes that lead nowhere. */
int net_route_to(struct nl_sock *sock, const nsb_address *address, net_route *ret);

/* The host's router behind that link, by its default route with the lowest metric: family 0 if there is none. */
int net_router(struct nl_sock *sock, int family, int link, nsb_address *ret);

/* Keeps `route` in *best if it is a default route through `link` and better than that. */
void net_better_router(const net_route *route, int link, net_route *best);

/* A number in /proc/sys/net of the namespace that the caller is in: not negative, or a negative errno. */
int net_sysctl_read(const char *name);
int net_sysctl_write(const char *name, int value);
/* net.ipv6.conf.LINK.NAME. */
int net_conf6_read(const char *link, const char *name);
int net_conf6_write(const char *link, const char *name, int value);
/* Whether this kernel speaks IPv6 at all. */
bool net_has_ipv6(void);

#endif
