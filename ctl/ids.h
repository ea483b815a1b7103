/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be told about user_namespace = keep-id without a login. */
#ifndef NSB_CTL_IDS_H
#define NSB_CTL_IDS_H

#include "common/plan.h"
#include "common/settings.h"
#include "ctl/lacks.h"
#include "ctl/sample.h"

/* For nsboxctl check: root among the users of the profile; ids of the pool that accounts of the host or /etc/subuid and
 * /etc/subgid have as well. Nothing without that key. */
void ids_of_profile(const nsb_settings *settings, const samples *accounts, lacks_tell *tell, void *argument);

/* For nsboxctl explain: one sentence for each mount in the trees of the plan that is left out of the box, because this kernel
 * cannot show its owners as those of the box. Tries it; only root can. */
void ids_left_out(const nsb_plan *plan, lacks_tell *tell, void *argument);

#endif
