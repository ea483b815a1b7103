/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the host is as the network of a box needs it: net_links_check(). Changes nothing. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "helper/net-host.h"
#include "helper/net-links.h"

#define ANOTHER_POOL "name another network_pool"

typedef struct conflict {
	const nsb_address *pool;
	net_route route;
} conflict;

typedef struct check {
	const nsb_network_record *record;
	const net_bridge *bridge; /* NULL for veth */
	conflict *conflicts;
	size_t n;
	net_route router; /* of the family that is looked at, behind the bridge */
	int advertised;	  /* the link over which the host has learned its IPv6 router, or 0 */
	bool without_memory;
} check;

static bool has_family(const nsb_network_record *record, int family)
{
	return record->address[0].family == family || record->address[1].family == family;
}

static bool pools_have(const nsb_network_record *record, int family)
{
	for (size_t i = 0; i < record->n_pools; i++)
		if (record->pools[i].family == family)
			return true;
	return false;
}

/* ---- IPv6 at all ---- */

static int check_ipv6(const nsb_network_record *record, nsb_error *error)
{
	if (!has_family(record, AF_INET6))
		return 0;
	if (!net_has_ipv6())
		return nsb_error_set(
			error, EAFNOSUPPORT,
			"this host has no IPv6, but network_pool has a network of it: name IPv4 networks only");
	if (net_conf6_read("default", "disable_ipv6") == 1)
		return nsb_error_set(error, EAFNOSUPPORT,
				     "IPv6 is switched off on this host (net.ipv6.conf.default.disable_ipv6 = 1), but "
				     "network_pool has a network of it: name IPv4 networks only, or switch it on");
	return 0;
}

/* ---- pools against routes ---- */

static void note_conflict(check *all, const nsb_address *pool, const net_route *route)
{
	conflict *grown = nsb_grow(all->conflicts, all->n, sizeof(*grown));

	if (grown == NULL) {
		all->without_memory = true;
		return;
	}
	all->conflicts = grown;
	all->conflicts[all->n++] = (conflict){ .pool = pool, .route = *route };
}

static void look_at_route(const net_route *route, void *data)
{
	check *all = data;
	int link = all->bridge == NULL ? 0 : all->bridge->link.index;

	if (route->to.prefix == 0) {
		if (link != 0)
			net_better_router(route, link, &all->router);
		if (route->to.family == AF_INET6 && route->protocol == RTPROT_RA)
			all->advertised = route->link;
		return;
	}
	for (size_t i = 0; i < all->record->n_pools; i++) {
		const nsb_address *pool = &all->record->pools[i];
		const net_station *station = all->bridge == NULL ? NULL : net_bridge_station(all->bridge, pool);

		if (!net_route_allows(route, pool, station, link))
			note_conflict(all, pool, route);
	}
}

static int refuse_route(const conflict *found, const net_link *link, nsb_error *error)
{
	char pool[NSB_ADDRESS_SIZE], route[NSB_ADDRESS_SIZE];

	nsb_address_text(found->pool, pool);
	nsb_address_text(&found->route.to, route);
	if (found->route.type == RTN_LOCAL)
		return nsb_error_set(error, EBUSY,
				     "network_pool %s overlaps %s, which is the host's own (on %s): " ANOTHER_POOL,
				     pool, route, link->name);
	return nsb_error_set(error, EBUSY, "network_pool %s overlaps the host's route to %s through %s: " ANOTHER_POOL,
			     pool, route, link->name);
}

/* Routes through links of boxes are no obstacle, whoever made them. */
static int judge_conflicts(struct nl_sock *sock, const check *all, nsb_error *error)
{
	for (size_t i = 0; i < all->n; i++) {
		net_link link = { .name = "no link" };
		int r = all->conflicts[i].route.link == 0
				? 0
				: net_link_get(sock, NULL, all->conflicts[i].route.link, &link);

		if (r == -ENODEV) /* gone in the meantime */
			continue;
		if (r < 0)
			return nsb_error_set(error, r, "a link of the host cannot be looked at: %s", strerror(-r));
		if (!net_link_of_box(&link))
			return refuse_route(&all->conflicts[i], &link, error);
	}
	return 0;
}

/* ---- a bridge ---- */

static void list_stations(const net_bridge *bridge, char *text, size_t size)
{
	size_t used = 0;

	snprintf(text, size, "none");
	for (size_t i = 0; i < bridge->n && used < size; i++) {
		char network[NSB_ADDRESS_SIZE];

		nsb_address_text(&bridge->stations[i].network, network);
		used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", network);
	}
}

static int check_stations(const nsb_network_record *record, const net_bridge *bridge, nsb_error *error)
{
	for (size_t i = 0; i < record->n_pools; i++) {
		char pool[NSB_ADDRESS_SIZE], networks[256];

		if (net_bridge_station(bridge, &record->pools[i]) != NULL)
			continue;
		nsb_address_text(&record->pools[i], pool);
		list_stations(bridge, networks, sizeof(networks));
		return nsb_error_set(
			error, ENODEV,
			"network_pool %s lies in no network of the addresses of bridge %s (%s): name a part of "
			"one that is given to nobody else",
			pool, record->bridge, networks);
	}
	return 0;
}

/* A pool may be the end of a network: then one of its addresses is no host's. */
static int check_addresses(const nsb_network_record *record, const net_bridge *bridge, nsb_error *error)
{
	for (size_t i = 0; i < 2 && record->address[i].family != 0; i++) {
		const net_station *station = net_bridge_station(bridge, &record->address[i]);
		char address[NSB_ADDRESS_SIZE];

		if (station == NULL || !net_reserved(&station->network, &record->address[i]))
			continue;
		nsb_address_text(&record->address[i], address);
		return nsb_error_set(
			error, EBUSY,
			"%s is no address for a box on bridge %s, because it means the network: " ANOTHER_POOL, address,
			record->bridge);
	}
	return 0;
}

static int check_router(const check *all, nsb_error *error)
{
	for (size_t i = 0; i < all->record->n_pools; i++) {
		char pool[NSB_ADDRESS_SIZE], router[NSB_ADDRESS_SIZE];

		if (all->router.gateway.family == 0 ||
		    !nsb_networks_overlap(&all->record->pools[i], &all->router.gateway))
			continue;
		nsb_address_text(&all->record->pools[i], pool);
		nsb_address_text(&all->router.gateway, router);
		return nsb_error_set(error, EBUSY,
				     "network_pool %s overlaps %s, the host's router on bridge %s: " ANOTHER_POOL, pool,
				     router, all->record->bridge);
	}
	return 0;
}

/* ---- forwarding ---- */

/* Who switches forwarding on loses the routers that he has learned from advertisements (accept_ra in the kernel's
 * ip-sysctl.rst): the host would have no IPv6 any more. */
static int check_advertised(struct nl_sock *sock, int link, nsb_error *error)
{
	net_link learned;

	if (link == 0 || net_link_get(sock, NULL, link, &learned) < 0 || net_conf6_read(learned.name, "accept_ra") != 1)
		return 0;
	return nsb_error_set(
		error, ENETUNREACH,
		"forwarding = set would take away this host's IPv6 router, which it has learned over %s: set "
		"net.ipv6.conf.%s.accept_ra = 2",
		learned.name, learned.name);
}

static int forwarding(int family)
{
	return net_sysctl_read(family == AF_INET ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding");
}

static int check_forwarding(struct nl_sock *sock, const check *all, int family, nsb_error *error)
{
	const char *sysctl = family == AF_INET ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
	int value = forwarding(family);

	if (value < 0)
		return nsb_error_set(error, value, "%s cannot be read: %s", sysctl, strerror(-value));
	if (value > 0)
		return 0;
	if (all->record->set_forwarding)
		return family == AF_INET ? 0 : check_advertised(sock, all->advertised, error);
	return nsb_error_set(
		error, ENETUNREACH,
		"this host does not forward %s, so a box would reach nothing: set %s = 1, or forwarding = set",
		family == AF_INET ? "IPv4" : "IPv6", sysctl);
}

/* ---- all of it ---- */

static int check_family(struct nl_sock *sock, check *all, int family, nsb_error *error)
{
	int r;

	if (!pools_have(all->record, family) && !has_family(all->record, family))
		return 0;
	if (family == AF_INET6 && !net_has_ipv6())
		return 0;
	all->router = (net_route){ 0 };
	all->n = 0; /* those of the other family have been judged */
	r = net_routes(sock, family, 0, look_at_route, all);
	if (r == 0 && all->without_memory)
		r = -ENOMEM;
	if (r < 0)
		return nsb_error_set(error, r, "the host's routes cannot be read: %s", strerror(-r));
	r = judge_conflicts(sock, all, error);
	if (r == 0)
		r = check_router(all, error);
	/* where a router on the bridge is the gateway the host forwards nothing */
	if (r == 0 && has_family(all->record, family) && all->router.gateway.family == 0)
		r = check_forwarding(sock, all, family, error);
	return r;
}

int net_links_check(const nsb_network_record *record, nsb_error *error)
{
	NET_SOCKET struct nl_sock *sock = NULL;
	check all = { .record = record };
	net_bridge bridge;
	int r = check_ipv6(record, error);

	if (r < 0)
		return r;
	r = net_socket_open(&sock);
	if (r < 0)
		return nsb_error_set(error, r, "the kernel cannot be asked about links: %s", strerror(-r));
	if (record->kind == NSB_NETWORK_BRIDGE) {
		r = net_bridge_get(sock, record, &bridge, error);
		all.bridge = &bridge;
		if (r == 0)
			r = check_stations(record, &bridge, error);
		if (r == 0)
			r = check_addresses(record, &bridge, error);
	}
	if (r == 0)
		r = check_family(sock, &all, AF_INET, error);
	if (r == 0)
		r = check_family(sock, &all, AF_INET6, error);
	free(all.conflicts);
	return r;
}

/* ---- the short way ---- */

/* 1 if nothing of the host is where the address leads: no route, or one to anywhere. 0 if the long way must tell. */
static int is_free(struct nl_sock *sock, const nsb_address *address, nsb_error *error)
{
	char text[NSB_ADDRESS_SIZE];
	net_route route;
	int r = net_route_to(sock, address, &route);

	if (r == 0)
		return route.to.prefix == 0 && route.type == RTN_UNICAST;
	if (r == -ENETUNREACH)
		return 1;
	/* of blackholes and the like */
	if (r == -EINVAL || r == -EACCES || r == -EHOSTUNREACH)
		return 0;
	nsb_address_text(address, text);
	return nsb_error_set(error, r, "the host's route to %s cannot be read: %s", text, strerror(-r));
}

/* Boxes on bridges have no routes on the host, so that there the long way is not longer for many of them. 1, 0, negative errno. */
static int is_plain(const nsb_network_record *record, nsb_error *error)
{
	NET_SOCKET struct nl_sock *sock = NULL;
	int r = record->kind == NSB_NETWORK_VETH;

	if (r == 1 && net_socket_open(&sock) < 0)
		r = 0;
	for (size_t i = 0; i < 2 && r == 1 && record->address[i].family != 0; i++)
		r = forwarding(record->address[i].family) > 0 ? is_free(sock, &record->address[i], error) : 0;
	return r;
}

int net_links_check_own(const nsb_network_record *record, nsb_error *error)
{
	int r = check_ipv6(record, error);

	if (r == 0)
		r = is_plain(record, error);
	return r < 0 ? r : r == 1 ? 0 : net_links_check(record, error);
}
