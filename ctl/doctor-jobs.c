/* SPDX-License-Identifier: BSD-3-Clause */
/* Jobs that boxed users make, and that a daemon runs for them at another time. Sources: crontab(1), at(1). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/doctor-boxed.h"
#include "ctl/pam-stacks.h"
#include "ctl/profile-shows.h"

typedef struct job_row {
	const char *name;
	const char *daemons[2], *client;
	const char *services[2];
	const char *spool, *allow, *deny;
	bool open; /* without both files everybody may */
} job_row;

static const job_row jobs[] = {
	{ "cron",
	  { "/usr/sbin/cron", "/usr/sbin/crond" },
	  "/usr/bin/crontab",
	  { "cron", "crond" },
	  "/var/spool/cron",
	  "/etc/cron.allow",
	  "/etc/cron.deny",
	  true },
	{ "at",
	  { "/usr/sbin/atd", "/usr/bin/atd" },
	  "/usr/bin/at",
	  { "atd", "atd" },
	  "/var/spool/cron/atjobs",
	  "/etc/at.allow",
	  "/etc/at.deny",
	  false },
};

/* Whether a line of the text is that name. */
static bool has_line(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = text; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
		size_t n;

		at += strspn(at, " \t");
		n = strcspn(at, " \t\n");
		if (n == length && strncmp(at, name, n) == 0)
			return true;
	}
	return false;
}

/* crontab(1), at(1): whether the user may make jobs. */
static bool may_use(const job_row *job, const char *allow, const char *deny, const char *user)
{
	if (allow != NULL)
		return has_line(allow, user);
	return deny != NULL ? !has_line(deny, user) : job->open;
}

/* NULL if there is none; what cannot be read is told. */
static char *read_names(doctor *d, const char *path)
{
	NSB_FREE char *text = malloc(65536);
	ssize_t n = text != NULL ? nsb_read_text_at(AT_FDCWD, path, text, 65536) : -ENOMEM;

	if (n < 0 && n != -ENOENT)
		doctor_unseen(d, path, (int)n);
	return n < 0 ? NULL : nsb_steal_pointer(&text);
}

static bool is_installed(const job_row *job)
{
	return access(job->client, X_OK) == 0 &&
	       (access(job->daemons[0], X_OK) == 0 || access(job->daemons[1], X_OK) == 0);
}

/* The service whose stack there is, and whether that opens a box. */
static bool opens_box(const job_row *job, const char **ret_service)
{
	*ret_service = job->services[0];
	for (size_t i = 0; i < 2; i++) {
		__attribute__((cleanup(pam_stack_done))) pam_stack stack = { 0 };

		if (pam_stack_load(&pam_standard_places, job->services[i], &stack) < 0)
			continue;
		*ret_service = job->services[i];
		return pam_stacks_opener(&stack) != NULL;
	}
	return false;
}

/* The job reaches the daemon by its spool alone, and crontab(1) and at(1) write that by the rights that they are installed
 * with. */
static bool reaches_daemon(const boxed *one, const job_row *job)
{
	return profile_shows(&one->settings, job->spool, NULL) && !one->settings.no_new_privs &&
	       one->settings.user_namespace == NSB_USER_NAMESPACE_NO;
}

static void tell_job(doctor *d, const job_row *job, const char *service, bool stack, const crowd *c)
{
	NSB_FREE char *who = crowd_text(c), *what = NULL, *remedy = NULL;
	NSB_FREE char *where = stack ? doctor_origin(c->first->profile->at) : nsb_format("/etc/pam.d/%s", service);

	if (stack) {
		what = nsb_format("jobs of %s, made by %s(1), run outside: no profile takes the service %s for them",
				  who, job->client + strlen("/usr/bin/"), service);
		remedy = nsb_format("add %s to services of the profile %s, or name in %s who may make jobs", service,
				    c->first->profile->name, job->allow);
	} else {
		what = nsb_format("jobs of %s, made by %s(1), run outside: no session line names " PAM_NSBOX, who,
				  job->client + strlen("/usr/bin/"));
		remedy = nsb_format("write \"session required " PAM_NSBOX
				    " close\" as the first and \"session required " PAM_NSBOX
				    " open\" as the last of its session lines, or name in %s who may make jobs",
				    job->allow);
	}
	if (who == NULL || remedy == NULL)
		d->failed = true;
	else
		doctor_find(d, FINDING_PROBLEM, where, what, remedy);
}

static void look_at_job(doctor *d, const boxed_list *users, const job_row *job)
{
	NSB_FREE char *allow = NULL, *deny = NULL;
	const char *service;
	crowd c = { 0 };
	bool stack;

	if (!is_installed(job))
		return;
	allow = read_names(d, job->allow);
	deny = read_names(d, job->deny);
	stack = opens_box(job, &service);
	for (size_t i = 0; i < users->n; i++) {
		const boxed *one = &users->items[i];

		if (may_use(job, allow, deny, one->account->user) && reaches_daemon(one, job) &&
		    !(stack && doctor_is_boxed(d, one->account, service)))
			crowd_add(&c, one);
	}
	if (c.n > 0)
		tell_job(d, job, service, stack, &c);
}

void jobs_look_at_cron(doctor *d, const boxed_list *users)
{
	look_at_job(d, users, &jobs[0]);
}

void jobs_look_at_at(doctor *d, const boxed_list *users)
{
	look_at_job(d, users, &jobs[1]);
}
