/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/net-request.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "helper/fault.h"

void net_socket_free(struct nl_sock **sock)
{
	int saved = errno;

	if (*sock != NULL)
		nl_socket_free(*sock);
	*sock = NULL;
	errno = saved;
}

int net_socket_open(struct nl_sock **ret)
{
	struct nl_sock *sock = nl_socket_alloc();
	int on = 1;

	if (sock == NULL)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_ROUTE) < 0) {
		net_socket_free(&sock);
		return -EIO;
	}
	/* Dumps of one link only, sentences of the kernel: both since Linux 4.20 at the latest. Without, dumps are longer. */
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	*ret = sock;
	return 0;
}

int net_link_index(struct nl_sock *sock, const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(nl_socket_get_fd(sock), SIOCGIFINDEX, &request) < 0 ? -errno : request.ifr_ifindex;
}

/* ---- messages ---- */

static void spoil(struct nl_msg **msg)
{
	nlmsg_free(*msg);
	*msg = NULL;
}

struct nl_msg *net_message(int type, int flags, const void *head, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (msg != NULL && nlmsg_append(msg, (void *)(uintptr_t)head, size, NLMSG_ALIGNTO) < 0)
		spoil(&msg);
	return msg;
}

void net_put(struct nl_msg **msg, int type, const void *data, size_t size)
{
	if (*msg != NULL && nla_put(*msg, type, (int)size, data) < 0)
		spoil(msg);
}

void net_put_u8(struct nl_msg **msg, int type, uint8_t value)
{
	net_put(msg, type, &value, sizeof(value));
}

void net_put_u32(struct nl_msg **msg, int type, uint32_t value)
{
	net_put(msg, type, &value, sizeof(value));
}

void net_put_text(struct nl_msg **msg, int type, const char *text)
{
	net_put(msg, type, text, strlen(text) + 1);
}

void net_put_address(struct nl_msg **msg, int type, const nsb_address *address)
{
	net_put(msg, type, address->bytes, nsb_address_width(address->family) / 8);
}

struct nlattr *net_nest(struct nl_msg **msg, int type)
{
	struct nlattr *nest = *msg == NULL ? NULL : nla_nest_start(*msg, type);

	if (*msg != NULL && nest == NULL)
		spoil(msg);
	return nest;
}

void net_nest_end(struct nl_msg **msg, struct nlattr *nest)
{
	/* keeps an empty one, which means something to the kernel */
	if (*msg != NULL && nla_nest_end_keep_empty(*msg, nest) < 0)
		spoil(msg);
}

/* ---- answers ---- */

/* What the kernel said of the last request that failed. */
static char words[160];

/* The kernel's sentence stands behind the acknowledgement: an attribute after the header of the request (NETLINK_CAP_ACK). */
static void keep_words(const struct nlmsghdr *message)
{
	const struct nlmsgerr *failed = nlmsg_data(message);
	int left = nlmsg_datalen(message) - (int)sizeof(*failed);
	const struct nlattr *said;

	if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0 || left <= 0)
		return;
	said = nla_find((const struct nlattr *)(failed + 1), left, NLMSGERR_ATTR_MSG);
	if (said != NULL)
		snprintf(words, sizeof(words), "%.*s", nla_len(said), (const char *)nla_data(said));
}

/* Whether the answer ends here. *ret: with what; acknowledgements, and the ends of dumps, begin with an errno. */
static bool is_last(const struct nlmsghdr *message, int *ret)
{
	if (message->nlmsg_type != NLMSG_ERROR && message->nlmsg_type != NLMSG_DONE)
		return false;
	*ret = 0;
	if (nlmsg_datalen(message) >= (int)sizeof(int))
		memcpy(ret, nlmsg_data(message), sizeof(int));
	if (message->nlmsg_type == NLMSG_ERROR && *ret < 0)
		keep_words(message);
	return true;
}

/*
 * Not by nl_recvmsgs(), which copies every message before it shows it: a thousand boxes have two thousand routes.
 * NLM_F_DUMP_INTR is not looked at: something changed while the kernel told of it, but what was there all the time is told.
 */
static int receive(struct nl_sock *sock, uint32_t sequence, void (*each)(const struct nlmsghdr *message, void *data),
		   void *data)
{
	static union {
		struct nlmsghdr first;
		char bytes[32768]; /* as much as the kernel puts into one part of a dump */
	} buffer;

	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(nl_socket_get_fd(sock), &buffer, sizeof(buffer), MSG_TRUNC,
				     (struct sockaddr *)&from, &size);
		int left = (int)n, r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || n > (ssize_t)sizeof(buffer))
			return -EMSGSIZE;
		for (struct nlmsghdr *at = &buffer.first; from.nl_pid == 0 && nlmsg_ok(at, left);
		     at = nlmsg_next(at, &left)) {
			if (at->nlmsg_seq != sequence)
				continue;
			if (is_last(at, &r))
				return r;
			if (each != NULL)
				each(at, data);
		}
	}
}

int net_request(struct nl_sock *sock, struct nl_msg *msg, void (*each)(const struct nlmsghdr *message, void *data),
		void *data, const char **ret_words)
{
	int r = msg == NULL ? -ENOMEM : fault_at_request();
	uint32_t sequence = 0;

	words[0] = '\0';
	if (ret_words != NULL)
		*ret_words = words;
	if (r == 0) {
		r = nl_send_auto(sock, msg) < 0 ? -EIO : 0;
		sequence = nlmsg_hdr(msg)->nlmsg_seq;
	}
	nlmsg_free(msg);
	return r < 0 ? r : receive(sock, sequence, each, data);
}

uint32_t net_u32(const struct nlattr *attribute)
{
	return attribute == NULL || nla_len(attribute) != sizeof(uint32_t) ? 0 : nla_get_u32(attribute);
}

const char *net_text(const struct nlattr *attribute)
{
	int length = attribute == NULL ? 0 : nla_len(attribute);

	return length > 0 && ((const char *)nla_data(attribute))[length - 1] == '\0' ? nla_data(attribute) : "";
}

nsb_address net_address(const struct nlattr *attribute, int family, unsigned prefix)
{
	nsb_address address = { .family = family, .prefix = prefix };
	unsigned size = nsb_address_width(family) / 8;

	if (attribute == NULL || nla_len(attribute) != (int)size)
		return (nsb_address){ 0 };
	memcpy(address.bytes, nla_data(attribute), size);
	return address;
}
