/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl doctor: runs the checks of all subjects, and gathers what they find; doctor-tell.c prints it. */
#include "ctl/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/profile.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/doctor-tell.h"
#include "ctl/options.h"
#include "ctl/tell.h"

static const doctor_subject *const subjects[] = { &doctor_kernel, &doctor_pam, &doctor_sshd, &doctor_ways_out,
						  &doctor_network, &doctor_profiles };

/* --- what is found --- */

void doctor_begin(doctor *d, const char *name)
{
	d->check = name;
	d->found = false;
}

void doctor_end(doctor *d)
{
	doctor_passed *passed;

	if (d->found)
		return;
	passed = nsb_grow(d->passed, d->n_passed, sizeof(*passed));
	if (passed == NULL) {
		d->failed = true;
		return;
	}
	d->passed = passed;
	passed[d->n_passed] = (doctor_passed){ .subject = d->subject, .check = strdup(d->check) };
	if (passed[d->n_passed].check != NULL)
		d->n_passed++;
	else
		d->failed = true;
}

static void finding_done(doctor_finding *finding)
{
	free(finding->check);
	free(finding->where);
	free(finding->what);
	free(finding->remedy);
}

void doctor_find(doctor *d, finding_severity severity, const char *where, const char *what, const char *remedy)
{
	doctor_finding *findings = nsb_grow(d->findings, d->n_findings, sizeof(*findings));
	doctor_finding *one;

	d->found = true;
	if (findings == NULL || where == NULL || what == NULL || remedy == NULL) {
		d->findings = findings != NULL ? findings : d->findings;
		d->failed = true;
		return;
	}
	d->findings = findings;
	one = &findings[d->n_findings];
	*one = (doctor_finding){ .subject = d->subject,
				 .check = strdup(d->check),
				 .severity = severity,
				 .where = strdup(where),
				 .what = strdup(what),
				 .remedy = strdup(remedy) };
	if (one->check == NULL || one->where == NULL || one->what == NULL || one->remedy == NULL) {
		finding_done(one);
		d->failed = true;
		return;
	}
	d->n_findings++;
}

void doctor_find_new(doctor *d, finding_severity severity, const char *where, char *what, const char *remedy)
{
	NSB_FREE char *owned = what;

	doctor_find(d, severity, where, owned, remedy);
}

char *doctor_origin(nsb_origin at)
{
	return at.file != NULL ? nsb_format("%s:%u", at.file, at.line) : strdup("");
}

void doctor_unseen(doctor *d, const char *path, int error)
{
	if (error == -ENOENT || error == -ENOTDIR)
		return;
	doctor_find_new(d, FINDING_UNSEEN, path, nsb_format("this could not be read: %s", strerror(-error)),
			error == -EACCES || error == -EPERM ? "run nsboxctl doctor as root" : "see why, and mend it");
}

bool doctor_is_boxed(const doctor *d, const nsb_session *account, const char *service)
{
	__attribute__((cleanup(nsb_choice_done))) nsb_choice choice = { 0 };
	nsb_session session = *account;
	nsb_error error = { 0 };

	session.service = (char *)service;
	return d->config != NULL && nsb_profile_choose(d->config, &session, NULL, &choice, &error) == 0 &&
	       choice.profile != NULL;
}

/* --- the run --- */

/* Without a configuration the rest is looked at all the same. */
static void load_config(doctor *d, nsb_config **ret)
{
	__attribute__((cleanup(nsb_problems_done))) nsb_problems problems = { 0 };
	nsb_error error = { 0 };
	int r = nsb_config_load(NULL, ret, &problems, &error);

	d->subject = doctor_profiles.name;
	doctor_begin(d, "configuration");
	d->config = r == 0 ? *ret : NULL;
	for (size_t i = 0; i < problems.n; i++)
		doctor_find(d, FINDING_PROBLEM, d->standard, problems.lines[i],
			    "mend that line; until then only root can log in, without a box (nsboxctl check)");
	if (r < 0 && problems.n == 0)
		doctor_find(d, r == -EBADMSG ? FINDING_PROBLEM : FINDING_UNSEEN, d->standard,
			    error.words[0] != '\0' ? error.words : strerror(-r),
			    r == -EBADMSG ? "see nsbox.conf(5)" : "run nsboxctl doctor as root");
	doctor_end(d);
}

static void run_check(doctor *d, const doctor_check *check)
{
	if (check->name != NULL)
		doctor_begin(d, check->name);
	if (check->unseen != NULL && !d->root)
		doctor_find_new(d, FINDING_UNSEEN, "", nsb_format("%s: only root can look at that", check->unseen),
				"run nsboxctl doctor as root");
	else
		check->look(d);
	if (check->name != NULL)
		doctor_end(d);
}

static void run_all(doctor *d)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		d->subject = subjects[i]->name;
		for (size_t k = 0; k < subjects[i]->n_checks; k++)
			run_check(d, &subjects[i]->checks[k]);
	}
}

static int tell_all(const doctor *d, bool json)
{
	const char *names[sizeof(subjects) / sizeof(subjects[0])];

	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		names[i] = subjects[i]->name;
	if (json)
		doctor_tell_json(d);
	else
		doctor_tell_text(d, names, sizeof(names) / sizeof(names[0]));
	for (size_t i = 0; i < d->n_findings; i++)
		if (d->findings[i].severity == FINDING_PROBLEM)
			return COMMAND_PROBLEM;
	return COMMAND_OK;
}

static void doctor_done(doctor *d)
{
	for (size_t i = 0; i < d->n_findings; i++)
		finding_done(&d->findings[i]);
	for (size_t i = 0; i < d->n_passed; i++)
		free(d->passed[i].check);
	free(d->findings);
	free(d->passed);
	samples_done(&d->accounts);
}

int command_doctor(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(doctor_done)))
	doctor d = { .root = geteuid() == 0, .standard = NSB_SYSCONFDIR "/security/nsbox.conf" };
	nsb_config *config = NULL;
	bool json = false;
	const option_row rows[] = { { "json", NULL, &json, NULL } };
	nsb_error error = { 0 };
	int first, status;

	if (options_parse_anybody(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 0, &first) != 0)
		return first;
	if (ask_outside(&error) < 0)
		return tell_error(&error);
	load_config(&d, &config);
	if (samples_collect(&d.accounts) < 0)
		d.failed = true;
	run_all(&d);
	status = tell_all(&d, json);
	nsb_config_free(config);
	if (d.failed) {
		nsb_error_set(&error, ENOMEM, "there was no memory for all that was found");
		return tell_error(&error);
	}
	return status;
}
