/* SPDX-License-Identifier: BSD-3-Clause */
/* What keeps boxes from the network that their profiles promise. Sources: proc(5), nft(8), and the kernel's
 * networking/ip-sysctl.rst. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/network.h"
#include "common/string-util.h"
#include "ctl/doctor.h"
#include "ctl/profile-plan.h"

#define PROGRAM	     NSB_LIBEXECDIR "/nsbox-net"
#define NFTABLES     "/etc/nftables.conf"
#define DISABLE_IPV6 "/proc/sys/net/ipv6/conf/default/disable_ipv6"
#define FILE_MOST    (256 * 1024)
#define OWN_LINKS    "nsb-"
#define RTF_LOCAL_V6 0x80000000 /* linux/ipv6_route.h: an address of the host, whose network has a line of its own */

/* ---- what profiles want ---- */

/* Whether nsbox-net makes one for each box. */
static bool makes_network(const nsb_settings *settings)
{
	nsb_network kind = nsb_network_kind(settings->network, NULL);

	return kind == NSB_NETWORK_VETH || kind == NSB_NETWORK_BRIDGE;
}

static void wants_network(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	const nsb_section **whose = argument;

	if (*whose == NULL && makes_network(settings))
		*whose = profile;
}

/* The first profile that `take` takes, or NULL. */
static const nsb_section *first_of(const doctor *d, profile_take *take)
{
	const nsb_section *whose = NULL;

	profiles_each(d->config, take, &whose);
	return whose;
}

/* ---- nsbox-net ---- */

static void look_at_program(doctor *d)
{
	const nsb_section *whose = first_of(d, wants_network);

	if (whose != NULL && access(PROGRAM, F_OK) < 0 && errno == ENOENT)
		doctor_find_new(
			d, FINDING_PROBLEM, PROGRAM,
			nsb_format("the program that makes networks of boxes is missing, and profile %s wants one: "
				   "logins are refused",
				   whose->name),
			"install nsbox built with libnl and libnftables (configure --with-network=yes), or write "
			"network = loopback");
}

/* ---- forwarding ---- */

static bool has_pool(const nsb_settings *settings, int family)
{
	for (size_t i = 0; i < settings->network_pool.n; i++) {
		nsb_address pool;

		if (nsb_network_parse(settings->network_pool.items[i], &pool, NULL) == 0 && pool.family == family)
			return true;
	}
	return false;
}

typedef struct forwarding_row {
	int family;
	const char *name, *path, *remedy;
} forwarding_row;

static const forwarding_row forwarding_rows[] = {
	{ AF_INET, "IPv4", "/proc/sys/net/ipv4/ip_forward",
	  "write \"net.ipv4.ip_forward = 1\" into /etc/sysctl.d/60-nsbox.conf, then run: sysctl --system" },
	{ AF_INET6, "IPv6", "/proc/sys/net/ipv6/conf/all/forwarding",
	  "write \"net.ipv6.conf.all.forwarding = 1\" into /etc/sysctl.d/60-nsbox.conf, before it "
	  "\"net.ipv6.conf.IFACE.accept_ra "
	  "= 2\" where the kernel takes router advertisements, then run: sysctl --system; or give boxes an IPv4 pool "
	  "alone" },
};

/* 0, 1; -1: it cannot be read. */
static int forwards(doctor *d, const forwarding_row *row)
{
	char text[32];
	ssize_t n = nsb_read_text_at(AT_FDCWD, row->path, text, sizeof(text));

	if (n < 0)
		doctor_unseen(d, row->path, (int)n);
	return n < 0 ? -1 : text[0] != '0';
}

static void look_at_forwarding_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	doctor *d = argument;
	NSB_FREE char *where = doctor_origin(profile->at);

	if (nsb_network_kind(settings->network, NULL) != NSB_NETWORK_VETH)
		return;
	for (size_t i = 0; i < sizeof(forwarding_rows) / sizeof(forwarding_rows[0]); i++) {
		const forwarding_row *row = &forwarding_rows[i];

		if (!has_pool(settings, row->family) || forwards(d, row) != 0)
			continue;
		if (settings->forwarding == NSB_FORWARDING_CHECK)
			doctor_find_new(
				d, FINDING_PROBLEM, row->path,
				nsb_format(
					"the host does not forward %s, and profile %s has network = veth: logins are "
					"refused",
					row->name, profile->name),
				row->remedy);
		else
			doctor_find_new(
				d, FINDING_NOTE, where,
				nsb_format(
					"profile %s: forwarding: the next login makes the host a router of %s between "
					"all its networks, for good",
					profile->name, row->name),
				row->remedy);
	}
}

static void look_at_forwarding(doctor *d)
{
	profiles_each(d->config, look_at_forwarding_of, d);
}

/* ---- IPv6 ---- */

static void look_at_ipv6_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	NSB_FREE char *where = doctor_origin(profile->at);
	doctor *d = argument;
	char text[32];
	ssize_t n;

	if (!makes_network(settings) || !has_pool(settings, AF_INET6))
		return;
	n = nsb_read_text_at(AT_FDCWD, DISABLE_IPV6, text, sizeof(text));
	if (n < 0 && n != -ENOENT)
		doctor_unseen(d, DISABLE_IPV6, (int)n);
	else if (n < 0 || text[0] == '1')
		doctor_find_new(
			d, FINDING_PROBLEM, where,
			nsb_format(
				"profile %s: network_pool: it has IPv6, which this host has not, or has switched off "
				"(net.ipv6.conf.default.disable_ipv6): logins are refused",
				profile->name),
			"write a network_pool of IPv4 alone, or switch IPv6 on");
}

static void look_at_ipv6(doctor *d)
{
	profiles_each(d->config, look_at_ipv6_of, d);
}

/* ---- rules of others ---- */

/* Whether a line of the ruleset does that: comments are left out, words may be divided by any blanks. */
static bool flushes_ruleset(char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n;", &save); line != NULL; line = strtok_r(NULL, "\n;", &save)) {
		char first[16], second[16];

		if (sscanf(line, " %15s %15s", first, second) == 2 && strcmp(first, "flush") == 0 &&
		    strcmp(second, "ruleset") == 0)
			return true;
	}
	return false;
}

static void look_at_rulesets(doctor *d)
{
	const nsb_section *whose = first_of(d, wants_network);
	NSB_FREE char *text = whose != NULL ? malloc(FILE_MOST) : NULL;
	ssize_t n;

	if (whose == NULL)
		return;
	n = text != NULL ? nsb_read_text_at(AT_FDCWD, NFTABLES, text, FILE_MOST) : -ENOMEM;
	if (n < 0)
		doctor_unseen(d, NFTABLES, (int)n);
	else if (flushes_ruleset(text))
		doctor_find_new(
			d, FINDING_WARNING, NFTABLES,
			nsb_format(
				"it says flush ruleset: each start or reload of nftables.service removes the rules of "
				"boxes (profile %s), which for up to ten seconds reach the host and each other",
				whose->name),
			"write \"table inet filter\" and \"delete table inet filter\" in its place, for each table of "
			"that file");
}

/* ---- pools ---- */

typedef struct route {
	nsb_address network;
	unsigned flags; /* RTF_... */
	char link[32];	/* "*": it leads nowhere */
} route;

/* "eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF ...": addresses as the number that their bytes make on this machine. */
static bool parse_route_v4(const char *line, route *ret)
{
	uint32_t destination, mask;

	if (sscanf(line, "%31s %8" SCNx32 " %*s %8x %*s %*s %*s %8" SCNx32, ret->link, &destination, &ret->flags,
		   &mask) != 4)
		return false;
	ret->network = (nsb_address){ .family = AF_INET, .prefix = (unsigned)__builtin_popcount(mask) };
	memcpy(ret->network.bytes, &destination, 4);
	return true;
}

/* "fd00...0 40 0000...0 00 ... flags link" */
static bool parse_route_v6(const char *line, route *ret)
{
	char destination[33];

	ret->network = (nsb_address){ .family = AF_INET6 };
	if (sscanf(line, "%32[0-9a-f] %2x %*s %*s %*s %*s %*s %*s %8x %31s", destination, &ret->network.prefix,
		   &ret->flags, ret->link) != 4 ||
	    strlen(destination) != 32 || ret->network.prefix > 128 || (ret->flags & RTF_LOCAL_V6) != 0)
		return false;
	for (size_t i = 0; i < 16; i++) {
		const char pair[3] = { destination[2 * i], destination[2 * i + 1], '\0' };

		ret->network.bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return true;
}

/* Not the default route, nor one to a box, nor one that leads nowhere (blackhole). */
static bool is_in_the_way(const route *one, const nsb_address *pool)
{
	return one->network.prefix > 0 && nsb_networks_overlap(&one->network, pool) && (one->flags & RTF_REJECT) == 0 &&
	       strcmp(one->link, "*") != 0 && nsb_after_prefix(one->link, OWN_LINKS) == NULL;
}

/* The first route that is in the way of the pool. */
static bool find_route(const nsb_address *pool, const char *path, bool (*parse)(const char *, route *), route *ret)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (!found && file != NULL && getline(&line, &size, file) >= 0)
		found = parse(line, ret) && is_in_the_way(ret, pool);
	free(line);
	if (file != NULL)
		fclose(file);
	return found;
}

static void look_at_pool(doctor *d, const nsb_section *profile, const char *word, nsb_origin at)
{
	NSB_FREE char *where = doctor_origin(at.file != NULL ? at : profile->at);
	char network[NSB_ADDRESS_SIZE];
	nsb_address pool;
	route one;
	bool found;

	if (nsb_network_parse(word, &pool, NULL) < 0)
		return;
	found = pool.family == AF_INET ? find_route(&pool, "/proc/net/route", parse_route_v4, &one)
				       : find_route(&pool, "/proc/net/ipv6_route", parse_route_v6, &one);
	if (!found)
		return;
	nsb_address_text(&one.network, network);
	doctor_find_new(
		d, FINDING_PROBLEM, where,
		nsb_format("profile %s: network_pool: %s overlaps %s, to which the host has a route by %s: logins are "
			   "refused",
			   profile->name, word, network, one.link),
		"write a network_pool that nobody else uses");
}

/* On a bridge the pool lies in a network of the host. */
static void look_at_pools_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	const nsb_list *pools = &settings->network_pool;

	if (nsb_network_kind(settings->network, NULL) != NSB_NETWORK_VETH)
		return;
	for (size_t i = 0; i < pools->n; i++)
		look_at_pool(argument, profile, pools->items[i], pools->origins[i]);
}

static void look_at_pools(doctor *d)
{
	profiles_each(d->config, look_at_pools_of, d);
}

static const doctor_check checks[] = {
	{ "nsbox-net", look_at_program, NULL },	 { "forwarding", look_at_forwarding, NULL },
	{ "ipv6", look_at_ipv6, NULL },		 { "flush-ruleset", look_at_rulesets, NULL },
	{ "network-pool", look_at_pools, NULL },
};
const doctor_subject doctor_network = { "network", checks, sizeof(checks) / sizeof(checks[0]) };
