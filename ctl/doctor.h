/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl doctor: checks, by subject, each of which may find something. A check is a row of a table of its subject; what
 * it finds has a sentence that says what, and one that says how to mend it.
 */
#ifndef NSB_CTL_DOCTOR_H
#define NSB_CTL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"
#include "common/profile.h"
#include "ctl/finding.h"
#include "ctl/sample.h"

typedef struct doctor_finding {
	const char *subject; /* static */
	char *check;
	finding_severity severity;
	char *where; /* "FILE:LINE", a path, or "" */
	char *what, *remedy;
} doctor_finding;

/* A check that found nothing. */
typedef struct doctor_passed {
	const char *subject;
	char *check;
} doctor_passed;

typedef struct doctor {
	bool root;		  /* root asks */
	const nsb_config *config; /* NULL: it cannot be read, which is a finding */
	const char *standard;	  /* its main file, for what has no line of its own */
	samples accounts;
	doctor_finding *findings;
	size_t n_findings;
	doctor_passed *passed;
	size_t n_passed;
	const char *subject; /* of the check that runs */
	const char *check;
	bool found;  /* by it */
	bool failed; /* there was no memory for something */
} doctor;

typedef struct doctor_check {
	const char *name; /* stable: it is in the JSON. NULL: it begins and ends checks itself */
	void (*look)(doctor *d);
	const char *unseen; /* what only root can look at: "the limits of profiles"; NULL: anybody can */
} doctor_check;

typedef struct doctor_subject {
	const char *name;
	const doctor_check *checks;
	size_t n_checks;
} doctor_subject;

extern const doctor_subject doctor_kernel, doctor_pam, doctor_sshd, doctor_ways_out, doctor_network, doctor_profiles;

/* One check; what is found in between is its. `name` must live as long as that. */
void doctor_begin(doctor *d, const char *name);
void doctor_end(doctor *d);

/* Something was found. All texts are copied, and may have any characters; NULL for one that there was no memory for. */
void doctor_find(doctor *d, finding_severity severity, const char *where, const char *what, const char *remedy);

/* The same, with the sentence put together, and given up. */
void doctor_find_new(doctor *d, finding_severity severity, const char *where, char *what, const char *remedy);

/* "FILE:LINE", "" where the origin is built in. The caller frees. */
char *doctor_origin(nsb_origin at);

/* Something could not be read; not a finding if it does not exist. */
void doctor_unseen(doctor *d, const char *path, int error);

/* Whether a login of the account by that service would get a profile, from this host itself. */
bool doctor_is_boxed(const doctor *d, const nsb_session *account, const char *service);

#endif
