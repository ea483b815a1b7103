/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the planner share. */
#ifndef NSB_PLAN_INTERNAL_H
#define NSB_PLAN_INTERNAL_H

#include "common/default-view.h"
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

/* Everything that is no step, and the conditions of the view: in common/plan-decide.c. */
int plan_decide(planner *p);

/* What the root is to be: its kind, its name, its layers. */
int plan_decide_root(planner *p);

/* Whether the box has ids of its own (user_namespace = keep-id). */
bool plan_keeps_ids(const planner *p);

/* Whether what is written to the tree is kept for the next box. */
bool plan_keeps_writes(const planner *p);

/* The directory that keeps what is written, where there is one: a step of the host's stage. */
int plan_upper(planner *p);

/* The steps that make the root. */
int plan_root(planner *p);

/* Where what was written to an overlay over the host's tree can be looked at; nothing without one. */
int plan_written(planner *p);

/* The rows of a table whose conditions hold, as steps. */
int plan_rows(planner *p, const nsb_view_row *rows, size_t n);

/* The account files: conditions of the view, steps. */
unsigned plan_accounts_view(const nsb_settings *settings, int root_kind);
int plan_accounts(planner *p);

/* network = netns: and join: whether the box enters a network namespace that is there, and the step; in common/plan-entered.c. */
bool plan_enters_network(const planner *p);
int plan_network_entered(planner *p);

/* /etc/resolv.conf, as the key dns says: condition of the view, steps; in common/plan-resolver.c. */
unsigned plan_resolver_view(const nsb_settings *settings);
int plan_resolver(planner *p);

/* The steps that the profile's own lines ask for: tmpfs, bind, bind_ro, bind_optional, mask. */
int plan_wishes(planner *p);

/* The home, as the key home says: in common/plan-home.c. */
int plan_home(planner *p);

/* What the key dev adds to /dev: in common/plan-devices.c. */
int plan_devices(planner *p);

/* Of the same lines those whose target is below /proc: they come when the box's /proc is there, the binds before what is
 * closed in it, the masks behind. */
int plan_binds_below_proc(planner *p);
int plan_masks_below_proc(planner *p);

/* A size as tmpfs(5) and the limits take it: bytes, or a percentage if negative (hundredths). NULL without memory. */
char *plan_size_text(int64_t size);

/* "size=@tmp_size" in a mount's options becomes the value of that key. 0, -ENOMEM. */
int plan_fill_size(const planner *p, char **data);

/* The box's control group and its limits. */
int plan_limits(planner *p);

/* The filter of system calls. */
int plan_filter(planner *p);

/* The network of the box's own, where it has one: plan->network, and its step. In common/plan-network.c. */
int plan_decide_network(planner *p);
int plan_network(planner *p);

/* What the login brings: terminal, host name, Kerberos cache. */
int plan_session(planner *p);

/* The variables that are set and unset in the session. */
int plan_environment(planner *p);

/* The sentences of nsb_plan.unprotected. */
int plan_warnings(planner *p);

#endif
