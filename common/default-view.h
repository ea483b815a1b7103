/* SPDX-License-Identifier: BSD-3-Clause */
/* THE table of what every box sees: one row a step, each with its reason. */
#ifndef NSB_DEFAULT_VIEW_H
#define NSB_DEFAULT_VIEW_H

#include "common/plan.h"

/* A row applies where all its conditions hold. */
enum nsb_view_condition {
	NSB_VIEW_ROOT_HOST = 1 << 0,
	NSB_VIEW_ROOT_DIRECTORY = 1 << 1,
	NSB_VIEW_PRIVATE_TMP = 1 << 2,
	NSB_VIEW_OWN_TERMINALS = 1 << 3,  /* devpts of the box's own */
	NSB_VIEW_HOST_TERMINALS = 1 << 4, /* devpts of the host */
	NSB_VIEW_OWN_IPC = 1 << 5,
	NSB_VIEW_HOST_IPC = 1 << 6,
	NSB_VIEW_OWN_NETWORK = 1 << 7,
	NSB_VIEW_NAME_SERVICES = 1 << 8,     /* accounts may come from a daemon of the host */
	NSB_VIEW_ACCOUNTS_HOST = 1 << 9,     /* account_files: bound from the host */
	NSB_VIEW_ACCOUNTS_MINIMAL = 1 << 10, /* account_files: made for the box */
	NSB_VIEW_ROOT_FULL = 1 << 11,	     /* not made for the box: its /etc has whatever it has */
	NSB_VIEW_SYS = 1 << 12,
	NSB_VIEW_NO_SYS = 1 << 13,
	NSB_VIEW_PROC_ALL = 1 << 14,
	NSB_VIEW_PROC_PID = 1 << 15, /* processes only */
	NSB_VIEW_NESTED = 1 << 16,   /* containers may be made in the box */
	NSB_VIEW_RESOLVER_HOST = 1 << 17,  /* resolv.conf: whatever the root has */
	NSB_VIEW_RESOLVER_MADE = 1 << 18,  /* one made for the box, if there is a place for it */
	NSB_VIEW_RESOLVER_NAMED = 1 << 19, /* one made for the box, which must have a place */
};

typedef struct nsb_view_row {
	unsigned when; /* nsb_view_condition, all of them */
	nsb_op op;
	const char *src, *dst, *data; /* may hold % specifiers; data: @KEY is the size in that key */
	unsigned flags;		      /* nsb_step_flags */
	mode_t mode;
	bool owned; /* by the session's user instead of root */
	const char *why;
} nsb_view_row;

extern const nsb_view_row nsb_view_before_proc[]; /* stage build */
extern const size_t nsb_n_view_before_proc;
extern const nsb_view_row nsb_view_accounts[]; /* stage build, behind those; account-view.c */
extern const size_t nsb_n_view_accounts;
extern const nsb_view_row nsb_view_resolver[]; /* stage build, behind those; plan-resolver.c */
extern const size_t nsb_n_view_resolver;
extern const nsb_view_row nsb_view_proc[]; /* stage enclose */
extern const size_t nsb_n_view_proc;
extern const nsb_view_row nsb_view_proc_closed[]; /* the same, behind the profile's binds into /proc */
extern const size_t nsb_n_view_proc_closed;

#endif
