/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_CAPABILITIES_H
#define NSB_HELPER_CAPABILITIES_H

#include "common/error.h"

/* Leaves this process CAP_KILL (PID 1 must signal the user's processes) and nothing else, the bounding set included, so
 * that exec as uid 0 gives nothing back. Compared afterwards; getting CAP_SYS_ADMIN back is tried and must fail.
 * Source: capabilities(7). */
int capabilities_keep_kill(nsb_error *error);

/* Whether this process has all that making a box needs: -EPERM with the names of those that are missing. */
int capabilities_check(nsb_error *error);

/* Leaves this process, which has just taken a user's ids (PR_SET_KEEPCAPS), no more than it takes to mount an overlay for
 * him: CAP_SYS_ADMIN, CAP_CHOWN, CAP_FOWNER and CAP_DAC_OVERRIDE (overlayfs makes its work directory with mode 0); in force
 * only if `effective`. Compared afterwards; -EPERM with a sentence. */
int capabilities_keep_mount(int effective, nsb_error *error);

/* What this process may have in force is in force: a change of the ids for file systems has taken some of it away. 0 or
 * negative errno with a sentence. */
int capabilities_raise(nsb_error *error);

#endif
