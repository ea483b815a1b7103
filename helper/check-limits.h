/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether this host can hold what the profile limits. */
#ifndef NSB_CHECK_LIMITS_H
#define NSB_CHECK_LIMITS_H

#include "common/plan.h"
#include "helper/cgroup.h"
#include "helper/limits.h"

/* Finds the trees for the plan's limits, who makes groups there, and whether each limit can be set. Changes nothing.
 * Refused with a sentence that names the key; what is optional (limits_optional) is not refused. -EACCES if the caller
 * may not write the trees. */
int check_limits(const nsb_plan *plan, nsb_cgroup_layout *ret, nsb_error *error);

/* The same for one limit, whether optional or not: 0, -ENOTSUP and others with a sentence. */
int check_limit(const nsb_plan *plan, const nsb_cgroup_layout *layout, const nsb_step *step, nsb_error *error);

/* What to write for a limit of the plan in a tree of `version`, as it is on this machine now. Errors of limits_resolve()
 * and limits_translate(). */
int check_limits_translate(const nsb_plan *plan, const nsb_step *step, int version, nsb_limit_writes *ret,
			   nsb_error *error);

/* memory_max of the group that `step` limits, in bytes; INT64_MAX without. */
int64_t check_limits_memory(const nsb_plan *plan, const nsb_step *step);

#endif
