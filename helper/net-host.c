/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/net-host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"

/* ---- links ---- */

static const char *kind_of(struct nlattr *info)
{
	return info == NULL ? "" : net_text(nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND));
}

static bool read_link(const struct nlmsghdr *message, net_link *ret)
{
	struct nlattr *tb[IFLA_MAX + 1];

	if (message->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(struct ifinfomsg), tb, IFLA_MAX, NULL) < 0)
		return false;
	*ret = (net_link){ .index = ((const struct ifinfomsg *)nlmsg_data(message))->ifi_index,
			   .mtu = net_u32(tb[IFLA_MTU]) };
	snprintf(ret->name, sizeof(ret->name), "%s", net_text(tb[IFLA_IFNAME]));
	snprintf(ret->kind, sizeof(ret->kind), "%s", kind_of(tb[IFLA_LINKINFO]));
	snprintf(ret->alias, sizeof(ret->alias), "%s", net_text(tb[IFLA_IFALIAS]));
	if (tb[IFLA_ADDRESS] != NULL && nla_len(tb[IFLA_ADDRESS]) == sizeof(ret->mac))
		memcpy(ret->mac, nla_data(tb[IFLA_ADDRESS]), sizeof(ret->mac));
	return true;
}

static void take_link(const struct nlmsghdr *message, void *data)
{
	read_link(message, data);
}

int net_link_get(struct nl_sock *sock, const char *name, int index, net_link *ret)
{
	struct ifinfomsg head = { .ifi_index = name == NULL ? index : 0 };
	struct nl_msg *msg = net_message(RTM_GETLINK, 0, &head, sizeof(head));
	net_link found = { 0 };
	int r;

	net_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (name != NULL)
		net_put_text(&msg, IFLA_IFNAME, name);
	r = net_request(sock, msg, take_link, &found, NULL);
	if (r == 0 && found.index == 0)
		r = -ENODEV;
	if (r == 0)
		*ret = found;
	return r;
}

typedef struct search {
	bool (*ours)(const net_link *link, const nsb_network_record *record);
	const nsb_network_record *record;
	net_link found;
} search;

static void look_at_link(const struct nlmsghdr *message, void *data)
{
	search *wanted = data;
	net_link link;

	if (wanted->found.index == 0 && read_link(message, &link) && wanted->ours(&link, wanted->record))
		wanted->found = link;
}

int net_link_find(struct nl_sock *sock, bool (*ours)(const net_link *link, const nsb_network_record *record),
		  const nsb_network_record *record, net_link *ret)
{
	struct ifinfomsg head = { 0 };
	struct nl_msg *msg = net_message(RTM_GETLINK, NLM_F_DUMP, &head, sizeof(head));
	search wanted = { .ours = ours, .record = record };
	struct nlattr *info;
	int r;

	net_put_u32(&msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	info = net_nest(&msg, IFLA_LINKINFO);
	net_put_text(&msg, IFLA_INFO_KIND, "veth");
	net_nest_end(&msg, info);
	r = net_request(sock, msg, look_at_link, &wanted, NULL);
	if (r < 0)
		return r;
	if (wanted.found.index == 0)
		return -ENODEV;
	*ret = wanted.found;
	return 0;
}

bool net_link_of_box(const net_link *link)
{
	return strcmp(link->kind, "veth") == 0 && nsb_after_prefix(link->alias, NSB_LINK_ALIAS) != NULL;
}

/* ---- bridges ---- */

static void take_station(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *head = nlmsg_data(message);
	net_bridge *bridge = data;
	struct nlattr *tb[IFA_MAX + 1];
	net_station *station = &bridge->stations[bridge->n];

	if (message->nlmsg_type != RTM_NEWADDR || (int)head->ifa_index != bridge->link.index ||
	    bridge->n == NET_STATIONS ||
	    nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(*head), tb, IFA_MAX, NULL) < 0)
		return;
	station->own = net_address(tb[IFA_LOCAL] != NULL ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], head->ifa_family,
				   nsb_address_width(head->ifa_family));
	/* a network of one address has no room for a box */
	if (station->own.family == 0 || head->ifa_prefixlen >= station->own.prefix)
		return;
	station->network = net_network_of(&station->own, head->ifa_prefixlen);
	bridge->n++;
}

int net_bridge_get(struct nl_sock *sock, const nsb_network_record *record, net_bridge *ret, nsb_error *error)
{
	struct ifaddrmsg head = { 0 };
	net_bridge bridge = { 0 };
	int r = net_link_get(sock, record->bridge, 0, &bridge.link);

	if (r == -ENODEV)
		return nsb_error_set(
			error, r,
			"there is no bridge %s on this host: make it (ip link add %s type bridge), or name "
			"another one in network",
			record->bridge, record->bridge);
	if (r == 0 && strcmp(bridge.link.kind, "bridge") != 0)
		return nsb_error_set(error, ENODEV, "%s is no bridge: name one in network (ip link show type bridge)",
				     record->bridge);
	head.ifa_index = (unsigned)bridge.link.index;
	if (r == 0)
		r = net_request(sock, net_message(RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head)), take_station, &bridge,
				NULL);
	if (r < 0)
		return nsb_error_set(error, r, "the addresses of bridge %s cannot be read: %s", record->bridge,
				     strerror(-r));
	*ret = bridge;
	return 0;
}

const net_station *net_bridge_station(const net_bridge *bridge, const nsb_address *pool)
{
	for (size_t i = 0; i < bridge->n; i++)
		if (bridge->stations[i].network.prefix <= pool->prefix &&
		    nsb_network_has(&bridge->stations[i].network, pool))
			return &bridge->stations[i];
	return NULL;
}

/* ---- routes ---- */

typedef struct visit {
	void (*each)(const net_route *route, void *data);
	void *data;
	int link;
} visit;

static bool parse_route(const struct nlmsghdr *message, net_route *ret)
{
	const struct rtmsg *head = nlmsg_data(message);
	struct nlattr *tb[RTA_MAX + 1];

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    nlmsg_parse((struct nlmsghdr *)(uintptr_t)message, sizeof(*head), tb, RTA_MAX, NULL) < 0)
		return false;
	*ret = (net_route){ .to = net_address(tb[RTA_DST], head->rtm_family, head->rtm_dst_len),
			    .gateway =
				    net_address(tb[RTA_GATEWAY], head->rtm_family, nsb_address_width(head->rtm_family)),
			    .type = head->rtm_type,
			    .protocol = head->rtm_protocol,
			    .link = (int)net_u32(tb[RTA_OIF]),
			    .metric = net_u32(tb[RTA_PRIORITY]) };
	ret->to.family = head->rtm_family;
	/* of several ways the first one */
	if (tb[RTA_MULTIPATH] != NULL && nla_len(tb[RTA_MULTIPATH]) >= (int)sizeof(struct rtnexthop))
		ret->link = ((const struct rtnexthop *)nla_data(tb[RTA_MULTIPATH]))->rtnh_ifindex;
	return true;
}

/* Of a dump those that are looked at. */
static bool read_route(const struct nlmsghdr *message, net_route *ret)
{
	const struct rtmsg *head = nlmsg_data(message);

	/* both tables have numbers that fit into the header; a kernel that does not know filters tells of others too */
	if (message->nlmsg_type != RTM_NEWROUTE || (head->rtm_flags & RTM_F_CLONED) != 0 ||
	    (head->rtm_table != RT_TABLE_MAIN && (head->rtm_table != RT_TABLE_LOCAL || head->rtm_type != RTN_LOCAL)) ||
	    net_route_of_box(head->rtm_family, head->rtm_dst_len, head->rtm_protocol))
		return false;
	return parse_route(message, ret);
}

static void look_at_route(const struct nlmsghdr *message, void *data)
{
	const visit *wanted = data;
	net_route route;

	if (read_route(message, &route) && (wanted->link == 0 || wanted->link == route.link))
		wanted->each(&route, wanted->data);
}

static int dump_routes(struct nl_sock *sock, const struct rtmsg *head, visit *wanted)
{
	struct nl_msg *msg = net_message(RTM_GETROUTE, NLM_F_DUMP, head, sizeof(*head));

	net_put_u32(&msg, RTA_TABLE, head->rtm_table);
	if (wanted->link != 0)
		net_put_u32(&msg, RTA_OIF, (uint32_t)wanted->link);
	return net_request(sock, msg, look_at_route, wanted, NULL);
}

int net_routes(struct nl_sock *sock, int family, int link, void (*each)(const net_route *route, void *data), void *data)
{
	struct rtmsg head = { .rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_MAIN };
	visit wanted = { .each = each, .data = data, .link = link };
	int r = dump_routes(sock, &head, &wanted);

	/* of the table local the addresses only: IPv6 has a line for multicast in it for each link */
	head.rtm_table = RT_TABLE_LOCAL;
	head.rtm_type = RTN_LOCAL;
	return r < 0 ? r : dump_routes(sock, &head, &wanted);
}

void net_better_router(const net_route *route, int link, net_route *best)
{
	if (route->to.prefix == 0 && route->type == RTN_UNICAST && route->link == link && route->gateway.family != 0 &&
	    (best->gateway.family == 0 || route->metric < best->metric))
		*best = *route;
}

typedef struct router {
	int link;
	net_route best;
} router;

static void look_at_router(const net_route *route, void *data)
{
	router *wanted = data;

	net_better_router(route, wanted->link, &wanted->best);
}

int net_router(struct nl_sock *sock, int family, int link, nsb_address *ret)
{
	struct rtmsg head = { .rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_MAIN };
	router best = { .link = link };
	visit wanted = { .each = look_at_router, .data = &best, .link = link };
	int r = dump_routes(sock, &head, &wanted);

	if (r == 0)
		*ret = best.best.gateway;
	return r;
}

static void take_route(const struct nlmsghdr *message, void *data)
{
	parse_route(message, data);
}

int net_route_to(struct nl_sock *sock, const nsb_address *address, net_route *ret)
{
	struct rtmsg head = { .rtm_family = (unsigned char)address->family,
			      .rtm_dst_len = (unsigned char)nsb_address_width(address->family),
			      .rtm_flags = RTM_F_FIB_MATCH };
	struct nl_msg *msg = net_message(RTM_GETROUTE, 0, &head, sizeof(head));
	net_route found = { 0 };
	int r;

	net_put_address(&msg, RTA_DST, address);
	r = net_request(sock, msg, take_route, &found, NULL);
	if (r == 0 && found.to.family != address->family)
		r = -EBADMSG;
	if (r == 0)
		*ret = found;
	return r;
}

/* ---- sysctls ---- */

#define SYSCTL "/proc/sys/net/"

int net_sysctl_read(const char *name)
{
	char path[128], text[32];
	uint64_t value;
	ssize_t n;

	snprintf(path, sizeof(path), SYSCTL "%s", name);
	n = nsb_read_text_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	return nsb_parse_u64(text, INT32_MAX, &value) < 0 ? -EINVAL : (int)value;
}

int net_sysctl_write(const char *name, int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), SYSCTL "%s", name);
	snprintf(text, sizeof(text), "%d\n", value);
	return nsb_write_text_at(AT_FDCWD, path, text);
}

int net_conf6_read(const char *link, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "ipv6/conf/%s/%s", link, name);
	return net_sysctl_read(path);
}

int net_conf6_write(const char *link, const char *name, int value)
{
	char path[96];

	snprintf(path, sizeof(path), "ipv6/conf/%s/%s", link, name);
	return net_sysctl_write(path, value);
}

bool net_has_ipv6(void)
{
	return access(SYSCTL "ipv6", F_OK) == 0;
}
