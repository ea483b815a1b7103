/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limits that a control group can hold: which configuration key, which controller, whether for one box or for all
 * boxes of a user together. What is written into which file of which version is helper/limits.c's.
 */
#ifndef NSB_LIMIT_TABLE_H
#define NSB_LIMIT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Version 2 names; "io" is "blkio" in version 1, "cpuacct" is there only (version 2 accounts in every group). */
typedef enum nsb_controller {
	NSB_CONTROLLER_PIDS,
	NSB_CONTROLLER_MEMORY,
	NSB_CONTROLLER_CPU,
	NSB_CONTROLLER_CPUSET,
	NSB_CONTROLLER_IO,
	NSB_CONTROLLER_CPUACCT,
	NSB_CONTROLLERS
} nsb_controller;

/* "pids"; version 1 or 2. NULL where the version has no such controller. */
const char *nsb_controller_name(nsb_controller controller, int version);

/* How a value is written in a plan. */
typedef enum nsb_limit_kind {
	NSB_LIMIT_COUNT,  /* "256" */
	NSB_LIMIT_SIZE,	  /* bytes, or "12.5%" of the machine's memory (swap_max: swap) */
	NSB_LIMIT_CPU,	  /* microseconds of CPU time in a second */
	NSB_LIMIT_WEIGHT, /* 1 to 10000 */
	NSB_LIMIT_TEXT,	  /* CPUs, as configured */
	NSB_LIMIT_LIST,	  /* a step for each item, as configured */
} nsb_limit_kind;

typedef struct nsb_limit {
	const char *key;     /* of the configuration; the src of the plan's steps */
	const char *box_key; /* what it limits: the same key, or for the user_ keys that of one box */
	nsb_controller controller;
	nsb_limit_kind kind;
	size_t offset; /* in nsb_settings */
	bool user;     /* of all boxes of the user together */
	const char *why;
} nsb_limit;

/* In the order in which they must be set: version 1 wants memory before swap. */
extern const nsb_limit nsb_limits[];
extern const size_t nsb_n_limits;

/* The row of that key, or NULL. */
const nsb_limit *nsb_limit_find(const char *key);

#endif
