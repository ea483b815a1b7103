/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is boxed at a login, and what starts processes for the same users outside all the same. Only what is installed on
 * this host counts, and only users whom some profile is for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/doctor-boxed.h"
#include "ctl/pam-stacks.h"
#include "ctl/processes.h"

/* --- the user's service manager --- */

#define LINGER "/var/lib/systemd/linger"

static bool is_masked(const char *unit)
{
	char target[32];
	ssize_t n = readlink(unit, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, "/dev/null") == 0;
}

static const pam_line *find_systemd(const pam_stack *stack)
{
	for (size_t i = 0; i < stack->n; i++)
		if (strcmp(stack->lines[i].type, "session") == 0 && pam_line_is(&stack->lines[i], "pam_systemd.so"))
			return &stack->lines[i];
	return NULL;
}

static void look_at_user_manager(doctor *d, const boxed_list *users)
{
	static const char *const logins[] = { "sshd", "login" };
	crowd c = { 0 };

	if (access("/run/systemd/system", F_OK) < 0 || is_masked("/etc/systemd/system/user@.service"))
		return;
	for (size_t i = 0; i < users->n; i++)
		if (boxed_has_real_home(&users->items[i]))
			crowd_add(&c, &users->items[i]);
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]) && c.n > 0; i++) {
		__attribute__((cleanup(pam_stack_done))) pam_stack stack = { 0 };
		const pam_line *line =
			pam_stack_load(&pam_standard_places, logins[i], &stack) == 0 ? find_systemd(&stack) : NULL;
		NSB_FREE char *where = line != NULL ? nsb_format("%s:%u", line->file, line->line) : NULL;
		NSB_FREE char *who = crowd_text(&c);

		if (line == NULL)
			continue;
		doctor_find_new(
			d, FINDING_WARNING, where,
			nsb_format("a login of %s by %s starts the user's service manager outside, which runs what "
				   "stands in "
				   "~/.config/systemd/user",
				   who, logins[i]),
			"run: systemctl mask user@.service (nobody has a service manager then), or set home to tmpfs, "
			"overlay or none in the profile");
	}
}

static void look_at_linger(doctor *d, const boxed_list *users)
{
	for (size_t i = 0; i < users->n; i++) {
		const char *user = users->items[i].account->user;
		NSB_FREE char *path = strchr(user, '/') == NULL ? nsb_format(LINGER "/%s", user) : NULL;
		NSB_FREE char *remedy = nsb_format("run: loginctl disable-linger %s", user);
		struct stat st;

		if (path == NULL || lstat(path, &st) < 0)
			continue;
		doctor_find_new(d, FINDING_PROBLEM, path,
				nsb_format("%s lingers: services of that user run outside from the boot on", user),
				remedy);
	}
}

/* --- mail --- */

static const struct {
	const char *program, *remedy;
} mailers[] = {
	{ "/usr/sbin/exim4", "take the router \"userforward\" out of exim's configuration" },
	{ "/usr/sbin/postfix", "run: postconf -e 'allow_mail_to_commands = alias' 'allow_mail_to_files = alias'" },
	{ "/usr/sbin/smtpd", "in smtpd.conf(5) deliver without \"forward-file\"" },
	{ "/usr/sbin/sendmail.sendmail", "set ForwardPath to nothing in sendmail.cf" },
};

static void look_at_mail(doctor *d, const boxed_list *users)
{
	crowd c = { 0 };

	for (size_t i = 0; i < users->n; i++)
		if (boxed_has_real_home(&users->items[i]))
			crowd_add(&c, &users->items[i]);
	for (size_t i = 0; i < sizeof(mailers) / sizeof(mailers[0]) && c.n > 0; i++) {
		NSB_FREE char *who = crowd_text(&c);

		if (access(mailers[i].program, X_OK) == 0)
			doctor_find_new(
				d, FINDING_WARNING, mailers[i].program,
				nsb_format("a letter to %s starts outside what the user's ~/.forward says", who),
				mailers[i].remedy);
	}
}

/* --- what runs already --- */

static const struct {
	const char *name, *what;
} servers[] = {
	{ "tmux: server", "a tmux server" }, { "screen", "a screen server" },
	{ "SCREEN", "a screen server" },     { "emacs", "an emacs" },
	{ "gpg-agent", "a gpg-agent" },	     { "ssh-agent", "an ssh-agent" },
	{ "dbus-daemon", "a session bus" },  { "systemd", "the service manager" },
};

typedef struct search {
	doctor *d;
	const boxed_list *users;
} search;

static const boxed *find_user(const boxed_list *users, uid_t uid)
{
	for (size_t i = 0; i < users->n; i++)
		if (users->items[i].account->uid == uid)
			return &users->items[i];
	return NULL;
}

static void take_process(void *argument, const process_row *process)
{
	const search *s = argument;
	const boxed *one = process->outside ? find_user(s->users, process->uid) : NULL;

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]) && one != NULL; i++) {
		NSB_FREE char *where = NULL, *remedy = NULL;

		if (strcmp(process->name, servers[i].name) != 0)
			continue;
		where = nsb_format("process %d", (int)process->pid);
		remedy = nsb_format("end it: kill %d; then find what started it (an unboxed login, cron, a time before "
				    "the profile)",
				    (int)process->pid);
		doctor_find_new(s->d, FINDING_WARNING, where,
				nsb_format("%s of %s runs outside any box, and does there what it is told",
					   servers[i].what, one->account->user),
				remedy);
	}
}

static void look_at_processes(doctor *d, const boxed_list *users)
{
	search s = { .d = d, .users = users };

	(void)processes_each(take_process, &s);
}

/* --- all of them --- */

static const struct {
	const char *name;
	void (*look)(doctor *d, const boxed_list *users);
	const char *unseen;
} rows[] = {
	{ "cron", jobs_look_at_cron, NULL },
	{ "at", jobs_look_at_at, "who may use at(1)" },
	{ "user-manager", look_at_user_manager, NULL },
	{ "linger", look_at_linger, NULL },
	{ "forward", look_at_mail, NULL },
	{ "deputies", deputies_look_at_known, NULL },
	{ "sockets", deputies_look_at_binds, NULL },
	{ "groups", deputies_look_at_groups, NULL },
	{ "processes", look_at_processes, "which processes of others are outside" },
};

static void look_at_all(doctor *d)
{
	__attribute__((cleanup(boxed_done))) boxed_list users = { 0 };

	boxed_find(d, &users);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		doctor_begin(d, rows[i].name);
		if (rows[i].unseen != NULL && !d->root)
			doctor_find_new(d, FINDING_UNSEEN, "",
					nsb_format("%s: only root can look at that", rows[i].unseen),
					"run nsboxctl doctor as root");
		else
			rows[i].look(d, &users);
		doctor_end(d);
	}
}

static const doctor_check checks[] = { { NULL, look_at_all, NULL } };
const doctor_subject doctor_ways_out = { "ways-out", checks, sizeof(checks) / sizeof(checks[0]) };
