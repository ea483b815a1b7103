/* SPDX-License-Identifier: BSD-3-Clause */
/* Not by libnftables, which reads all sets of the table to answer `get element`. Source: linux/netfilter/nf_tables.h. */
#include "helper/net-rest.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "helper/fault.h"
#include "helper/net-netfilter.h"

#define LONG_ENOUGH 60000 /* ms: much longer than what follows takes */
#define TABLE	    "nsbox"

static void make_question(netfilter_message *m, const nsb_address *address)
{
	const char *set = address->family == AF_INET ? "rest4" : "rest6";
	struct nlattr *all, *one, *key;

	netfilter_begin(m, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM, 0, NFPROTO_INET);
	netfilter_put(m, NFTA_SET_ELEM_LIST_TABLE, TABLE, sizeof(TABLE));
	netfilter_put(m, NFTA_SET_ELEM_LIST_SET, set, strlen(set) + 1);
	all = netfilter_nest(m, NFTA_SET_ELEM_LIST_ELEMENTS);
	one = netfilter_nest(m, NFTA_LIST_ELEM);
	key = netfilter_nest(m, NFTA_SET_ELEM_KEY);
	netfilter_put(m, NFTA_DATA_VALUE, address->bytes, nsb_address_width(address->family) / 8);
	netfilter_nest_end(m, key);
	netfilter_nest_end(m, one);
	netfilter_nest_end(m, all);
}

/* How long the element of the answer stays, in ms. Negative errno, -ENOENT also from the kernel. */
static int64_t time_left(const struct nlmsghdr *head, size_t size)
{
	const size_t offset = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	const struct nlattr *all, *found;
	uint64_t left;

	if (size >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) && head->nlmsg_type == NLMSG_ERROR) {
		int r = ((const struct nlmsgerr *)NLMSG_DATA(head))->error;

		return r < 0 ? r : -EBADMSG;
	}
	if (size <= offset || head->nlmsg_len > size || head->nlmsg_len <= offset ||
	    head->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM))
		return -EBADMSG;
	all = netfilter_find((const char *)head + offset, head->nlmsg_len - offset, NFTA_SET_ELEM_LIST_ELEMENTS);
	found = netfilter_find_in(netfilter_find_in(all, NFTA_LIST_ELEM), NFTA_SET_ELEM_EXPIRATION);
	if (found == NULL || found->nla_len != NLA_HDRLEN + sizeof(left))
		return -EBADMSG;
	memcpy(&left, (const char *)found + NLA_HDRLEN, sizeof(left));
	left = be64toh(left);
	return left > INT64_MAX ? INT64_MAX : (int64_t)left;
}

static int64_t ask(int fd, const nsb_address *address)
{
	union {
		struct nlmsghdr head;
		char bytes[4096];
	} answer;
	netfilter_message m;
	ssize_t n;

	make_question(&m, address);
	if (send(fd, &m, m.head.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	return n < 0 ? -errno : time_left(&answer.head, (size_t)n);
}

int net_rest_all(const nsb_address addresses[2])
{
	NSB_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int64_t left = fd < 0 ? -errno : LONG_ENOUGH;

	if (left >= 0 && (left = fault_at_request()) == 0)
		left = LONG_ENOUGH;
	for (size_t i = 0; i < 2 && left >= LONG_ENOUGH; i++)
		if (addresses[i].family != 0)
			left = ask(fd, &addresses[i]);
	/* neither table nor set; a kernel without them, which says more when they are to be made */
	if (left == -ENOENT || left == -EINVAL || left == -EOPNOTSUPP)
		return 0;
	return left < 0 ? (int)left : left >= LONG_ENOUGH;
}
