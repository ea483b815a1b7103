/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the plan that is a network of the box's own: veth and bridge. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/network.h"
#include "common/plan-internal.h"

static int refuse(planner *p, const nsb_origin *at, const char *key, const char *what)
{
	return at != NULL && at->file != NULL
		       ? nsb_error_set(p->error, EBADMSG, "%s:%u: %s: %s", at->file, at->line, key, what)
		       : nsb_error_set(p->error, EBADMSG, "%s: %s", key, what);
}

static int take_words(planner *p, const nsb_list *list, const char *key, char words[][NSB_RECORD_WORD], size_t *n,
		      size_t max)
{
	for (size_t i = 0; i < list->n; i++) {
		if (*n == max)
			return refuse(p, &list->origins[i], key,
				      "there are more words than fit: write larger networks");
		snprintf(words[(*n)++], NSB_RECORD_WORD, "%s", list->items[i]);
	}
	return 0;
}

static int take_pools(planner *p, nsb_network_record *record)
{
	const nsb_list *list = &p->settings->network_pool;

	for (size_t i = 0; i < list->n; i++) {
		if (record->n_pools == NSB_NETWORK_POOLS)
			return refuse(p, &list->origins[i], "network_pool",
				      "there are more pools than a box takes (8)");
		if (nsb_network_parse(list->items[i], &record->pools[record->n_pools++], p->error) < 0)
			return -EBADMSG;
	}
	return 0;
}

/* What an administrator would take for in force, and is not. */
static int check_bridge(planner *p)
{
	const nsb_list *publish = &p->settings->publish;

	if (publish->n == 0)
		return 0;
	return refuse(
		p, &publish->origins[0], "publish",
		"a box on a bridge has an address of its own there, which others reach: write network = veth, or take "
		"publish out");
}

int plan_decide_network(planner *p)
{
	const nsb_settings *s = p->settings;
	const char *target;
	nsb_network kind = nsb_network_kind(s->network, &target);
	nsb_network_record *record;
	int r;

	if (kind != NSB_NETWORK_VETH && kind != NSB_NETWORK_BRIDGE)
		return 0;
	p->plan->network = record = calloc(1, sizeof(*record));
	if (record == NULL)
		return -ENOMEM;
	record->kind = kind;
	snprintf(record->bridge, sizeof(record->bridge), "%s", target);
	record->nat = s->nat && kind == NSB_NETWORK_VETH;
	record->set_forwarding = s->forwarding == NSB_FORWARDING_SET;
	record->rate = s->network_rate == NSB_INFINITY ? 0 : (uint64_t)s->network_rate;
	record->connections = s->network_connections == NSB_INFINITY ? 0 : (uint64_t)s->network_connections;
	r = kind == NSB_NETWORK_BRIDGE ? check_bridge(p) : 0;
	if (r == 0)
		r = take_pools(p, record);
	if (r == 0)
		r = take_words(p, &s->allow, "allow", record->allow, &record->n_allow, NSB_NETWORK_RULES);
	if (r == 0)
		r = take_words(p, &s->deny, "deny", record->deny, &record->n_deny, NSB_NETWORK_RULES);
	if (r == 0)
		r = take_words(p, &s->publish, "publish", record->publish, &record->n_publish, NSB_NETWORK_PUBLISH);
	return r;
}

int plan_network(planner *p)
{
	if (p->plan->network == NULL)
		return 0;
	return plan_add(p, (nsb_step){ .op = NSB_OP_NETWORK,
				       .dst = p->settings->network,
				       .why = "rules, then the link: no packet passes without them" });
}
