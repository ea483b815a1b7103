/* SPDX-License-Identifier: BSD-3-Clause */
/* What the monitor watches beside its members: counters of limits, and paths that the host may put something new at. No
 * stdio, no malloc, as nsbox-monitor.c. */
#ifndef NSB_HELPER_MONITOR_WATCH_H
#define NSB_HELPER_MONITOR_WATCH_H

#include <poll.h>
#include <stdint.h>

#define NSB_WATCH_EVENTS 4			/* counters at most */
#define NSB_WATCH_FILES	 (NSB_WATCH_EVENTS + 1) /* and the mounts of the box */
#define NSB_WATCH_PATHS	 22 /* as many as any plan has; the monitor's data is to fit into one page (test_memory) */
#define NSB_WATCH_MOUNTS "mounts" /* the word of the argument "mounts:FILE", an open /proc/PID/mountinfo */
#define NSB_WATCH_CONTENT "content" /* the word of "content:PATH", a file that may be written to in its place */
#define NSB_WATCH_ANY	 ":any"	  /* behind that: any change may concern what the box has, not only the paths */

#define NSB_WATCH_RULES	 "rules"  /* the argument of a box whose packets have rules */

/* One of the arguments EVENT, MOUNTS, RULES and PATH (init-fds.h), which must stay. What is too much is left out. */
void watch_add(char *argument);

/* When all are added: what changes from now on counts. */
void watch_begin(void);

/* NSB_WATCH_FILES entries for poll(2). */
void watch_fill(struct pollfd *wanted);

/* ms until something has to be looked at that tells of nothing; INT64_MAX: never. */
int64_t watch_left(void);

/* After poll(2): a counter that grew is told by `nsbox-helper notice`, at most once a minute; paths that are replaced are
 * bound again by `nsbox-helper renew`. */
void watch_look(const char *id, const struct pollfd *wanted);

/* Runs a subcommand of the helper, which goes on in a child of its own: so this waits for an exec only (`notice ID runtime`:
 * until it is said). `argument` may be NULL. vfork(2). */
void monitor_run_helper(const char *subcommand, const char *id, const char *argument);

#endif
