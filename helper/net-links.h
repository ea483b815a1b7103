/* SPDX-License-Identifier: BSD-3-Clause */
/* The links, addresses and routes of a box's network: rtnetlink(7). */
#ifndef NSB_HELPER_NET_LINKS_H
#define NSB_HELPER_NET_LINKS_H

#include "common/network.h"

/*
 * Whether the host is as the record needs it; changes nothing. -EBUSY: a pool overlaps a route of the host (names both);
 * -ENETUNREACH: the host does not forward and may not be made to (names the sysctl and `forwarding = set`); -ENODEV: there is
 * no bridge of that name, or it is no bridge, or (bridge) no network of its addresses holds the pool. Each with a sentence.
 */
int net_links_check(const nsb_network_record *record, nsb_error *error);

/*
 * The same for the addresses of the record alone, for a box that is made now: asks a few things of the kernel, however many routes it
 * has, and only where one of the answers is not a plain yes net_links_check().
 */
int net_links_check_own(const nsb_network_record *record, nsb_error *error);

/*
 * Makes the pair with one RTM_NEWLINK, the far end (eth0) in the namespace already, gives it addresses and routes, and
 * adds the host's routes; sets forwarding where the record says so. -EEXIST: a link of that name exists, and nothing was
 * made. After any other failure net_links_down() takes away what there is.
 */
int net_links_up(const nsb_network_record *record, int netns, nsb_error *error);

/* Removes the host's end, and with it all that hangs on it, if it is there and bears the alias of the box. 0 also if it is
 * not there. */
int net_links_down(const nsb_network_record *record, nsb_error *error);

#endif
