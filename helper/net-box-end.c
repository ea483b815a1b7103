/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of the pair that is in the box: its sysctls, addresses and routes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "helper/net-links-internal.h"

/* Where the box sends what is not for itself. The addresses are in no network and on no link: they only name the
 * neighbour entry with the host end's MAC. */
static const nsb_address veth_gateway[2] = {
	{ .family = AF_INET, .bytes = { 169, 254, 1, 1 }, .prefix = 32 },
	{ .family = AF_INET6, .bytes = { 0xfe, 0x80, [15] = 1 }, .prefix = 128 },
};

/* ---- from within ---- */

/* In the box's namespace, which is what /proc/sys/net shows; before the link is up. */
static int box_sysctls(const links *l)
{
	int r = 0;

	if (!net_has_ipv6())
		return 0;
	if (!links_ipv6(l))
		return net_conf6_write(LINKS_BOX_END, "disable_ipv6", 1);
	r = net_conf6_write(LINKS_BOX_END, "accept_ra", 0);
	if (r == 0)
		r = net_conf6_write(LINKS_BOX_END, "autoconf", 0);
	/* a link-local address only where there are neighbours that may want to speak to it */
	if (r == 0 && !links_on_bridge(l))
		r = net_conf6_write(LINKS_BOX_END, "addr_gen_mode", IN6_ADDR_GEN_MODE_NONE);
	return r;
}

/* What must be done by a task of the box's namespace: a socket there, sysctls. The caller's namespace is its own again
 * afterwards, or nothing that this program does later can be right. */
int box_end_enter(links *l, int netns)
{
	NSB_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0 || setns(netns, CLONE_NEWNET) < 0)
		return nsb_error_set(l->error, errno, "the network namespace of box %s cannot be entered: %s",
				     l->record->id, strerror(errno));
	r = net_socket_open(&l->box);
	if (r == 0)
		r = box_sysctls(l);
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	return r < 0 ? nsb_error_set(l->error, r, "the network of box %s cannot be set up from within: %s",
				     l->record->id, strerror(-r))
		     : 0;
}

/* ---- from without ---- */

static int add_address(links *l, const nsb_address *address, unsigned prefix, const nsb_address *broadcast)
{
	struct ifaddrmsg head = { .ifa_family = (unsigned char)address->family,
				  .ifa_prefixlen = (unsigned char)prefix,
				  .ifa_index = (unsigned)l->box_index };
	struct nl_msg *msg;

	/* whoever leased it knows that nobody else has it: no second of waiting */
	if (address->family == AF_INET6)
		head.ifa_flags = IFA_F_NODAD;
	msg = net_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	net_put_address(&msg, IFA_LOCAL, address);
	net_put_address(&msg, IFA_ADDRESS, address);
	if (broadcast != NULL)
		net_put_address(&msg, IFA_BROADCAST, broadcast);
	return links_ask(l, l->box, msg, "add an address");
}

/* In the box everything goes to the gateway, which is on the link whatever its address looks like. */
static int add_default_route(links *l, const nsb_address *gateway)
{
	struct rtmsg head = { .rtm_family = (unsigned char)gateway->family,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = RTPROT_STATIC,
			      .rtm_type = RTN_UNICAST,
			      .rtm_flags = RTNH_F_ONLINK };
	struct nl_msg *msg = net_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));

	net_put_address(&msg, RTA_GATEWAY, gateway);
	net_put_u32(&msg, RTA_OIF, (uint32_t)l->box_index);
	return links_ask(l, l->box, msg, "add a default route");
}

/* For boxes whose gateway is the host. Only where it is off: the kernel goes through all links at each write. */
static int set_forwarding(const links *l, int family)
{
	const char *name = family == AF_INET ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding";
	int r = 0;

	if (l->record->set_forwarding && net_sysctl_read(name) == 0)
		r = net_sysctl_write(name, 1);
	return r < 0 ? nsb_error_set(l->error, r, "/proc/sys/net/%s cannot be set (forwarding = set): %s", name,
				     strerror(-r))
		     : 0;
}

static int box_gateway(links *l, const net_station *station, nsb_address *ret)
{
	int r = net_router(l->host, station->own.family, l->bridge.link.index, ret);

	if (r < 0)
		return nsb_error_set(l->error, r, "the host's routes cannot be read: %s", strerror(-r));
	if (ret->family != 0)
		return 0;
	*ret = station->own;
	return set_forwarding(l, ret->family);
}

static int box_address_on_bridge(links *l, const nsb_address *address)
{
	const net_station *station = net_bridge_station(&l->bridge, address);
	nsb_address gateway, broadcast;
	int r;

	if (station == NULL)
		return nsb_error_set(l->error, ENODEV, "bridge %s has lost the network of box %s", l->record->bridge,
				     l->record->id);
	broadcast = net_broadcast(&station->network);
	r = box_gateway(l, station, &gateway);
	if (r == 0)
		r = add_address(l, address, station->network.prefix, address->family == AF_INET ? &broadcast : NULL);
	return r < 0 ? r : add_default_route(l, &gateway);
}

static int box_address(links *l, const nsb_address *address)
{
	const nsb_address *gateway = &veth_gateway[address->family == AF_INET ? 0 : 1];
	int r;

	if (links_on_bridge(l))
		return box_address_on_bridge(l, address);
	r = set_forwarding(l, address->family);
	if (r == 0)
		r = add_address(l, address, address->prefix, NULL);
	if (r == 0)
		r = links_add_neighbour(l, l->box, l->box_index, gateway, l->record->host_mac);
	return r < 0 ? r : add_default_route(l, gateway);
}

int box_end_up(links *l)
{
	struct ifinfomsg head = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	int r;

	l->box_index = net_link_index(l->box, LINKS_BOX_END);
	if (l->box_index <= 0)
		return nsb_error_set(l->error, l->box_index, "the link of box %s has gone again", l->record->id);
	head.ifi_index = l->box_index;
	r = links_ask(l, l->box, net_message(RTM_NEWLINK, 0, &head, sizeof(head)), "set up the box's link");
	for (size_t i = 0; i < 2 && r == 0; i++)
		if (l->record->address[i].family != 0)
			r = box_address(l, &l->record->address[i]);
	return r;
}
