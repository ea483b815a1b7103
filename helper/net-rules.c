/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A box's part of the rules. Each change is one transaction: there is no moment in which a box has half of its rules.
 *
 * What keeps a box closed when something fails:
 *
 *   up     the elements come before the link. Connections of whoever had the address before are forgotten when the new box's
 *          elements are in, because from then on none can come that the rules would not have let in. An address that rests
 *          has none.
 *   down   the link goes before the elements (nsbox-net.c), and those by which packets pass before those by which they are known.
 *          In between connections are forgotten: a walk through all of the kernel's, which a login does not have to wait for.
 */
#include "helper/net-rules.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "helper/net-elements.h"
#include "helper/net-flows.h"
#include "helper/net-leftovers.h"
#include "helper/net-nft.h"
#include "helper/net-rest.h"
#include "helper/net-table.h"

#define TRIES 16 /* others make the table, or remove it, while we look */

/* ---- the words ---- */

static int stale(const net_nft_answer *answer, nsb_error *error)
{
	return nsb_error_set(
		error, ESTALE,
		"the nftables table nsbox is not as this program makes it (%s): when no box with a network is alive, "
		"remove it with \"nft delete table inet nsbox\" and \"nft delete table bridge nsbox\"",
		answer->words);
}

static int failed(const char *what, int r, const net_nft_answer *answer, nsb_error *error)
{
	return nsb_error_set(error, r, "nftables: cannot %s the rules of the box: %s%s%s%s", what, answer->words,
			     answer->command[0] == '\0' ? "" : " (", answer->command,
			     answer->command[0] == '\0' ? "" : ")");
}

/* A port that another box has. False: the answer is about something else. */
static bool is_published(int r, const net_nft_answer *answer, nsb_error *error)
{
	const char *where = strstr(answer->command, " nsbox publish");
	unsigned protocol, port;

	if (where == NULL || (r != -EEXIST && r != -EBUSY) ||
	    sscanf(where, " nsbox publish%*c { %u . %u", &protocol, &port) != 2)
		return false;
	nsb_error_set(error, EADDRINUSE, "publish: port %u/%s of the host is another box's already", port,
		      protocol == 17 ? "udp" : "tcp");
	return true;
}

/* ---- up ---- */

/* The tables that the record needs and that are not there, as text; "" if all are. */
static int missing_tables(const nsb_network_record *record, char **ret, net_nft_answer *answer)
{
	NSB_FREE char *listing = NULL;
	bool inet, bridge;
	int r = net_nft_run("list tables", &listing, answer);

	if (r < 0)
		return r;
	inet = strstr(listing, "table inet nsbox\n") == NULL;
	bridge = record->kind == NSB_NETWORK_BRIDGE && strstr(listing, "table bridge nsbox\n") == NULL;
	*ret = nsb_format("%s%s", inet ? net_table_inet : "", bridge ? net_table_bridge : "");
	return *ret == NULL ? -ENOMEM : 0;
}

static bool is_race(int r, const net_nft_answer *answer)
{
	if (r == -EINTR || r == -EAGAIN || r == -ERESTART)
		return true;
	return r == -EEXIST && strncmp(answer->command, "create table", strlen("create table")) == 0;
}

/*
 * Runs `text`, after the tables that are missing. The elements are tried first, because the table is nearly always there.
 * *ret_made: a table was missing.
 */
static int put_in(const nsb_network_record *record, const char *text, bool *ret_made, net_nft_answer *answer,
		  nsb_error *error)
{
	NSB_FREE char *tables = strdup("");
	bool clean = false, there = false;
	int r = -ENOMEM;

	for (int i = 0; tables != NULL && i < TRIES; i++) {
		NSB_FREE char *all = nsb_format("%s%s", tables, text);

		r = all == NULL ? -ENOMEM : net_nft_run(all, NULL, answer);
		*ret_made = tables[0] != '\0';
		if (r == 0 || is_published(r, answer, error))
			return r == 0 ? 0 : -EADDRINUSE;
		if (is_race(r, answer) || r == -ENOENT || !answer->by_kernel) {
			net_nft_answer why = *answer;
			bool race = is_race(r, answer);

			free(nsb_steal_pointer(&tables));
			if (r != -ENOENT && !race && why.command[0] == '\0')
				break; /* of the library as a whole: no privileges, no memory */
			r = missing_tables(record, &tables, answer);
			if (r < 0)
				break;
			/* the first time another first box may have made it in between */
			if (!race && there)
				return stale(&why, error);
			there = tables[0] == '\0';
		} else if (r == -EEXIST && !clean) {
			/* See net-leftovers.c. Once: what is there again was not left by a dead box. */
			clean = true;
			r = net_leftovers_remove(record);
			if (r < 0)
				break;
		} else {
			break;
		}
	}
	return failed("add", r, answer, error);
}

/* Whatever the kernel remembers of the box's addresses is not the box's. */
static int forget_flows(const nsb_network_record *record, nsb_error *error)
{
	int r = net_flows_forget(record->address);

	return r < 0 ? nsb_error_set(error, r, "cannot make the kernel forget the connections of a former box: %s%s",
				     strerror(-r), r == -EOPNOTSUPP ? " (it needs CONFIG_NF_CT_NETLINK)" : "")
		     : 0;
}

static int elements_of(const nsb_network_record *record, net_elements *ret, nsb_error *error)
{
	int r = net_elements_make(record, ret);

	return r < 0 ? nsb_error_set(error, r, "cannot make rules of the record of the box's network: %s", strerror(-r))
		     : 0;
}

/*
 * An address that rests, and is no box's, is one that the last box has left in order: nobody could connect to it or in its name since.
 * 0; 1: it does not, or something else is in the way.
 */
static int up_at_once(const nsb_network_record *record, const net_elements *elements, nsb_error *error)
{
	net_nft_answer answer = { 0 };
	int r = net_rest_all(record->address);

	if (r < 0)
		return nsb_error_set(error, r, "cannot look at the rules of the box: %s", strerror(-r));
	if (r == 0)
		return 1;
	r = net_nft_run(elements->make, NULL, &answer);
	if (r == -ENOENT || r == -EEXIST || r == -EBUSY || is_race(r, &answer))
		return 1;
	return r < 0 ? failed("add", r, &answer, error) : 0;
}

/* While nobody has the address and it does not rest, whoever is near the host sends in its name or to it, and the box would go on
 * with such a connection as `established`. */
static int up_slowly(const nsb_network_record *record, const net_elements *elements, nsb_error *error)
{
	net_nft_answer answer = { 0 };
	nsb_error ignored = { 0 };
	bool made;
	int r = put_in(record, elements->make, &made, &answer, error);

	if (r == 0) {
		r = forget_flows(record, error);
		if (r < 0)
			net_rules_down(record, &ignored);
	}
	return r;
}

int net_rules_up(const nsb_network_record *record, nsb_error *error)
{
	net_elements elements = { 0 };
	int r = elements_of(record, &elements, error);

	if (r == 0)
		r = up_at_once(record, &elements, error);
	if (r == 1)
		r = up_slowly(record, &elements, error);
	net_elements_free(&elements);
	return r;
}

/* ---- renew ---- */

/* Whether the rules still know the box. Where they do not its link is entered by this, without an address: closed. */
static bool is_known(const nsb_network_record *record)
{
	NSB_FREE char *text = nsb_format("create element inet nsbox links { \"%s\" }\n", record->link);
	net_nft_answer answer;

	return text != NULL && net_nft_run(text, NULL, &answer) == -EEXIST;
}

int net_rules_renew(const nsb_network_record *record, nsb_error *error)
{
	net_elements elements = { 0 };
	net_nft_answer answer = { 0 };
	bool made = false, known = is_known(record);
	int r = elements_of(record, &elements, error);

	if (r == 0)
		r = put_in(record, elements.renew, &made, &answer, error);
	/* While there were no rules everybody could connect to the box, and it to everybody: such connections would go on. The table
	 * alone tells nothing: another box may have made it again. */
	if (r == 0 && (made || !known))
		r = forget_flows(record, error);
	net_elements_free(&elements);
	return r;
}

/* ---- down ---- */

/* Again while others change the tables at the same time. */
static int run_again(const char *text, net_nft_answer *answer)
{
	int r = net_nft_run(text, NULL, answer);

	for (int i = 0; is_race(r, answer) && i < TRIES; i++)
		r = net_nft_run(text, NULL, answer);
	return r;
}

/* A line at a time: what is missing is no error, and no reason to leave the rest. */
static int remove_lines(char *text, net_nft_answer *ret_answer)
{
	char *save = NULL;
	int result = 0;

	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		net_nft_answer answer;
		int r = run_again(line, &answer);

		if (r < 0 && r != -ENOENT && result == 0) {
			result = r;
			*ret_answer = answer;
		}
	}
	return result;
}

static int take_out(char *text, nsb_error *error)
{
	net_nft_answer answer;
	int r = net_nft_run(text, NULL, &answer);

	if (r < 0)
		r = remove_lines(text, &answer);
	return r < 0 ? failed("remove", r, &answer, error) : 0;
}

/* Whether the port leads to this box. Negative errno where the kernel does not say. */
static int leads_here(const char *set, const char *key, const char *data)
{
	NSB_FREE char *question = nsb_format("get element %s { %s }\n", set, key);
	NSB_FREE char *wanted = nsb_format(" : %s", data);
	int r = -EINTR;

	if (question == NULL || wanted == NULL)
		return -ENOMEM;
	for (int i = 0; r == -EINTR && i < TRIES; i++) {
		NSB_FREE char *output = NULL;
		net_nft_answer answer;

		r = net_nft_run(question, &output, &answer);
		if (r == 0)
			return strstr(output, wanted) != NULL;
		if (is_race(r, &answer))
			r = -EINTR;
	}
	return r == -ENOENT ? 0 : r;
}

/* Lines that remove the ports that lead to this box. Another's would be removed by the same lines: the kernel looks at the key
 * alone. 0 with *ret, which the caller frees. */
static int remove_published(char *published, char **ret)
{
	NSB_FREE char *lines = strdup("");
	char *save = NULL;

	for (char *line = strtok_r(published, "\n", &save); line != NULL && lines != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *key = strchr(line, '\t'), *data = strrchr(line, '\t');
		NSB_FREE char *before = NULL;
		int r;

		*key++ = '\0';
		*data++ = '\0';
		r = leads_here(line, key, data);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		before = nsb_steal_pointer(&lines);
		lines = nsb_format("%sdelete element %s { %s }\n", before, line, key);
	}
	*ret = nsb_steal_pointer(&lines);
	return *ret == NULL ? -ENOMEM : 0;
}

/* Removes all by which the box's packets may pass, and the ports that lead to it. What is left drops what comes in its name. */
static int shut(const net_elements *elements, nsb_error *error)
{
	NSB_FREE char *text = NULL, *published = NULL;
	int r = remove_published(elements->published, &published);

	if (r < 0)
		return nsb_error_set(error, r, "cannot look at the published ports: %s", strerror(-r));
	text = nsb_format("%s%s", published, elements->shut);
	return text == NULL ? nsb_error_set(error, ENOMEM, "no memory") : take_out(text, error);
}

/* In one transaction its addresses are no box's and rest. Where something of the box was missing, anything may have come in between:
 * then they do not, also not still. */
static int lay_to_rest(const net_elements *elements, nsb_error *error)
{
	NSB_FREE char *text = nsb_format("%s%s", elements->forget, elements->rest);
	NSB_FREE char *restless = nsb_format("%s%s", elements->wake, elements->forget);
	net_nft_answer answer;
	int r;

	if (text == NULL || restless == NULL)
		return nsb_error_set(error, ENOMEM, "no memory");
	r = run_again(text, &answer);
	return r < 0 ? take_out(restless, error) : 0;
}

int net_rules_down(const nsb_network_record *record, nsb_error *error)
{
	net_elements elements = { 0 };
	int r = elements_of(record, &elements, error);

	if (r == 0)
		r = shut(&elements, error);
	/* before the address is another box's: it would take up what this one has left */
	if (r == 0)
		r = forget_flows(record, error);
	if (r == 0)
		r = lay_to_rest(&elements, error);
	net_elements_free(&elements);
	return r;
}
