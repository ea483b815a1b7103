/* SPDX-License-Identifier: BSD-3-Clause */
/* The profiles that somebody may get, and the plan of one, tried on an account of this host. */
#ifndef NSB_CTL_PROFILE_PLAN_H
#define NSB_CTL_PROFILE_PLAN_H

#include <stdbool.h>

#include "common/config.h"
#include "common/plan.h"
#include "ctl/sample.h"

typedef void profile_take(void *argument, const nsb_section *profile, const nsb_settings *settings);

/* All profiles in their order, without those that only others inherit. `config` may be NULL: none. */
void profiles_each(const nsb_config *config, profile_take *take, void *argument);

/* Whether another profile inherits this one. */
bool profile_is_inherited(const nsb_config *config, const nsb_section *profile);

/* Whether the profile is for logins by that service, as far as `services` says. */
bool profile_is_for_service(const nsb_settings *settings, const char *service);

/* The first profile that is for the account by that service, from wherever it logs in, and its settings; false: there is
 * none, or nobody can tell. The caller calls nsb_settings_done() after true. */
bool profile_first_for(const nsb_config *config, const nsb_session *account, const char *service,
		       const nsb_section **ret, nsb_settings *ret_settings);

/* The plan for the first account that the profile is for. -ENOENT: there is none; else as nsb_plan_make(). The caller
 * calls nsb_plan_done(), also after an error. */
int profile_plan(const nsb_settings *settings, samples *accounts, nsb_plan *ret);

#endif
