/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to the kernel's rtnetlink(7), by libnl: every one of them goes through net_request(), where tests make it fail.
 *
 * Messages are put together attribute by attribute. libnl-route has no setter for half of what is sent here (alias in the
 * same breath as IFF_UP, isolated ports, the peer's namespace, rates beyond 32 bits), so it is not linked.
 */
#ifndef NSB_HELPER_NET_REQUEST_H
#define NSB_HELPER_NET_REQUEST_H

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "common/address.h"

/* A socket in the network namespace that the caller is in now; it stays there. The caller frees (NET_SOCKET).
 * 0, negative errno. */
int net_socket_open(struct nl_sock **ret);
void net_socket_free(struct nl_sock **sock);
#define NET_SOCKET __attribute__((cleanup(net_socket_free)))

/* The index of the link of that name in the socket's namespace: 0 or less for none, as a negative errno. No request: the
 * kernel answers from a hash table, without its lock. */
int net_link_index(struct nl_sock *sock, const char *name);

/* A message that begins with `head` (struct ifinfomsg, ...). Without memory it is NULL, which all functions below take:
 * net_request() answers -ENOMEM then. */
struct nl_msg *net_message(int type, int flags, const void *head, size_t size);
void net_put(struct nl_msg **msg, int type, const void *data, size_t size);
void net_put_u8(struct nl_msg **msg, int type, uint8_t value);
void net_put_u32(struct nl_msg **msg, int type, uint32_t value);
void net_put_text(struct nl_msg **msg, int type, const char *text);
void net_put_address(struct nl_msg **msg, int type, const nsb_address *address);
struct nlattr *net_nest(struct nl_msg **msg, int type);
void net_nest_end(struct nl_msg **msg, struct nlattr *nest);

/*
 * Sends the message, waits for the kernel's answer, gives every message of it to `each` (may be NULL), frees `msg`.
 * 0, or the negative errno that the kernel answers. *ret_words (may be NULL): what the kernel says about that, or "";
 * valid until the next request.
 */
int net_request(struct nl_sock *sock, struct nl_msg *msg, void (*each)(const struct nlmsghdr *message, void *data),
		void *data, const char **ret_words);

/* The value of an attribute, or 0 if it is not there; the text, or "". */
uint32_t net_u32(const struct nlattr *attribute);
const char *net_text(const struct nlattr *attribute);

/* The address in an attribute; family 0 where there is none, or another length than the family has. */
nsb_address net_address(const struct nlattr *attribute, int family, unsigned prefix);

#endif
