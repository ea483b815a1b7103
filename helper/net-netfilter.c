/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/net-netfilter.h"

#include <string.h>

void netfilter_begin(netfilter_message *m, int subsystem, int type, int flags, int family)
{
	memset(m, 0, sizeof(*m));
	m->head = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(sizeof(m->netfilter)),
				     .nlmsg_type = (unsigned short)(subsystem << 8 | type),
				     .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags) };
	m->netfilter.nfgen_family = (unsigned char)family;
}

static struct nlattr *end_of(netfilter_message *m)
{
	return (struct nlattr *)((char *)m + NLMSG_ALIGN(m->head.nlmsg_len));
}

void netfilter_put(netfilter_message *m, int type, const void *data, size_t size)
{
	struct nlattr *attribute = end_of(m);

	attribute->nla_type = (unsigned short)type;
	attribute->nla_len = (unsigned short)(NLA_HDRLEN + size);
	memcpy((char *)attribute + NLA_HDRLEN, data, size);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + NLA_ALIGN(attribute->nla_len);
}

struct nlattr *netfilter_nest(netfilter_message *m, int type)
{
	struct nlattr *nest = end_of(m);

	netfilter_put(m, type | NLA_F_NESTED, "", 0);
	return nest;
}

void netfilter_nest_end(netfilter_message *m, struct nlattr *nest)
{
	nest->nla_len = (unsigned short)((char *)end_of(m) - (char *)nest);
}

const struct nlattr *netfilter_find(const void *from, size_t size, int type)
{
	const char *at = from;

	while (size >= NLA_HDRLEN) {
		const struct nlattr *attribute = (const struct nlattr *)at;
		size_t length = NLA_ALIGN(attribute->nla_len);

		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > size)
			return NULL;
		if ((attribute->nla_type & NLA_TYPE_MASK) == type)
			return attribute;
		at += length;
		size = length < size ? size - length : 0;
	}
	return NULL;
}

const struct nlattr *netfilter_find_in(const struct nlattr *nest, int type)
{
	return nest == NULL ? NULL
			    : netfilter_find((const char *)nest + NLA_HDRLEN, (size_t)nest->nla_len - NLA_HDRLEN, type);
}
