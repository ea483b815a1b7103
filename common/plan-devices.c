/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the plan that adds devices of the host. Which ones a glob finds only the host knows, so that is the step's. */
#include "common/plan-internal.h"

int plan_devices(planner *p)
{
	const nsb_list *dev = &p->settings->dev;
	int r = 0;

	for (size_t i = 0; r == 0 && i < dev->n; i++)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_DEVICE,
					    .src = dev->items[i],
					    .dst = (char *)"/dev",
					    .flags = NSB_STEP_NOSUID | NSB_STEP_NOEXEC,
					    .why = "dev",
					    .origin = dev->origins[i] });
	return r;
}
