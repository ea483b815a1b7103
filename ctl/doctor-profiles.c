/* SPDX-License-Identifier: BSD-3-Clause */
/* What profiles give up, and who gets none. What a box does not protect against is the plan's own list. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/capability-table.h"
#include "common/fd-util.h"
#include "common/pattern.h"
#include "common/plan.h"
#include "common/string-util.h"
#include "ctl/doctor.h"
#include "ctl/name-servers.h"
#include "ctl/profile-plan.h"
#include "ctl/unprotected.h"
#include "helper/check.h"
#include "helper/device-match.h"

#define FIRST_USER 1000 /* login.defs(5), UID_MIN */
#define NOBODY	   65534

/* --- lines that give something up --- */

/* Where the value of the key comes from: the profile, what it inherits, [defaults]; else the profile's first line. */
static nsb_origin origin_of(const nsb_config *config, const nsb_section *profile, const char *key)
{
	const nsb_section *section = profile;

	for (size_t depth = 0; section != NULL && depth <= NSB_CONFIG_INHERITS_MAX + 1; depth++) {
		const nsb_section *next = section == nsb_config_defaults(config) ? NULL : nsb_config_defaults(config);

		for (size_t i = 0; i < section->n_assignments; i++) {
			const nsb_assignment *one = &section->assignments[i];

			if (strcmp(one->key->name, key) == 0)
				return one->at;
			if (strcmp(one->key->name, "inherits") == 0 && nsb_config_find(config, one->value) != NULL)
				next = nsb_config_find(config, one->value);
		}
		section = next;
	}
	return profile->at;
}

static bool allows_errors(const nsb_settings *s)
{
	return s->on_error == NSB_ON_ERROR_ALLOW;
}

static bool counts_no_processes(const nsb_settings *s)
{
	return s->pids_max == NSB_INFINITY;
}

static bool counts_no_memory(const nsb_settings *s)
{
	return s->memory_max == NSB_INFINITY && s->user_memory_max == NSB_INFINITY;
}

static bool lacks_uts(const nsb_settings *s)
{
	return (s->namespaces & CLONE_NEWUTS) == 0;
}

static bool lacks_cgroup(const nsb_settings *s)
{
	return (s->namespaces & CLONE_NEWCGROUP) == 0;
}

static bool drops_limits(const nsb_settings *s)
{
	return s->limits_optional;
}

static bool names_no_network(const nsb_settings *s)
{
	return !s->network_named;
}

/* IPC, network, terminals, system calls, /tmp and the root are in the plan's list. */
static const struct {
	const char *key;
	bool (*holds)(const nsb_settings *s);
	finding_severity severity;
	const char *what, *remedy;
} rows[] = {
	{ "on_error", allows_errors, FINDING_WARNING,
	  "who can make the box fail gets in without one (a caller of su by ulimit -n 8)", "write on_error = deny" },
	{ "pids_max", counts_no_processes, FINDING_WARNING, "a fork bomb in one box stops the whole host",
	  "write pids_max = 2048" },
	{ "memory_max", counts_no_memory, FINDING_NOTE, "one user can fill the memory of the host",
	  "write user_memory_max = 50%, or what users need" },
	{ "namespaces", lacks_uts, FINDING_NOTE, "root in the box renames the host",
	  "write namespaces = uts ipc mount pid cgroup" },
	{ "namespaces", lacks_cgroup, FINDING_WARNING, "the box sees the control groups of the whole host",
	  "write namespaces = uts ipc mount pid cgroup" },
	{ "limits_optional", drops_limits, FINDING_NOTE,
	  "a limit that this host cannot hold is left out without a word", "write limits_optional = no" },
	{ "network", names_no_network, FINDING_NOTE, "sessions have no network, and no line says so",
	  "write network = loopback, veth or host" },
};

static void look_at_rows(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	doctor *d = argument;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		NSB_FREE char *where = NULL;

		if (!rows[i].holds(settings))
			continue;
		where = doctor_origin(origin_of(d->config, profile, rows[i].key));
		doctor_find_new(d, rows[i].severity, where,
				nsb_format("profile %s: %s: %s", profile->name, rows[i].key, rows[i].what),
				rows[i].remedy);
	}
}

static void look_at_settings(doctor *d)
{
	profiles_each(d->config, look_at_rows, d);
}

/* --- capabilities --- */

/* In a user namespace they hold for what belongs to it alone. */
static finding_severity weight(const nsb_settings *settings, bool severe)
{
	return severe && settings->user_namespace == NSB_USER_NAMESPACE_NO ? FINDING_WARNING : FINDING_NOTE;
}

static void look_at_capabilities_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	doctor *d = argument;
	uint64_t set = nsb_capability_set(&settings->capabilities);
	NSB_FREE char *where = doctor_origin(origin_of(d->config, profile, "capabilities"));

	if (set == UINT64_MAX) {
		doctor_find_new(
			d, weight(settings, true), where,
			nsb_format(
				"profile %s: capabilities: root in the box keeps all of them, and is root on the host",
				profile->name),
			"write capabilities = default");
		return;
	}
	for (size_t i = 0; i < nsb_n_capabilities; i++) {
		const nsb_capability *one = &nsb_capabilities[i];
		NSB_FREE char *remedy = nsb_format("take +%s out of that line, or write -%s", one->name, one->name);

		if (!one->kept && (set & 1ULL << one->number) != 0)
			doctor_find_new(d, weight(settings, one->power), where,
					nsb_format("profile %s: capabilities: root in the box keeps %s: %s",
						   profile->name, one->name, one->why),
					remedy);
	}
}

static void look_at_capabilities(doctor *d)
{
	profiles_each(d->config, look_at_capabilities_of, d);
}

/* --- devices --- */

typedef struct device_line {
	doctor *d;
	const nsb_section *profile;
	nsb_origin at;
} device_line;

static int take_device(void *data, const char *path, int fd, const struct stat *st)
{
	const device_line *line = data;
	NSB_FREE char *where = doctor_origin(line->at);

	(void)fd;
	if (S_ISBLK(st->st_mode))
		doctor_find_new(
			line->d, FINDING_WARNING, where,
			nsb_format(
				"profile %s: dev: %s is a raw disk: who may open it reads and writes past every file's "
				"permissions",
				line->profile->name, path),
			"remove it from dev; bind the directory where it is mounted instead");
	return 0;
}

static void look_at_devices_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < settings->dev.n; i++) {
		device_line line = { .d = argument, .profile = profile, .at = settings->dev.origins[i] };
		nsb_error error = { 0 };

		(void)device_match(host, settings->dev.items[i], take_device, &line, &error); /* check tells the rest */
	}
}

static void look_at_devices(doctor *d)
{
	profiles_each(d->config, look_at_devices_of, d);
}

/* --- what the plan says --- */

typedef struct of_profile {
	doctor *d;
	const nsb_section *profile;
	const char *where;
} of_profile;

static void find_lack(void *argument, const char *sentence)
{
	const of_profile *of = argument;

	doctor_find_new(of->d, FINDING_WARNING, of->where, nsb_format("profile %s: %s", of->profile->name, sentence),
			"write addresses of name servers into dns, or dns = none");
}

static void look_at_plan_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	__attribute__((cleanup(nsb_plan_done))) nsb_plan plan = { 0 };
	NSB_FREE char *where = doctor_origin(profile->at);
	doctor *d = argument;

	if (profile_plan(settings, &d->accounts, &plan) < 0)
		return;
	for (size_t i = 0; i < plan.n_unprotected; i++) {
		const unprotected_row *row = unprotected_find(plan.unprotected[i]);

		if (!row->elsewhere)
			doctor_find_new(d, row->severity, where,
					nsb_format("profile %s: %s", profile->name, plan.unprotected[i]), row->remedy);
	}
	name_servers_lacking(&plan, find_lack, &(of_profile){ d, profile, where });
}

static void look_at_plans(doctor *d)
{
	profiles_each(d->config, look_at_plan_of, d);
}

/* Logins that would be refused: not a hole, but nobody gets in. */
static void look_at_root_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	__attribute__((cleanup(nsb_plan_done))) nsb_plan plan = { 0 };
	NSB_FREE char *where = doctor_origin(profile->at);
	doctor *d = argument;
	const nsb_session *session = samples_find(&d->accounts, settings);
	nsb_error error = { 0 };
	int r = session != NULL ? nsb_plan_make(session, settings, &plan, &error) : 0;

	if (r == 0 && session != NULL)
		r = check_root(&plan, session->shell, &error);
	if (r < 0)
		doctor_find_new(d, FINDING_PROBLEM, where,
				nsb_format("profile %s: a login of %s is refused: %s", profile->name, session->user,
					   error.words),
				"mend what the sentence names; nsboxctl check and nsboxctl explain tell more");
}

static void look_at_roots(doctor *d)
{
	profiles_each(d->config, look_at_root_of, d);
}

/* --- users without --- */

typedef struct exclusion {
	const nsb_session *account;
	bool named; /* a profile says "!" of the account: left out on purpose */
} exclusion;

static void look_for_exclusion(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	exclusion *e = argument;

	(void)profile;
	for (size_t i = 0; i < settings->users.n; i++) {
		const char *word = settings->users.items[i];
		char what[128];

		if (word[0] == '!' && nsb_pattern_match_user(word + 1, e->account, what, sizeof(what)) > 0)
			e->named = true;
	}
}

static bool is_left_out_on_purpose(const doctor *d, const nsb_session *account)
{
	exclusion e = { .account = account };

	profiles_each(d->config, look_for_exclusion, &e);
	return e.named;
}

static bool may_log_in(const nsb_session *account)
{
	static const char *const none[] = { "/nologin", "/false", "/sync" };

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		size_t length = strlen(account->shell), end = strlen(none[i]);

		if (length >= end && strcmp(account->shell + length - end, none[i]) == 0)
			return false;
	}
	return account->uid >= FIRST_USER && account->uid != NOBODY;
}

static const char *const logins[] = { "sshd", "login" };

typedef enum cover { COVER_NONE, COVER_PART, COVER_ALL } cover;

/* Whether a profile takes the account, perhaps only when it comes from some hosts. */
static cover covered(const doctor *d, const nsb_session *account)
{
	cover best = COVER_NONE;

	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
		__attribute__((cleanup(nsb_settings_done))) nsb_settings settings = { 0 };
		const nsb_section *profile;

		if (!profile_first_for(d->config, account, logins[i], &profile, &settings))
			continue;
		if (settings.from.n == 0 || doctor_is_boxed(d, account, logins[i]))
			return COVER_ALL;
		best = COVER_PART;
	}
	return best;
}

static void tell_uncovered(doctor *d, const nsb_session *first, size_t n, bool part)
{
	NSB_FREE char *who = NULL;

	if (n == 0)
		return;
	who = n == 1 ? strdup(first->user) : nsb_format("%s and %zu more", first->user, n - 1);
	if (part)
		doctor_find_new(
			d, FINDING_WARNING, d->standard,
			nsb_format("profiles are for %s from some hosts only: from elsewhere a login is not boxed",
				   who),
			"end with a profile for these users without a line from");
	else
		doctor_find_new(d, FINDING_WARNING, d->standard,
				nsb_format("no profile is for %s: a login is not boxed", who),
				"end with a profile for everybody (users = *), and name with ! whom it leaves out");
}

static void look_at_users(doctor *d)
{
	const nsb_session *first[COVER_ALL] = { NULL };
	size_t n[COVER_ALL] = { 0 };

	if (d->config == NULL || nsb_config_n_profiles(d->config) == 0)
		return;
	for (size_t i = 0; i < d->accounts.n; i++) {
		const nsb_session *account = &d->accounts.sessions[i];
		cover how = may_log_in(account) ? covered(d, account) : COVER_ALL;

		if (how == COVER_ALL || is_left_out_on_purpose(d, account))
			continue;
		first[how] = n[how]++ == 0 ? account : first[how];
	}
	tell_uncovered(d, first[COVER_NONE], n[COVER_NONE], false);
	tell_uncovered(d, first[COVER_PART], n[COVER_PART], true);
}

static void look_for_everybody(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	bool *any = argument;

	(void)profile;
	for (size_t i = 0; i < settings->users.n; i++)
		*any |= strcmp(settings->users.items[i], "*") == 0;
}

/* Directory services enumerate nobody, and accounts are made later. */
static void look_at_catch_all(doctor *d)
{
	bool any = false;

	if (d->config == NULL || nsb_config_n_profiles(d->config) == 0)
		return;
	profiles_each(d->config, look_for_everybody, &any);
	if (!any)
		doctor_find(d, FINDING_NOTE, d->standard,
			    "no profile is for everybody: accounts to come, and those whose groups the name service "
			    "does not tell "
			    "when it is down, are not boxed",
			    "end with a profile for everybody (users = *), and name with ! whom it leaves out");
}

static void look_at_any(doctor *d)
{
	if (d->config != NULL && nsb_config_n_profiles(d->config) == 0)
		doctor_find(d, FINDING_NOTE, d->standard, "there is no profile: nobody is boxed",
			    "write a profile; nsbox.conf(5) has examples");
}

static const doctor_check checks[] = {
	{ "any-profile", look_at_any, NULL },
	{ "settings", look_at_settings, NULL },
	{ "capabilities", look_at_capabilities, NULL },
	{ "devices", look_at_devices, NULL },
	{ "unprotected", look_at_plans, NULL },
	{ "roots", look_at_roots, "whether the roots of profiles can be taken" },
	{ "users", look_at_users, NULL },
	{ "catch-all", look_at_catch_all, NULL },
};
const doctor_subject doctor_profiles = { "profiles", checks, sizeof(checks) / sizeof(checks[0]) };
