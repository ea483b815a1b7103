/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the planner share. */
#ifndef NSB_PLAN_INTERNAL_H
#define NSB_PLAN_INTERNAL_H

#include "common/plan.h"

typedef struct planner {
	const nsb_session *session;
	const nsb_settings *settings;
	nsb_plan *plan;
	nsb_stage stage;
	unsigned when; /* nsb_view_condition that hold */
	nsb_error *error;
} planner;

/* Appends a step of the planner's stage; its strings are copied. */
int plan_add(planner *p, nsb_step step);

/* Expands specifiers into *ret (the caller frees); NULL stays NULL. Paths come out normalized. */
int plan_expand(planner *p, const char *text, bool as_path, char **ret);

/* The steps that the profile's own lines ask for: tmpfs, bind, bind_ro, bind_optional, mask. */
int plan_wishes(planner *p);

/* The box's control group and its limits. */
int plan_limits(planner *p);

/* What the login brings: terminal, host name, Kerberos cache. */
int plan_session(planner *p);

/* The variables that are set and unset in the session. */
int plan_environment(planner *p);

/* The sentences of nsb_plan.unprotected. */
int plan_warnings(planner *p);

#endif
