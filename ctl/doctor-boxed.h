/* SPDX-License-Identifier: BSD-3-Clause */
/* The users whom profiles are for, and the checks of what acts outside for them: one file for each kind. */
#ifndef NSB_CTL_DOCTOR_BOXED_H
#define NSB_CTL_DOCTOR_BOXED_H

#include "ctl/doctor.h"

typedef struct boxed {
	const nsb_session *account;
	const nsb_section *profile; /* at a login */
	nsb_settings settings;
} boxed;

typedef struct boxed_list {
	boxed *items;
	size_t n;
} boxed_list;

/* All ordinary users of this host for whom a profile is, from wherever they log in. The caller calls boxed_done(). */
void boxed_find(doctor *d, boxed_list *ret);
void boxed_done(boxed_list *list);

/* Users that something is true of. */
typedef struct crowd {
	const boxed *first;
	size_t n;
} crowd;

void crowd_add(crowd *c, const boxed *one);
/* "alice", "alice and 3 more". NULL without memory; the caller frees. */
char *crowd_text(const crowd *c);

/* Whether what the user leaves in the home is read outside. */
bool boxed_has_real_home(const boxed *one);

/* doctor-jobs.c */
void jobs_look_at_cron(doctor *d, const boxed_list *users);
void jobs_look_at_at(doctor *d, const boxed_list *users);
/* doctor-deputies.c */
void deputies_look_at_known(doctor *d, const boxed_list *users);
void deputies_look_at_binds(doctor *d, const boxed_list *users);
void deputies_look_at_groups(doctor *d, const boxed_list *users);

#endif
