/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All connections are read, and those of the addresses deleted one by one, as they were answered. The kernel's own filter by address
 * (CTA_FILTER, Linux 5.8) would need a pass for each family and side, and a pass costs what the table has buckets (10 ms for 262144,
 * whatever is in them); and with IPv6 a connection of the address was left by it (seen with Linux 6.18).
 */
#include "helper/net-flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "helper/fault.h"
#include "helper/net-netfilter.h"

#define PASSES_MAX 8 /* connections may come while we look */

/* Whether the first packet of the connection (`side` CTA_TUPLE_ORIG) or its answer (CTA_TUPLE_REPLY) is from the address. */
static bool is_from(const void *attributes, size_t size, int side, const nsb_address *address)
{
	bool four = address->family == AF_INET;
	const struct nlattr *ip = netfilter_find_in(netfilter_find(attributes, size, side), CTA_TUPLE_IP);
	const struct nlattr *source = netfilter_find_in(ip, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
	size_t width = nsb_address_width(address->family) / 8;

	return source != NULL && source->nla_len == NLA_HDRLEN + width &&
	       memcmp((const char *)source + NLA_HDRLEN, address->bytes, width) == 0;
}

/* A connection is a box's if it has begun it, or if it answers: also where it was led in by NAT. */
static bool is_of(const void *attributes, size_t size, const nsb_address addresses[2])
{
	for (size_t i = 0; i < 2; i++)
		if (addresses[i].family != 0 && (is_from(attributes, size, CTA_TUPLE_ORIG, &addresses[i]) ||
						 is_from(attributes, size, CTA_TUPLE_REPLY, &addresses[i])))
			return true;
	return false;
}

static int send_message(int fd, const netfilter_message *m)
{
	return send(fd, m, m->head.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* What the kernel says to one request: 0 or its error. */
static int answer_to(int fd)
{
	union {
		struct nlmsghdr head;
		char bytes[4096];
	} in;
	ssize_t n = recv(fd, &in, sizeof(in), 0);

	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || in.head.nlmsg_type != NLMSG_ERROR)
		return -EBADMSG;
	return ((const struct nlmsgerr *)NLMSG_DATA(&in.head))->error;
}

/* Deletes the connection whose attributes these are: by its tuple, its zone and its id, so that it is this one. */
static int forget_one(int fd, const void *attributes, size_t size, int family)
{
	static const int by[] = { CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID };
	netfilter_message m;
	int r;

	netfilter_begin(&m, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family);
	for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++) {
		const struct nlattr *found = netfilter_find(attributes, size, by[i]);

		if (found != NULL && found->nla_len < 256)
			netfilter_put(&m, found->nla_type, (const char *)found + NLA_HDRLEN,
				      found->nla_len - (size_t)NLA_HDRLEN);
	}
	r = send_message(fd, &m);
	if (r == 0)
		r = answer_to(fd);
	return r == -ENOENT ? 0 : r; /* it has ended by itself */
}

/* One message of the answer. 1: it goes on. */
static int take_answer(const struct nlmsghdr *head, const nsb_address addresses[2], int fd_delete, size_t *ret_found)
{
	const size_t offset = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	const char *attributes = (const char *)head + offset;
	int r;

	if (head->nlmsg_type == NLMSG_DONE)
		return 0;
	if (head->nlmsg_type == NLMSG_ERROR)
		return head->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr))
			       ? -EBADMSG
			       : ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
	if (head->nlmsg_len <= offset || !is_of(attributes, head->nlmsg_len - offset, addresses))
		return 1;
	(*ret_found)++;
	r = forget_one(fd_delete, attributes, head->nlmsg_len - offset,
		       ((const struct nfgenmsg *)NLMSG_DATA(head))->nfgen_family);
	return r < 0 ? r : 1;
}

/* What one read has given. */
static int take_answers(const char *bytes, size_t size, const nsb_address addresses[2], int fd_delete,
			size_t *ret_found)
{
	int r = 1;

	while (r > 0 && size >= NLMSG_HDRLEN) {
		const struct nlmsghdr *head = (const struct nlmsghdr *)bytes;
		size_t length = NLMSG_ALIGN(head->nlmsg_len);

		if (head->nlmsg_len < NLMSG_HDRLEN || head->nlmsg_len > size)
			return -EBADMSG;
		r = take_answer(head, addresses, fd_delete, ret_found);
		bytes += length;
		size = length < size ? size - length : 0;
	}
	return r;
}

static int pass(int fd, int fd_delete, const nsb_address addresses[2], size_t *ret_found)
{
	static _Alignas(struct nlmsghdr) char buffer[32768]; /* as large as the kernel makes its messages */
	netfilter_message m;
	int r;

	netfilter_begin(&m, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
	r = send_message(fd, &m);
	for (r = r < 0 ? r : 1; r > 0;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		r = n < 0 ? -errno : take_answers(buffer, (size_t)n, addresses, fd_delete, ret_found);
	}
	return r;
}

int net_flows_forget(const nsb_address addresses[2])
{
	size_t found = 1;
	int r = fault_at_request();

	for (int i = 0; r == 0 && found > 0 && i < PASSES_MAX; i++) {
		/* new ones each time: a dump that failed half-way would leave its rest in the queue */
		NSB_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
		NSB_CLOSE int fd_delete = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

		found = 0;
		r = fd < 0 || fd_delete < 0 ? -errno : pass(fd, fd_delete, addresses, &found);
	}
	if (r == 0 && found > 0)
		r = -EBUSY;
	return r == -EINVAL ? -EOPNOTSUPP : r; /* so says nfnetlink of a part that is not there */
}
