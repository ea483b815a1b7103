/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/doctor-tell.h"

#include <stdio.h>
#include <string.h>

#include "common/fd-util.h"
#include "ctl/describe.h"
#include "ctl/tell.h"

static const char *const words[FINDING_SEVERITIES] = {
	[FINDING_PROBLEM] = "problem",
	[FINDING_WARNING] = "warning",
	[FINDING_NOTE] = "note",
	[FINDING_UNSEEN] = "unseen",
};

static size_t count(const doctor *d, finding_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_findings; i++)
		n += d->findings[i].severity == severity;
	return n;
}

static void print_finding(const doctor_finding *finding)
{
	NSB_FREE char *where = tell_escape(finding->where, false), *what = tell_escape(finding->what, false);
	NSB_FREE char *remedy = tell_escape(finding->remedy, false), *check = tell_escape(finding->check, false);

	if (where == NULL || what == NULL || remedy == NULL || check == NULL)
		return;
	printf("  %-8s %s: %s%s%s\n           remedy: %s\n", words[finding->severity], check, where,
	       where[0] != '\0' ? ": " : "", what, remedy);
}

/* The worst first. */
static void print_findings(const doctor *d, const char *subject)
{
	for (finding_severity severity = 0; severity < FINDING_SEVERITIES; severity++)
		for (size_t i = 0; i < d->n_findings; i++)
			if (d->findings[i].severity == severity && strcmp(d->findings[i].subject, subject) == 0)
				print_finding(&d->findings[i]);
}

static void print_passed(const doctor *d, const char *subject)
{
	for (size_t i = 0; i < d->n_passed; i++) {
		NSB_FREE char *check =
			strcmp(d->passed[i].subject, subject) == 0 ? tell_escape(d->passed[i].check, false) : NULL;

		if (check != NULL)
			printf("  ok       %s\n", check);
	}
}

void doctor_tell_text(const doctor *d, const char *const subjects[], size_t n_subjects)
{
	for (size_t i = 0; i < n_subjects; i++) {
		printf("%s%s\n", i > 0 ? "\n" : "", subjects[i]);
		print_findings(d, subjects[i]);
		print_passed(d, subjects[i]);
	}
	printf("\n%zu problem%s, %zu warning%s, %zu note%s, %zu not looked at; %zu checks found nothing\n",
	       count(d, FINDING_PROBLEM), count(d, FINDING_PROBLEM) == 1 ? "" : "s", count(d, FINDING_WARNING),
	       count(d, FINDING_WARNING) == 1 ? "" : "s", count(d, FINDING_NOTE),
	       count(d, FINDING_NOTE) == 1 ? "" : "s", count(d, FINDING_UNSEEN), d->n_passed);
}

static json_object *findings(const doctor *d)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < d->n_findings; i++) {
		const doctor_finding *finding = &d->findings[i];
		json_object *object = json_object_new_object();

		json_object_object_add(object, "subject", describe_text(finding->subject));
		json_object_object_add(object, "check", describe_text(finding->check));
		json_object_object_add(object, "severity", describe_text(words[finding->severity]));
		json_object_object_add(object, "where", describe_text(finding->where));
		json_object_object_add(object, "what", describe_text(finding->what));
		json_object_object_add(object, "remedy", describe_text(finding->remedy));
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *passed(const doctor *d)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < d->n_passed; i++) {
		json_object *object = json_object_new_object();

		json_object_object_add(object, "subject", describe_text(d->passed[i].subject));
		json_object_object_add(object, "check", describe_text(d->passed[i].check));
		json_object_array_add(array, object);
	}
	return array;
}

void doctor_tell_json(const doctor *d)
{
	json_object *object = json_object_new_object(), *counts = json_object_new_object();

	for (size_t i = 0; i < FINDING_SEVERITIES; i++)
		json_object_object_add(counts, words[i], json_object_new_uint64(count(d, (finding_severity)i)));
	json_object_object_add(object, "findings", findings(d));
	json_object_object_add(object, "passed", passed(d));
	json_object_object_add(object, "counts", counts);
	describe_print(object);
}
