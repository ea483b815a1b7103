/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of nfnetlink, for the few questions that libnftables has no call for, or answers by reading whole sets. Sources:
 * linux/netfilter/nfnetlink.h, netlink(7).
 */
#ifndef NSB_HELPER_NET_NETFILTER_H
#define NSB_HELPER_NET_NETFILTER_H

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stddef.h>

typedef struct netfilter_message {
	struct nlmsghdr head;
	struct nfgenmsg netfilter;
	char attributes[1024];
} netfilter_message;

/* Empty, of that subsystem (NFNL_SUBSYS_*) and type, with these flags (NLM_F_REQUEST is added). `family`: NFPROTO_*. */
void netfilter_begin(netfilter_message *m, int subsystem, int type, int flags, int family);

/* Adds an attribute; all of them together must have room. */
void netfilter_put(netfilter_message *m, int type, const void *data, size_t size);

/* Begins an attribute that holds those which are put until its end. */
struct nlattr *netfilter_nest(netfilter_message *m, int type);
void netfilter_nest_end(netfilter_message *m, struct nlattr *nest);

/* The attribute of that type among `size` bytes of them, or in another one (which may be NULL): NULL if there is none. */
const struct nlattr *netfilter_find(const void *from, size_t size, int type);
const struct nlattr *netfilter_find_in(const struct nlattr *nest, int type);

#endif
