/* SPDX-License-Identifier: BSD-3-Clause */
/* The connections that the kernel remembers of addresses: ctnetlink, linux/netfilter/nfnetlink_conntrack.h. */
#ifndef NSB_HELPER_NET_FLOWS_H
#define NSB_HELPER_NET_FLOWS_H

#include "common/address.h"

/*
 * Forgets every connection from or to the addresses (family 0: none), so that who gets them next neither sends nor receives as
 * `established`.
 * 0, or a negative errno: -EOPNOTSUPP without CONFIG_NF_CT_NETLINK.
 */
int net_flows_forget(const nsb_address addresses[2]);

#endif
