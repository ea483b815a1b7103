/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/profile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/pattern.h"
#include "common/string-util.h"

typedef int (*matcher)(const char *word, const nsb_session *session, char *what, size_t size);

/* One list under judgement. */
typedef struct question {
	const char *key;
	const nsb_list *list;
	matcher match;
	const char *subject; /* what it is asked about, for sentences */
} question;

/* Adds to the sentence what fits. */
static void say(nsb_verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(nsb_verdict *verdict, const char *format, ...)
{
	size_t used = strlen(verdict->why);
	va_list args;

	va_start(args, format);
	vsnprintf(verdict->why + used, sizeof(verdict->why) - used, format, args);
	va_end(args);
}

/* "users: !@sudo (nsbox.conf:12)" */
static void say_item(nsb_verdict *verdict, const question *q, const char *item, nsb_origin at)
{
	const char *slash = at.file != NULL ? strrchr(at.file, '/') : NULL;

	say(verdict, "%s%s: %.64s", verdict->why[0] != '\0' ? "; " : "", q->key, item);
	if (at.file != NULL)
		say(verdict, " (%.64s:%u)", slash != NULL ? slash + 1 : at.file, at.line);
}

static void say_none(nsb_verdict *verdict, const question *q)
{
	char items[80] = "none of";
	size_t used = strlen(items);

	/* a long list is cut: the line is named */
	for (size_t i = 0; i < q->list->n && used < sizeof(items); i++)
		used += (size_t)snprintf(items + used, sizeof(items) - used, " %s", q->list->items[i]);
	if (used >= sizeof(items))
		memcpy(items + sizeof(items) - 4, "...", 4);
	say_item(verdict, q, items, q->list->origins[0]);
	say(verdict, " matches %s", q->subject);
}

/* 1: the list lets the session pass; 0: it does not; the verdict says why. -ENOMEM. */
static int judge(const question *q, const nsb_session *session, nsb_verdict *verdict)
{
	const nsb_list *list = q->list;
	char what[128] = "", found_what[128] = "";
	size_t found = list->n, inclusions = 0;

	/* all of it: an exclusion counts wherever it stands */
	for (size_t i = 0; i < list->n; i++) {
		bool excludes = list->items[i][0] == '!';
		int r;

		inclusions += !excludes;
		if (!excludes && found < list->n)
			continue;
		r = q->match(list->items[i] + excludes, session, what, sizeof(what));
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (excludes) {
			verdict->why[0] = '\0';
			say_item(verdict, q, list->items[i], list->origins[i]);
			say(verdict, " excludes %s", what);
			return 0;
		}
		found = i;
		memcpy(found_what, what, sizeof(what));
	}
	if (found < list->n) {
		say_item(verdict, q, list->items[found], list->origins[found]);
		say(verdict, " matches %s", found_what);
		return 1;
	}
	verdict->why[0] = '\0';
	if (list->n == 0) {
		say(verdict, "%s: empty, which matches nobody", q->key);
	} else if (inclusions == 0) {
		say_item(verdict, q, list->items[0], list->origins[0]);
		say(verdict, ": a list of exclusions only matches nobody");
	} else {
		say_none(verdict, q);
	}
	return 0;
}

static int judge_profile(const nsb_settings *settings, const nsb_session *session, nsb_verdict *verdict)
{
	const char *rhost = nsb_str_empty(session->rhost) ? "a local login" : session->rhost;
	const char *user = session->user != NULL ? session->user : "";
	const char *service = session->service != NULL ? session->service : "";
	char who[128];
	const question questions[] = {
		{ "users", &settings->users, nsb_pattern_match_user, who },
		{ "services", &settings->services, nsb_pattern_match_service, service },
		{ "from", &settings->from, nsb_pattern_match_from, rhost },
	};
	/* from: empty means anywhere */
	size_t n = settings->from.n > 0 ? 3 : 2;

	snprintf(who, sizeof(who), "%.64s (uid %u)", user, session->uid);
	for (size_t i = 0; i < n; i++) {
		int r = judge(&questions[i], session, verdict);

		if (r <= 0)
			return r;
	}
	return 1;
}

/* The lists of the profile itself that say whom it is for; the rest of it need not be looked at. */
static int take_lists(const nsb_section *profile, nsb_settings *settings, nsb_error *error)
{
	const nsb_key *services = nsb_key_find("services");
	bool has_services = false;
	int r;

	for (size_t i = 0; i < profile->n_assignments; i++) {
		const nsb_assignment *assignment = &profile->assignments[i];

		if (assignment->key->type != NSB_KEY_WORDS)
			continue;
		has_services = has_services || assignment->key == services;
		r = nsb_key_apply(assignment->key, assignment->value, assignment->at, settings, error);
		if (r < 0)
			return r == -EINVAL ? -EBADMSG : r;
	}
	if (has_services)
		return 0;
	return nsb_key_apply(services, services->fallback, (nsb_origin){ 0 }, settings, error);
}

static int add_verdict(nsb_choice *choice, const nsb_section *profile, nsb_verdict **ret)
{
	nsb_verdict *verdicts = nsb_grow(choice->verdicts, choice->n_verdicts, sizeof(*verdicts));

	if (verdicts == NULL)
		return -ENOMEM;
	choice->verdicts = verdicts;
	*ret = &verdicts[choice->n_verdicts++];
	**ret = (nsb_verdict){ .profile = profile };
	return 0;
}

static int try_profile(const nsb_section *profile, const nsb_session *session, nsb_choice *choice, nsb_error *error)
{
	__attribute__((cleanup(nsb_settings_done))) nsb_settings settings = { 0 };
	nsb_verdict *verdict;
	int r;

	r = add_verdict(choice, profile, &verdict);
	if (r < 0)
		return r;
	r = take_lists(profile, &settings, error);
	if (r < 0)
		return r;
	r = judge_profile(&settings, session, verdict);
	if (r < 0)
		return r;
	/* it quotes what the remote side has sent, and goes to terminals */
	nsb_make_printable(verdict->why);
	verdict->matches = r > 0;
	if (r > 0)
		choice->profile = profile;
	return 0;
}

static int take_forced(const nsb_config *config, const char *force, nsb_choice *choice, nsb_error *error)
{
	const nsb_section *profile = nsb_config_find(config, force);
	nsb_verdict *verdict;
	int r;

	if (profile == NULL)
		return nsb_error_set(error, ENOENT,
				     "there is no profile \"%.64s\" in the configuration (profile=%.64s)", force,
				     force);
	r = add_verdict(choice, profile, &verdict);
	if (r < 0)
		return r;
	say(verdict, "forced by profile=%.64s", force);
	verdict->matches = true;
	choice->profile = profile;
	return 0;
}

int nsb_profile_choose(const nsb_config *config, const nsb_session *session, const char *force, nsb_choice *ret,
		       nsb_error *error)
{
	nsb_choice choice = { 0 };
	int r = 0;

	if (force != NULL)
		r = take_forced(config, force, &choice, error);
	else
		for (size_t i = 0; r == 0 && choice.profile == NULL && i < nsb_config_n_profiles(config); i++)
			r = try_profile(nsb_config_profile(config, i), session, &choice, error);
	if (r == 0) {
		*ret = choice;
		return 0;
	}
	nsb_choice_done(&choice);
	return r == -ENOMEM ? nsb_error_set(error, ENOMEM, "no memory to choose a profile") : r;
}

void nsb_choice_done(nsb_choice *choice)
{
	free(choice->verdicts);
	memset(choice, 0, sizeof(*choice));
}
