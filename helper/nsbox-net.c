/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsbox-net check|up|down|rules: the network of a box with network = veth or bridge, by its record (common/network.h) on
 * standard input.
 *
 *   check   whether it could be made: pool, forwarding, bridge. Changes nothing (and forwarding = set only with up).
 *   up      makes it; descriptor 3 is the network namespace of the box. All of it or nothing. Of the host's routes it looks at those
 *           alone that are in the way of this box: `check`, which the account phase runs, reads them all.
 *   down    takes away what there is of it, in whatever state; also what a part of `up` left that was killed.
 *   rules   puts the rules in again where somebody has removed them.
 *
 * Order of `up`: rules first, then links, so that no packet passes without them. Of `down`: the reverse.
 *
 * Exit status: 0; 1 with a sentence on standard error; 2 for wrong usage; 3 if the name of the link is taken: the caller
 * chooses another one; 4 if a port to be published is another box's, which may be ending.
 *
 * A program of its own, because its libraries have no business in logins that need no network of their own.
 * Sources: rtnetlink(7), veth(4), nft(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/network.h"
#include "helper/net-links.h"
#include "helper/net-ports.h"
#include "helper/net-rules.h"
#include "helper/net.h"

static int read_record(nsb_network_record *ret, nsb_error *error)
{
	static char text[NSB_RECORD_TEXT_MAX];
	ssize_t n = nsb_read_text(STDIN_FILENO, text, sizeof(text));
	int r = n < 0 ? (int)n : nsb_network_record_parse(text, (size_t)n, ret);

	return r < 0 ? nsb_error_set(error, r, "the record of the box's network cannot be read: %s", strerror(-r)) : 0;
}

static int check(const nsb_network_record *record, nsb_error *error)
{
	int r = net_links_check(record, error);

	return r == 0 ? net_ports_check(record, error) : r;
}

static int take_away(const nsb_network_record *record, nsb_error *error)
{
	int r = net_links_down(record, error);

	/* while the link is there its packets need the rules */
	return r < 0 ? r : net_rules_down(record, error);
}

static int up(const nsb_network_record *record, nsb_error *error)
{
	nsb_error ignored = { 0 };
	int r = net_links_check_own(record, error);

	if (r == 0)
		r = net_ports_check(record, error);
	if (r == 0)
		r = net_rules_up(record, error);
	if (r < 0)
		return r;
	r = net_links_up(record, NSB_NET_FD_NAMESPACE, error);
	if (r < 0) {
		/* a link of that name is not ours, which take_away() knows by its alias */
		take_away(record, &ignored);
		return r == -EADDRINUSE ? -EBUSY : r;
	}
	return 0;
}

static const struct {
	const char *verb;
	int (*run)(const nsb_network_record *record, nsb_error *error);
} verbs[] = { { "check", check }, { "up", up }, { "down", take_away }, { "rules", net_rules_renew } };

int main(int argc, char **argv)
{
	static nsb_network_record record;
	nsb_error error = { 0 };
	int r;

	for (size_t i = 0; argc == 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].verb) != 0)
			continue;
		r = read_record(&record, &error);
		if (r == 0)
			r = verbs[i].run(&record, &error);
		if (r < 0)
			fprintf(stderr, "%s\n", error.words[0] != '\0' ? error.words : strerror(-r));
		return r == 0		  ? NSB_NET_OK
		       : r == -EEXIST	  ? NSB_NET_NAME_TAKEN
		       : r == -EADDRINUSE ? NSB_NET_PORT_TAKEN
					  : NSB_NET_FAILED;
	}
	fprintf(stderr, "usage: nsbox-net check|up|down|rules <RECORD\n");
	return NSB_NET_USAGE;
}
