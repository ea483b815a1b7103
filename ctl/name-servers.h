/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be told about the key dns without a login. */
#ifndef NSB_CTL_NAME_SERVERS_H
#define NSB_CTL_NAME_SERVERS_H

#include "common/plan.h"
#include "ctl/lacks.h"

/* One sentence if names would not resolve in a box by this plan, because it is to have the host's name servers and none of them
 * can be reached from it. */
void name_servers_lacking(const nsb_plan *plan, lacks_tell *tell, void *argument);

#endif
