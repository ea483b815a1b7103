/* SPDX-License-Identifier: BSD-3-Clause */
/* What net-links.c (the pair, the host's end) and net-box-end.c share. */
#ifndef NSB_HELPER_NET_LINKS_INTERNAL_H
#define NSB_HELPER_NET_LINKS_INTERNAL_H

#include <sys/socket.h>

#include "helper/net-host.h"
#include "helper/net-links.h"

#define LINKS_BOX_END "eth0"

typedef struct links {
	const nsb_network_record *record;
	struct nl_sock *host, *box; /* a socket in each namespace */
	int host_index, box_index;
	net_bridge bridge; /* with network = bridge:NAME */
	nsb_error *error;
} links;

static inline bool links_on_bridge(const links *l)
{
	return l->record->kind == NSB_NETWORK_BRIDGE;
}

static inline bool links_ipv6(const links *l)
{
	return l->record->address[0].family == AF_INET6 || l->record->address[1].family == AF_INET6;
}

/* net_request(), with a sentence; `doing` completes "cannot ...". Never -EEXIST. */
int links_ask(links *l, struct nl_sock *sock, struct nl_msg *msg, const char *doing);

/* For good: the kernel neither asks for it nor forgets it. */
int links_add_neighbour(links *l, struct nl_sock *sock, int index, const nsb_address *address,
			const unsigned char mac[6]);

/*
 * What must be done by a task of the box's namespace: the socket there, sysctls of its end, which is down still. The caller
 * is in its own namespace again afterwards.
 */
int box_end_enter(links *l, int netns);

/* Up, with addresses, the gateway, default routes. */
int box_end_up(links *l);

#endif
