/* SPDX-License-Identifier: BSD-3-Clause */
/* Which profile a login gets, and why. Pure: facts in, answer out. */
#ifndef NSB_PROFILE_H
#define NSB_PROFILE_H

#include "common/config.h"
#include "common/session.h"

typedef struct nsb_verdict {
	const nsb_section *profile;
	bool matches;
	/* "users: @students (nsbox.conf:12) matches group students"; "services: none of sshd login (nsbox.conf:13)
	 * matches su"; no control characters */
	char why[256];
} nsb_verdict;

typedef struct nsb_choice {
	const nsb_section *profile; /* NULL: none */
	nsb_verdict *verdicts; /* one for each profile looked at, in order; the last one is the match if there is one */
	size_t n_verdicts;
} nsb_choice;

/*
 * Chooses the first profile that matches the session.
 * The words of users, services and from are those of common/pattern.h. In each list "!" before a word excludes wherever
 * it stands, and a list of exclusions only matches nobody. users empty: nobody. services not given: "*". from empty:
 * from anywhere.
 * `force`: the name of the profile to take whatever it matches (module word profile=); NULL: choose.
 * 0 also when none matches; -ENOENT: no profile of the forced name, sentence in `error`; -ENOMEM; -EBADMSG as in
 * nsb_config_settings(). A forced profile has one verdict, which says so.
 */
int nsb_profile_choose(const nsb_config *config, const nsb_session *session, const char *force, nsb_choice *ret,
		       nsb_error *error);
void nsb_choice_done(nsb_choice *choice);

#endif
