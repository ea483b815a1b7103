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

#endif
