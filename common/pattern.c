/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/pattern.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/string-util.h"

#define DIGITS	     "0123456789"
#define ID_MAX	     4294967294U /* (uid_t)-1 means "no id" to the kernel */

typedef struct id_range {
	uint64_t first, last;
} id_range;

/* Whether the text is made of those characters only. */
static bool only(const char *text, const char *characters)
{
	return text[0] != '\0' && text[strspn(text, characters)] == '\0';
}

/* Takes the "!" off; the rest is the word proper. A comma is in no name of a user, group, service or host, but in many
 * a list made by habit, and "!alice,bob" would exclude nobody. */
static int take_exclusion(const char **word, nsb_error *error)
{
	const char *whole = *word;

	if (whole[0] == '!')
		(*word)++;
	if (**word == '\0')
		return nsb_error_set(error, EINVAL, "\"%s\" names nothing", whole);
	if (**word == '!')
		return nsb_error_set(error, EINVAL, "\"%.128s\" has more than one \"!\"", whole);
	if (strchr(whole, ',') != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\" has a comma in it: divide words by blanks", whole);
	return 0;
}

/* "N" or "N-M": 1; other text: 0; -EINVAL for what can only be meant as a range but is none. */
static int parse_range(const char *text, id_range *range, nsb_error *error)
{
	char first[NSB_ADDRESS_SIZE];
	size_t length = strcspn(text, "-");
	const char *last = text[length] == '-' ? text + length + 1 : text;

	if (!only(text, DIGITS "-"))
		return 0;
	if (length >= sizeof(first))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is beyond the largest id, %u", text, ID_MAX);
	memcpy(first, text, length);
	first[length] = '\0';
	if (last == text)
		last = first;
	if (!only(first, DIGITS) || !only(last, DIGITS))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is neither an id nor a range like 1000-59999", text);
	if (nsb_parse_u64(first, ID_MAX, &range->first) < 0 || nsb_parse_u64(last, ID_MAX, &range->last) < 0)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is beyond the largest id, %u", text, ID_MAX);
	if (range->first > range->last)
		return nsb_error_set(error, EINVAL, "the range \"%.128s\" is empty: its first id is the larger one",
				     text);
	return 1;
}

int nsb_pattern_check_user(const char *word, nsb_error *error)
{
	id_range range;
	int r;

	r = take_exclusion(&word, error);
	if (r < 0)
		return r;
	if (word[0] == '@') {
		word++;
		if (word[0] == '\0')
			return nsb_error_set(error, EINVAL, "\"@\" lacks the name of a group");
		if (word[0] == '!')
			return nsb_error_set(error, EINVAL, "\"@%.128s\": write \"!\" in front of \"@\"", word);
	}
	r = parse_range(word, &range, error);
	return r < 0 ? r : 0;
}

int nsb_pattern_check_service(const char *word, nsb_error *error)
{
	return take_exclusion(&word, error);
}

/* An address or network: 1; a word of another kind: 0; -EINVAL for what can only be meant as an address. */
static int parse_network(const char *text, nsb_address *ret, nsb_error *error)
{
	size_t length = strcspn(text, "/");
	int r;

	/* A glob like "10.0.*" would match the name "10.0.example.org", which whoever owns the address can choose. */
	if (only(text, DIGITS ".*?[]-!") && strpbrk(text, DIGITS) != NULL && strpbrk(text, "*?[-") != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\": write a range of addresses as ADDRESS/PREFIX", text);
	if (text[length] == '\0' && strchr(text, ':') == NULL && !only(text, DIGITS "."))
		return 0;
	r = nsb_network_parse(text, ret, error);
	return r < 0 ? r : 1;
}

int nsb_pattern_check_from(const char *word, nsb_error *error)
{
	nsb_address net;
	int r;

	r = take_exclusion(&word, error);
	if (r < 0)
		return r;
	r = parse_network(word, &net, error);
	return r < 0 ? r : 0;
}

/* 1, 0; -ENOMEM, which fnmatch(3) reports in multibyte locales: an exclusion that could not be tried is no "no". */
static int glob_matches(const char *glob, const char *text, int flags)
{
	int r;

	/* Exact names come first: a name may hold what a glob gives a meaning to, such as "[". */
	if (strcmp(glob, text) == 0)
		return 1;
	r = fnmatch(glob, text, FNM_NOESCAPE | flags);
	if (r == 0)
		return 1;
	return r == FNM_NOMATCH ? 0 : -ENOMEM;
}

static int match_group(const char *word, const nsb_session *session, char *what, size_t size)
{
	id_range range;
	int r, numeric = parse_range(word, &range, NULL);

	for (size_t i = 0; i < session->n_groups; i++) {
		const nsb_group *group = &session->groups[i];

		if (numeric > 0) {
			if (group->gid < range.first || group->gid > range.last)
				continue;
			snprintf(what, size, "gid %ju", (uintmax_t)group->gid);
			return 1;
		}
		if (group->name == NULL)
			continue;
		r = glob_matches(word, group->name, 0);
		if (r == 0)
			continue;
		if (r > 0)
			snprintf(what, size, "group %s", group->name);
		return r;
	}
	return 0;
}

int nsb_pattern_match_user(const char *word, const nsb_session *session, char *what, size_t size)
{
	id_range range;
	int r;

	if (word[0] == '@')
		return match_group(word + 1, session, what, size);
	if (parse_range(word, &range, NULL) > 0) {
		if (session->uid < range.first || session->uid > range.last)
			return 0;
		snprintf(what, size, "uid %ju", (uintmax_t)session->uid);
		return 1;
	}
	if (nsb_str_empty(session->user))
		return 0;
	r = glob_matches(word, session->user, 0);
	if (r > 0)
		snprintf(what, size, "user %s", session->user);
	return r;
}

int nsb_pattern_match_service(const char *word, const nsb_session *session, char *what, size_t size)
{
	const char *service = session->service != NULL ? session->service : "";
	int r = glob_matches(word, service, 0);

	if (r > 0)
		snprintf(what, size, "%s", service);
	return r;
}

int nsb_pattern_match_from(const char *word, const nsb_session *session, char *what, size_t size)
{
	const char *rhost = session->rhost != NULL ? session->rhost : "";
	char text[NSB_ADDRESS_SIZE];
	nsb_address wanted, address;
	size_t length;
	int r;

	if (strcmp(word, "local") == 0) {
		snprintf(what, size, "no remote host");
		return rhost[0] == '\0';
	}
	r = parse_network(word, &wanted, NULL);
	if (r <= 0) {
		r = r < 0 ? 0 : glob_matches(word, rhost, FNM_CASEFOLD);
		snprintf(what, size, "host \"%s\"", rhost);
		return r;
	}
	/* fe80::1%eth0: the zone says through which interface, not who */
	length = strcspn(rhost, "%");
	if (length >= sizeof(text))
		return 0;
	memcpy(text, rhost, length);
	text[length] = '\0';
	if (!nsb_address_parse(text, &address))
		return 0;
	snprintf(what, size, "address %s", rhost);
	return nsb_network_has(&wanted, &address);
}
