/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter of system calls that the application, and nsboxctl enter, take upon themselves: made by nsbox-seccomp,
 * once for each combination of words, and kept in NSB_RUNDIR/seccomp. */
#ifndef NSB_FILTER_H
#define NSB_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/plan.h"

/* Whether the kernel filters system calls and nsbox-seccomp is there, if the plan has a filter; changes nothing. 0, or
 * -errno with a sentence that says how to mend it. */
int filter_check(const nsb_plan *plan, nsb_error *error);

/* Whether the kernel hands core dumps to a program, or to a socket (Linux 6.16): they leave the box then. What cannot be
 * read is taken for that. Source: core(5). */
bool filter_core_leaves(void);

/* A file in memory, for nobody to change any more, that holds the filter of these words (struct sock_filter[]). Waits
 * until `deadline` (nsb_now() based), but for at most 6 s. The descriptor, which the caller closes, or -errno with a
 * sentence. */
int filter_open(const char *words, int64_t deadline, nsb_error *error);

#endif
