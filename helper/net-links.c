/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pair of a box: made, given addresses and routes, taken away. A login waits for it, and requests to rtnetlink(7) are
 * what it costs; so they are few, and in this order:
 *
 *   the pair            its far end is in the box from the start; a taken name is noticed here, before there is anything
 *   the bucket          of a link that is down: on one that is up the kernel waits for a grace period
 *   the host's end      alias, flags of the port, no address of its own, up
 *   the box's end       up; addresses, neighbours and routes, each once per family
 *   the host's way      routes and neighbours
 *
 * Neighbours are entered, not asked for: the two ends know each other's address, and rules need not let ARP and neighbour
 * discovery through. Only on a bridge a box asks for its neighbours, who are strangers.
 */
#include "helper/net-links.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "helper/net-links-internal.h"

#define MTU_OF_VETH 1500 /* the kernel's own */

int links_ask(links *l, struct nl_sock *sock, struct nl_msg *msg, const char *doing)
{
	const char *words;
	int r = net_request(sock, msg, NULL, NULL, &words);

	if (r == 0)
		return 0;
	/* -EEXIST is what net_links_up() says of the link's name, and of nothing else */
	if (r == -EEXIST)
		r = -EADDRINUSE;
	return nsb_error_set(l->error, r, "the kernel cannot %s for box %s: %s%s%s", doing, l->record->id, strerror(-r),
			     words[0] != '\0' ? ": " : "", words);
}

/* ---- the pair ---- */

static void put_end(struct nl_msg **msg, const char *name, const unsigned char mac[6], uint32_t mtu)
{
	net_put_text(msg, IFLA_IFNAME, name);
	net_put(msg, IFLA_ADDRESS, mac, 6);
	/* the kernel would give each end as many as there are processors, with a directory in /sys for each of them */
	net_put_u32(msg, IFLA_NUM_TX_QUEUES, 1);
	net_put_u32(msg, IFLA_NUM_RX_QUEUES, 1);
	if (mtu != 0)
		net_put_u32(msg, IFLA_MTU, mtu);
}

static struct nl_msg *pair_message(const links *l, int netns)
{
	struct ifinfomsg head = { 0 };
	struct nl_msg *msg = net_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	/* A bridge shrinks its MTU to that of its smallest port: the host's network must not notice a box. */
	uint32_t mtu = links_on_bridge(l) ? l->bridge.link.mtu : 0;
	struct nlattr *info, *data, *peer;

	put_end(&msg, l->record->link, l->record->host_mac, mtu);
	if (links_on_bridge(l))
		net_put_u32(&msg, IFLA_MASTER, (uint32_t)l->bridge.link.index);
	info = net_nest(&msg, IFLA_LINKINFO);
	net_put_text(&msg, IFLA_INFO_KIND, "veth");
	data = net_nest(&msg, IFLA_INFO_DATA);
	peer = net_nest(&msg, VETH_INFO_PEER);
	if (msg != NULL && nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	put_end(&msg, LINKS_BOX_END, l->record->box_mac, mtu);
	net_put_u32(&msg, IFLA_NET_NS_FD, (uint32_t)netns);
	net_nest_end(&msg, peer);
	net_nest_end(&msg, data);
	net_nest_end(&msg, info);
	return msg;
}

static int make_pair(links *l, int netns)
{
	const char *words;
	int r = net_request(l->host, pair_message(l, netns), NULL, NULL, &words);

	if (r == -EEXIST) {
		/* eth0 of the box may be what exists: then another name would not help */
		if (net_link_index(l->host, l->record->link) > 0)
			return nsb_error_set(l->error, EEXIST, "there is a link %s on this host already",
					     l->record->link);
		r = -EBUSY;
	}
	if (r < 0)
		return nsb_error_set(l->error, r, "the links of box %s cannot be made: %s%s%s", l->record->id,
				     strerror(-r), words[0] != '\0' ? ": " : "", words);
	l->host_index = net_link_index(l->host, l->record->link);
	return l->host_index > 0 ? 0
				 : nsb_error_set(l->error, l->host_index, "link %s of box %s has gone again",
						 l->record->link, l->record->id);
}

/* ---- the host's end ---- */

static int limit_rate(links *l)
{
	struct tcmsg head = { .tcm_ifindex = l->host_index, .tcm_parent = TC_H_ROOT };
	net_bucket bucket = net_bucket_for(l->record->rate, links_on_bridge(l) ? l->bridge.link.mtu : MTU_OF_VETH);
	struct tc_tbf_qopt options = { .limit = bucket.limit };
	struct nl_msg *msg;
	struct nlattr *nest;

	if (l->record->rate == 0)
		return 0;
	options.rate.rate = bucket.rate > UINT32_MAX ? UINT32_MAX : (uint32_t)bucket.rate;
	/* the sizes are bytes: no table of transmission times, which tc(8) makes for kernels before 3.15 */
	options.rate.linklayer = TC_LINKLAYER_ETHERNET;
	msg = net_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	net_put_text(&msg, TCA_KIND, "tbf");
	nest = net_nest(&msg, TCA_OPTIONS);
	net_put(&msg, TCA_TBF_PARMS, &options, sizeof(options));
	net_put_u32(&msg, TCA_TBF_BURST, bucket.burst);
	if (bucket.rate > UINT32_MAX)
		net_put(&msg, TCA_TBF_RATE64, &bucket.rate, sizeof(bucket.rate));
	net_nest_end(&msg, nest);
	return links_ask(l, l->host, msg, "limit the rate (network_rate; sch_tbf)");
}

/*
 * The port talks to no other isolated port, and whatever the box sends, the tree of the bridge stays as it is. Nor does the bridge
 * learn from it: it would also from frames for link-local groups (LLDP, STP), which do not pass the hook where forged ones are
 * dropped (br_handle_local_finish), and lead a station's frames to the box. Where the box is it is told: add_station().
 */
static void put_port(struct nl_msg **msg)
{
	struct nlattr *info = net_nest(msg, IFLA_LINKINFO), *data;

	net_put_text(msg, IFLA_INFO_SLAVE_KIND, "bridge");
	data = net_nest(msg, IFLA_INFO_SLAVE_DATA);
	net_put_u8(msg, IFLA_BRPORT_ISOLATED, 1);
	net_put_u8(msg, IFLA_BRPORT_GUARD, 1);
	net_put_u8(msg, IFLA_BRPORT_PROTECT, 1); /* root block */
	net_put_u8(msg, IFLA_BRPORT_LEARNING, 0);
	net_nest_end(msg, data);
	net_nest_end(msg, info);
}

static void put_no_address(struct nl_msg **msg)
{
	struct nlattr *spec = net_nest(msg, IFLA_AF_SPEC), *ipv6 = net_nest(msg, AF_INET6);

	net_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	net_nest_end(msg, ipv6);
	net_nest_end(msg, spec);
}

/*
 * No ARP: neighbours are entered, and who asks from thousands of addresses fills the table of the whole host.
 * No IPv6 on the host's end but what the routes of the box need. The kernel looks at the flags of a message before its
 * address mode, but gives no address to a link without carrier, and that comes with the box's end.
 */
static int up_host_end(links *l)
{
	struct ifinfomsg head = { .ifi_index = l->host_index,
				  .ifi_flags = IFF_UP | IFF_NOARP,
				  .ifi_change = IFF_UP | IFF_NOARP };
	struct nl_msg *msg = net_message(RTM_NEWLINK, 0, &head, sizeof(head));
	bool ipv6 = !links_on_bridge(l) && links_ipv6(l);
	char alias[sizeof(NSB_LINK_ALIAS) + NSB_ID_LENGTH];
	int r = net_conf6_write(l->record->link, ipv6 ? "accept_ra" : "disable_ipv6", ipv6 ? 0 : 1);

	snprintf(alias, sizeof(alias), NSB_LINK_ALIAS "%s", l->record->id);
	net_put_text(&msg, IFLA_IFALIAS, alias);
	if (links_on_bridge(l))
		put_port(&msg);
	if (ipv6)
		put_no_address(&msg);
	if (r < 0 && r != -ENOENT) {
		nlmsg_free(msg);
		return nsb_error_set(l->error, r, "the sysctls of link %s cannot be written: %s", l->record->link,
				     strerror(-r));
	}
	return links_ask(l, l->host, msg, "set up the host's link");
}

/* What the bridge does not learn: the box's MAC is behind its port. */
static int add_station(links *l)
{
	struct ndmsg head = {
		.ndm_family = AF_BRIDGE, .ndm_ifindex = l->host_index, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER
	};
	struct nl_msg *msg = net_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));

	net_put(&msg, NDA_LLADDR, l->record->box_mac, 6);
	return links_ask(l, l->host, msg, "tell the bridge the MAC");
}

/* ---- the host's way to the box ---- */

int links_add_neighbour(links *l, struct nl_sock *sock, int index, const nsb_address *address,
			const unsigned char mac[6])
{
	struct ndmsg head = { .ndm_family = (unsigned char)address->family,
			      .ndm_ifindex = index,
			      .ndm_state = NUD_PERMANENT };
	struct nl_msg *msg = net_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));

	net_put_address(&msg, NDA_DST, address);
	net_put(&msg, NDA_LLADDR, mac, 6);
	return links_ask(l, sock, msg, "add a neighbour");
}

static int add_host_route(links *l, const nsb_address *address)
{
	struct rtmsg head = { .rtm_family = (unsigned char)address->family,
			      .rtm_dst_len = (unsigned char)address->prefix,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = NET_ROUTE_PROTOCOL,
			      .rtm_scope = RT_SCOPE_LINK,
			      .rtm_type = RTN_UNICAST };
	struct nl_msg *msg = net_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));

	net_put_address(&msg, RTA_DST, address);
	net_put_u32(&msg, RTA_OIF, (uint32_t)l->host_index);
	return links_ask(l, l->host, msg, "add a route");
}

static int host_way(links *l)
{
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0 && !links_on_bridge(l); i++) {
		const nsb_address *address = &l->record->address[i];

		if (address->family == 0)
			continue;
		r = links_add_neighbour(l, l->host, l->host_index, address, l->record->box_mac);
		if (r == 0)
			r = add_host_route(l, address);
	}
	return r;
}

static int links_make(links *l, int netns)
{
	int r = links_on_bridge(l) ? net_bridge_get(l->host, l->record, &l->bridge, l->error) : 0;

	if (r == 0)
		r = make_pair(l, netns);
	if (r == 0)
		r = limit_rate(l);
	if (r == 0)
		r = up_host_end(l);
	if (r == 0 && links_on_bridge(l))
		r = add_station(l);
	if (r == 0)
		r = box_end_enter(l, netns);
	if (r == 0)
		r = box_end_up(l);
	return r < 0 ? r : host_way(l);
}

int net_links_up(const nsb_network_record *record, int netns, nsb_error *error)
{
	NET_SOCKET struct nl_sock *host = NULL, *box = NULL;
	links l = { .record = record, .error = error };
	int r = net_socket_open(&host);

	if (r < 0)
		return nsb_error_set(error, r, "the kernel cannot be asked for links: %s", strerror(-r));
	l.host = host;
	r = links_make(&l, netns);
	box = l.box;
	return r;
}

/* ---- taking it away ---- */

/* By the alias; or, where `up` was killed before it had given one, by the MAC, which is in no other record. */
static bool is_ours(const net_link *link, const nsb_network_record *record)
{
	if (strcmp(link->kind, "veth") != 0)
		return false;
	if (link->alias[0] == '\0')
		return memcmp(link->mac, record->host_mac, sizeof(link->mac)) == 0;
	return strncmp(link->alias, NSB_LINK_ALIAS, strlen(NSB_LINK_ALIAS)) == 0 &&
	       strcmp(link->alias + strlen(NSB_LINK_ALIAS), record->id) == 0;
}

int net_links_down(const nsb_network_record *record, nsb_error *error)
{
	NET_SOCKET struct nl_sock *sock = NULL;
	struct ifinfomsg head = { 0 };
	net_link link = { 0 };
	int r = net_socket_open(&sock);

	if (r == 0)
		r = net_link_get(sock, record->link, 0, &link);
	/* somebody may have given it another name */
	if (r == -ENODEV || (r == 0 && !is_ours(&link, record)))
		r = net_link_find(sock, is_ours, record, &link);
	head.ifi_index = link.index;
	if (r == 0)
		r = net_request(sock, net_message(RTM_DELLINK, 0, &head, sizeof(head)), NULL, NULL, NULL);
	if (r == 0 || r == -ENODEV)
		return 0;
	return nsb_error_set(error, r, "link %s of box %s cannot be removed: %s", record->link, record->id,
			     strerror(-r));
}
