/* SPDX-License-Identifier: BSD-3-Clause */
/* network = netns:NAME and join:USER: a network namespace that is there already. */
#include <errno.h>

#include "common/fd-util.h"
#include "common/network.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

bool plan_enters_network(const planner *p)
{
	nsb_network kind = nsb_network_kind(p->settings->network, NULL);

	return kind == NSB_NETWORK_NETNS || kind == NSB_NETWORK_JOIN;
}

int plan_network_entered(planner *p)
{
	const char *target;
	bool join = nsb_network_kind(p->settings->network, &target) == NSB_NETWORK_JOIN;
	NSB_FREE char *expanded = NULL;
	NSB_FREE char *word = NULL;
	int r;

	if (!plan_enters_network(p))
		return 0;
	r = plan_expand(p, target, false, &expanded);
	if (r < 0)
		return r;
	word = nsb_format("%s%s", join ? NSB_PLAN_JOIN : NSB_PLAN_NETNS, expanded);
	if (word == NULL)
		return -ENOMEM;
	return plan_add(p, (nsb_step){ .op = NSB_OP_ENTER_NETWORK,
				       .src = word,
				       .why = join ? "the network of that user's box"
						   : "the network that ip-netns(8) keeps by that name" });
}
