/* SPDX-License-Identifier: BSD-3-Clause */
/* The one place where a box is cleaned: after logout, kill, crash, and by gc. */
#ifndef NSB_HELPER_TEARDOWN_H
#define NSB_HELPER_TEARDOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* Ends and cleans one box whose registry lock this process holds: PID 1 is killed if it lives, the utmp record closed,
 * the cgroup removed, the registry entry last. `init`: pidfd of PID 1, or -1 to find it by the entry.
 * `ask`: PID 1 is asked to end first and has the entry's stop_timeout for it; else it is killed at once. What the box
 * used is said in one line of syslog.
 * `patience`: ms to wait for PID 1 after SIGKILL. If it has not died by then everything else is removed all the same,
 * the entry says "dying", and the result is -EBUSY: whoever holds the lock waits on, or lets go and leaves it to a
 * later run. */
int teardown_box(int boxes, const char *id, int init, bool ask, int patience, nsb_error *error);

/* `nsbox-helper end ID LIFE INIT`, as exec'd by the monitor, whose pid holds the lock, with two open descriptors; or
 * `nsbox-helper end ID` by the guard, both -1. Waits for a dying PID 1 as long as it takes. Exit status. */
int teardown_end(const char *id, int life, int init);

/* `nsbox-helper leave ID SESSION` by the monitor of a box that stays: one login is over. Its utmp record is closed, its
 * file in the registry goes. */
void teardown_member(const char *id, const char *session);

/* Cleans entries whose holder is gone: at most `limit` are looked at, beginning anywhere, round robin, and no more
 * is begun after a second; 0: all.
 * `patience`: ms to wait for each PID 1 that is still dying; what is not dead by then is left to a later run.
 * Returns how many were cleaned. */
size_t teardown_sweep(int boxes, size_t limit, int patience);

#define NSB_TEARDOWN_PATIENCE 2000 /* ms after SIGKILL: it takes longer only if the application stopped reaping */

#endif
