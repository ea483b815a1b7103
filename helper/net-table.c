/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables: inet nsbox, and for boxes on bridges bridge nsbox. Made by the first box, never changed after that: a box
 * is elements of their sets and maps (net-elements.c), so that the last of a thousand costs what the first one costs.
 *
 * What holds everywhere:
 *
 *   - Packets that neither come from a box nor go to one pass. Every policy is accept, and an accept of ours ends only our
 *     chain: a drop of another table wins.
 *   - A box is known by its source address, because no packet gets past `prerouting` with one that is not its own.
 *   - Numbers stand for the family: own4, own6.
 *   - Rules without protocol have sets of their own (`..._all`): "th dport" does not match a packet that has no room for a port,
 *     and what is denied altogether is denied without looking for one.
 *
 * Sources: nft(8), the Netfilter hooks' order in linux/netfilter_ipv4.h. What nft 1.0.6 (Debian 12) does not know is avoided.
 */
#include "helper/net-table.h"

/* Which packets of a box may leave it, where: the same in both tables. ROUTER FAMILY ADDRESS-TYPE */
#define REACH_SETS(n, type)                                                                                           \
	"	set allow_all" n " { type " type " . " type "; flags interval; }\n"                                    \
	"	set allow" n " { type " type " . " type " . inet_proto . inet_service; flags interval; }\n"            \
	"	set deny_all" n " { type " type " . " type "; flags interval; }\n"                                     \
	"	set deny" n " { type " type " . " type " . inet_proto . inet_service; flags interval; }\n"

/* First allow, then deny, then the default: all but link-local addresses, behind which clouds keep the host's secrets (one of them
 * has an IPv6 address beside). The sets of allow leave these out, but where they are named. */
#define REACH_RULES(n, ip, link_local, yes)                                                                                \
	"		" ip " saddr . " ip " daddr @allow_all" n " " yes "\n"                                          \
	"		" ip " saddr . " ip " daddr . meta l4proto . th dport @allow" n " " yes "\n"                    \
	"		" ip " saddr . " ip " daddr @deny_all" n " goto refuse\n"                                      \
	"		" ip " saddr . " ip " daddr . meta l4proto . th dport @deny" n " goto refuse\n"                \
	"		" ip " daddr " link_local " goto refuse\n"

#define NET_RATES "	set rates { type ifname; limit rate over 1 bytes/second; }\n"

#define LINK_LOCAL4 "169.254.0.0/16"
#define LINK_LOCAL6 "{ fe80::/10, fd00:ec2::254 }"

const char net_table_inet[] =
	"create table inet nsbox\n"
	"table inet nsbox {\n"
	"	set " NET_TABLE_LAYOUT " { type mark; }\n"

	/* The hosts' ends of boxes; what may come from where; all boxes, also those on bridges. */
	"	set links { type ifname; }\n"
	"	set own4 { type ifname . ipv4_addr; }\n"
	"	set own6 { type ifname . ipv6_addr; }\n"
	"	set box4 { type ipv4_addr; }\n"
	"	set box6 { type ipv6_addr; }\n"
	/* network_rate, from the box: each element has a limit of its own. (A named one each would be read in every change.) */
	NET_RATES
	/* network_connections: each element counts its own */
	"	set connections4 { type ipv4_addr; ct count over 1; }\n"
	"	set connections6 { type ipv6_addr; ct count over 1; }\n"
	/* Addresses that boxes had: closed, so that the next one need not look for connections in their name. They are left here
	 * meanwhile, because for what is removed the kernel waits for a grace period. */
	"	set rest4 { type ipv4_addr; timeout 1h; }\n"
	"	set rest6 { type ipv6_addr; timeout 1h; }\n"
	/* allow and deny */
	REACH_SETS("4", "ipv4_addr")
	REACH_SETS("6", "ipv6_addr")
	"	set allow_host4 { type ipv4_addr . inet_proto . inet_service; flags interval; }\n"
	"	set allow_host6 { type ipv6_addr . inet_proto . inet_service; flags interval; }\n"
	"	set allow_boxes4 { type ipv4_addr . inet_proto . inet_service; flags interval; }\n"
	"	set allow_boxes6 { type ipv6_addr . inet_proto . inet_service; flags interval; }\n"
	/* nat and publish */
	"	set nat4 { type ipv4_addr; }\n"
	"	set nat6 { type ipv6_addr; }\n"
	"	map publish4 { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
	"	map publish6 { type inet_proto . inet_service : ipv6_addr . inet_service; }\n"

	/* Spoofing, before anything is remembered of a packet: from a box's link only its own addresses (and so neither
	 * router advertisements nor anything else that is link-local), and from nowhere else an address of a box. */
	"	chain prerouting {\n"
	"		type filter hook prerouting priority raw; policy accept;\n"
	"		iifname @links goto from_link\n"
	"		ip saddr @box4 iifname . ip saddr != @own4 drop\n"
	"		ip6 saddr @box6 iifname . ip6 saddr != @own6 drop\n"
	"		ip saddr @rest4 ip saddr != @box4 drop\n"
	"		ip6 saddr @rest6 ip6 saddr != @box6 drop\n"
	"	}\n"
	/* The limit comes first: what is dropped for its source costs as well. What is neither IPv4 nor IPv6 is dropped: a
	 * link whose `own` elements are gone, or not yet there, is closed. */
	"	chain from_link {\n"
	"		iifname @rates drop\n"
	"		iifname . ip saddr @own4 accept\n"
	"		iifname . ip6 saddr @own6 accept\n"
	"		drop\n"
	"	}\n"

	/* publish: what arrives for an address of the host, from outside and from boxes... */
	"	chain published {\n"
	"		type nat hook prerouting priority dstnat; policy accept;\n"
	"		fib daddr type local goto lead_in\n"
	"	}\n"
	/* ... and from the host itself. */
	"	chain published_here {\n"
	"		type nat hook output priority -100; policy accept;\n"
	"		fib daddr type local goto lead_in\n"
	"	}\n"
	/* Not to loopback addresses: the reply would have to go to one. And a packet for one that comes by wire would no longer
	 * be recognized as the forgery that it is. */
	"	chain lead_in {\n"
	"		ip daddr 127.0.0.0/8 return\n"
	"		ip6 daddr ::1 return\n"
	"		meta nfproto ipv4 dnat ip to meta l4proto . th dport map @publish4\n"
	"		meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @publish6\n"
	"	}\n"

	/* To the host's own services. `related` are ICMP errors. On a bridge a box and the others must find each other by neighbour
	 * discovery, which belongs to no connection (and comes to these chains in `forward` as well where br_netfilter is on); what was
	 * routed has a smaller hop limit. That it does not lie has been seen to in the table of the bridge. */
	"	chain input {\n"
	"		type filter hook input priority filter; policy accept;\n"
	"		ip saddr @box4 goto to_host\n"
	"		ip6 saddr @box6 goto to_host\n"
	"	}\n"
	"	chain to_host {\n"
	"		ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
	"		ct state established,related accept\n"
	"		ct state invalid drop\n"
	"		ip saddr . meta l4proto . th dport @allow_host4 goto counted\n"
	"		ip6 saddr . meta l4proto . th dport @allow_host6 goto counted\n"
	"		goto refuse\n"
	"	}\n"

	/* From a box to elsewhere, and from elsewhere to a box. Between boxes the sender's rules decide. */
	"	chain forward {\n"
	"		type filter hook forward priority filter; policy accept;\n"
	"		ip daddr @rest4 ip daddr != @box4 goto into_rest\n"
	"		ip6 daddr @rest6 ip6 daddr != @box6 goto into_rest\n"
	"		ip saddr @box4 goto out4\n"
	"		ip6 saddr @box6 goto out6\n"
	"		ip daddr @box4 goto into_box\n"
	"		ip6 daddr @box6 goto into_box\n"
	"	}\n"
	/* What belongs to no connection (`invalid`) would leave with the box's own address, because nat does not see it. */
	"	chain out4 {\n"
	"		ct state established,related accept\n"
	"		ct state invalid drop\n"
	"		ip daddr @box4 ip saddr . meta l4proto . th dport @allow_boxes4 goto counted\n"
	"		ip daddr @box4 goto refuse\n"
	REACH_RULES("4", "ip", LINK_LOCAL4, "goto counted")
	"		goto counted\n"
	"	}\n"
	"	chain out6 {\n"
	"		ct state established,related accept\n"
	"		ct state invalid drop\n"
	"		ip6 daddr @box6 ip6 saddr . meta l4proto . th dport @allow_boxes6 goto counted\n"
	"		ip6 daddr @box6 goto refuse\n"
	REACH_RULES("6", "ip6", LINK_LOCAL6, "goto counted")
	"		goto counted\n"
	"	}\n"
	/* network_connections: asked last, because what is refused shall not count. */
	"	chain counted {\n"
	"		ct state new ip saddr @connections4 goto refuse\n"
	"		ct state new ip6 saddr @connections6 goto refuse\n"
	"		accept\n"
	"	}\n"
	/* Whoever sends from the host itself is outside as well. With IPv6 any user there can choose the address that he sends from
	 * (IPV6_FREEBIND); `related` are what chain `refuse` sends in the name of a box, and ICMP errors. */
	"	chain output {\n"
	"		type filter hook output priority filter; policy accept;\n"
	"		ip saddr @box4 ct state != related drop\n"
	"		ip6 saddr @box6 ct state != related drop\n"
	"		ip saddr @rest4 ct state != related drop\n"
	"		ip6 saddr @rest6 ct state != related drop\n"
	"		ip daddr @rest4 ip daddr != @box4 drop\n"
	"		ip6 daddr @rest6 ip6 daddr != @box6 drop\n"
	"		ip daddr @box4 goto into_box\n"
	"		ip6 daddr @box6 goto into_box\n"
	"	}\n"
	"	chain into_rest {\n"
	"		ip saddr @box4 goto refuse\n"
	"		ip6 saddr @box6 goto refuse\n"
	"		drop\n"
	"	}\n"
	/* `dnat`: what was led in, by publish or by a rule of the administrator's own. */
	"	chain into_box {\n"
	"		ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
	"		ct state established,related accept\n"
	"		ct status dnat accept\n"
	"		drop\n"
	"	}\n"
	/* A box is told, so that its programs need not wait. TCP over IPv6 takes an ICMP error that comes while connect(2) is still
	 * sending for a passing one, and waits a second; a reset it believes. */
	"	chain refuse {\n"
	"		meta nfproto ipv6 meta l4proto tcp reject with tcp reset\n"
	"		reject with icmpx admin-prohibited\n"
	"	}\n"

	/* nat: boxes see each other's addresses, nobody else does. */
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat; policy accept;\n"
	"		ip saddr @nat4 ip daddr != @box4 masquerade\n"
	"		ip6 saddr @nat6 ip6 daddr != @box6 masquerade\n"
	"	}\n"
	"}\n";

/* What passes from a box's port to the other stations of its bridge, which the host's IP layer does not see. Nothing here
 * knows of connections (nft_reject_bridge and nf_conntrack_bridge are not everywhere): `deny` also stops answers. */
const char net_table_bridge[] =
	"create table bridge nsbox\n"
	"table bridge nsbox {\n"
	"	set " NET_TABLE_LAYOUT " { type mark; }\n"
	"	set links { type ifname; }\n"
	"	set mac { type ifname . ether_addr; }\n"
	"	set own4 { type ifname . ipv4_addr; }\n"
	"	set own6 { type ifname . ipv6_addr; }\n"
	"	set box4 { type ipv4_addr; }\n"
	"	set box6 { type ipv6_addr; }\n"
	/* the same addresses as numbers, because nft 1.0.6 has no name for the target of a neighbour advertisement */
	"	set target6 { typeof iifname . @th,64,128; }\n"
	NET_RATES
	REACH_SETS("4", "ipv4_addr")
	REACH_SETS("6", "ipv6_addr")

	/* Spoofing, by the addresses of all layers. */
	"	chain prerouting {\n"
	"		type filter hook prerouting priority -300; policy accept;\n"
	"		iifname @links goto from_link\n"
	"	}\n"
	/* The type comes first: what has a VLAN tag would match `ip saddr` too. */
	"	chain from_link {\n"
	"		iifname @rates drop\n"
	"		iifname . ether saddr != @mac drop\n"
	"		ether type arp goto from_link_arp\n"
	"		ether type ip goto from_link4\n"
	"		ether type ip6 goto from_link6\n"
	"		drop\n"
	"	}\n"
	"	chain from_link_arp {\n"
	"		arp htype 1 arp ptype ip arp hlen 6 arp plen 4 iifname . arp saddr ether @mac iifname . arp saddr ip @own4 accept\n"
	"		drop\n"
	"	}\n"
	/* A box answers for no DHCP server. */
	"	chain from_link4 {\n"
	"		iifname . ip saddr != @own4 drop\n"
	"		udp sport 67 drop\n"
	"	}\n"
	/* Nor for a router, nor for a neighbour that it is not; nor does it hide what it sends behind headers of which the first
	 * fragment is full (RFC 7113). */
	"	chain from_link6 {\n"
	"		iifname . ip6 saddr != @own6 drop\n"
	"		frag nexthdr { 0, 43, 44, 60 } drop\n"
	"		icmpv6 type { nd-router-advert, nd-redirect } drop\n"
	"		icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @target6 drop\n"
	"		udp sport 547 drop\n"
	"	}\n"

	/* allow and deny towards the bridge's stations and what is behind them. Who is a neighbour may always be asked. */
	"	chain forward {\n"
	"		type filter hook forward priority filter; policy accept;\n"
	"		iifname @links goto from_box\n"
	"	}\n"
	"	chain from_box {\n"
	"		icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept\n"
	"		ether type ip goto out4\n"
	"		ether type ip6 goto out6\n"
	"	}\n"
	/* Ports of boxes are isolated from each other, but a router among the stations would send back what is for a box. */
	"	chain out4 {\n"
	"		ip daddr @box4 goto refuse\n"
	REACH_RULES("4", "ip", LINK_LOCAL4, "accept")
	"	}\n"
	"	chain out6 {\n"
	"		ip6 daddr @box6 goto refuse\n"
	REACH_RULES("6", "ip6", LINK_LOCAL6, "accept")
	"	}\n"
	"	chain refuse {\n"
	"		drop\n"
	"	}\n"
	"}\n";
