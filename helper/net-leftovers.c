/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses and names of links are leased: while a record has them, no other box gets them. So an element that names one when
 * a new box shall have it was left by a box whose record is gone. All of them must go, not only those that are in the
 * way: an `allow` of the dead box would be the new one's.
 */
#include "helper/net-leftovers.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "helper/net-nft.h"

#define WORDS_MAX 8

/* In which word of an element, from 0, the box is. */
static const struct {
	const char *set;
	unsigned address, link; /* NONE: in none */
#define NONE WORDS_MAX
} sets[] = {
	/* the first: an address whose box may have left connections does not rest */
	{ "set inet nsbox rest4", 0, NONE },
	{ "set inet nsbox rest6", 0, NONE },
	{ "set inet nsbox own4", 1, 0 },
	{ "set inet nsbox own6", 1, 0 },
	{ "set inet nsbox allow_all4", 0, NONE },
	{ "set inet nsbox allow_all6", 0, NONE },
	{ "set inet nsbox allow4", 0, NONE },
	{ "set inet nsbox allow6", 0, NONE },
	{ "set inet nsbox deny_all4", 0, NONE },
	{ "set inet nsbox deny_all6", 0, NONE },
	{ "set inet nsbox deny4", 0, NONE },
	{ "set inet nsbox deny6", 0, NONE },
	{ "set inet nsbox allow_host4", 0, NONE },
	{ "set inet nsbox allow_host6", 0, NONE },
	{ "set inet nsbox allow_boxes4", 0, NONE },
	{ "set inet nsbox allow_boxes6", 0, NONE },
	{ "set inet nsbox connections4", 0, NONE },
	{ "set inet nsbox connections6", 0, NONE },
	{ "set inet nsbox nat4", 0, NONE },
	{ "set inet nsbox nat6", 0, NONE },
	{ "map inet nsbox publish4", 2, NONE },
	{ "map inet nsbox publish6", 2, NONE },
	{ "set inet nsbox rates", NONE, 0 },
	/* the last, because by them it is seen that something was left */
	{ "set inet nsbox box4", 0, NONE },
	{ "set inet nsbox box6", 0, NONE },
	{ "set inet nsbox links", NONE, 0 },
	{ "set bridge nsbox own4", 1, 0 },
	{ "set bridge nsbox own6", 1, 0 },
	{ "set bridge nsbox box4", 0, NONE },
	{ "set bridge nsbox box6", 0, NONE },
	{ "set bridge nsbox allow_all4", 0, NONE },
	{ "set bridge nsbox allow_all6", 0, NONE },
	{ "set bridge nsbox allow4", 0, NONE },
	{ "set bridge nsbox allow6", 0, NONE },
	{ "set bridge nsbox deny_all4", 0, NONE },
	{ "set bridge nsbox deny_all6", 0, NONE },
	{ "set bridge nsbox deny4", 0, NONE },
	{ "set bridge nsbox deny6", 0, NONE },
	{ "set bridge nsbox mac", NONE, 0 },
	{ "set bridge nsbox target6", NONE, 0 },
	{ "set bridge nsbox rates", NONE, 0 },
	{ "set bridge nsbox links", NONE, 0 },
};

/* The words of an element: "tcp . 80 : 10.0.0.1 . 80", "\"link\" . 10.0.0.1", "10.0.0.1 . 10.0.0.0/8". */
static size_t split(char *element, char *words[WORDS_MAX])
{
	char *save = NULL;
	size_t n = 0;

	for (char *word = strtok_r(element, " \t\"", &save); word != NULL; word = strtok_r(NULL, " \t\"", &save))
		if (n < WORDS_MAX && strcmp(word, ".") != 0 && strcmp(word, ":") != 0)
			words[n++] = word;
	return n;
}

static bool names_box(const char *element, unsigned address, unsigned link, const nsb_network_record *record)
{
	NSB_FREE char *copy = strdup(element);
	char *words[WORDS_MAX], text[NSB_ADDRESS_SIZE];
	size_t n = copy == NULL ? 0 : split(copy, words);

	for (size_t i = 0; i < 2; i++) {
		nsb_address plain = record->address[i];

		if (plain.family == 0)
			continue;
		plain.prefix = nsb_address_width(plain.family);
		nsb_address_text(&plain, text);
		if (address < n && strcmp(words[address], text) == 0)
			return true;
	}
	return link < n && strcmp(words[link], record->link) == 0;
}

/* "table inet nsbox { set own4 { ... elements = { E, E, E } } }" */
static int remove_from(char *listing, size_t set, const nsb_network_record *record)
{
	char *begin = strstr(listing, "elements = {"), *end = begin == NULL ? NULL : strchr(begin, '}'), *save = NULL;
	net_nft_answer answer;
	int r = 0;

	if (end == NULL)
		return 0;
	*end = '\0';
	begin += strlen("elements = {");
	for (char *element = strtok_r(begin, ",\n", &save); r == 0 && element != NULL;
	     element = strtok_r(NULL, ",\n", &save)) {
		NSB_FREE char *command = NULL;

		if (!names_box(element, sets[set].address, sets[set].link, record))
			continue;
		command = nsb_format("delete element %s { %s }", strchr(sets[set].set, ' ') + 1, element);
		r = command == NULL ? -ENOMEM : net_nft_run(command, NULL, &answer);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int net_leftovers_remove(const nsb_network_record *record)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(sets) / sizeof(sets[0]); i++) {
		NSB_FREE char *command = nsb_format("list %s", sets[i].set), *listing = NULL;
		net_nft_answer answer;

		if (strstr(sets[i].set, "bridge") != NULL && record->kind != NSB_NETWORK_BRIDGE)
			continue;
		r = command == NULL ? -ENOMEM : net_nft_run(command, &listing, &answer);
		if (r == 0)
			r = remove_from(listing, i, record);
	}
	return r;
}
