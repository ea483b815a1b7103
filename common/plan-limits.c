/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the plan that bounds what the box may use: its control group and the limits of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/limit-table.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

static const void *value_of(const nsb_settings *settings, const nsb_limit *limit)
{
	return (const char *)settings + limit->offset;
}

static bool is_set(const nsb_settings *settings, const nsb_limit *limit)
{
	const void *value = value_of(settings, limit);

	switch (limit->kind) {
	case NSB_LIMIT_WEIGHT:
		return *(const int64_t *)value != NSB_WEIGHT_DEFAULT;
	case NSB_LIMIT_TEXT:
		return (*(char *const *)value)[0] != '\0';
	case NSB_LIMIT_LIST:
		return ((const nsb_list *)value)->n > 0;
	case NSB_LIMIT_COUNT:
	case NSB_LIMIT_SIZE:
	case NSB_LIMIT_CPU:
		break;
	}
	return *(const int64_t *)value != NSB_INFINITY;
}

/* One step. `text` may be NULL for want of memory. */
static int add(planner *p, const nsb_limit *limit, const char *group, const char *text, nsb_origin origin)
{
	if (text == NULL)
		return -ENOMEM;
	return plan_add(p, (nsb_step){ .op = NSB_OP_LIMIT,
				       .src = (char *)limit->key,
				       .dst = (char *)group,
				       .data = (char *)text,
				       .flags = p->settings->limits_optional ? NSB_STEP_OPTIONAL : 0,
				       .why = limit->why,
				       .origin = origin });
}

static int plan_limit(planner *p, const nsb_limit *limit, const char *group)
{
	const void *value = value_of(p->settings, limit);
	const nsb_list *list = value;
	NSB_FREE char *text = NULL;
	int r = 0;

	switch (limit->kind) {
	case NSB_LIMIT_LIST:
		for (size_t i = 0; r == 0 && i < list->n; i++)
			r = add(p, limit, group, list->items[i], list->origins[i]);
		return r;
	case NSB_LIMIT_TEXT:
		return add(p, limit, group, *(char *const *)value, (nsb_origin){ 0 });
	case NSB_LIMIT_SIZE:
		text = plan_size_text(*(const int64_t *)value);
		break;
	case NSB_LIMIT_COUNT:
	case NSB_LIMIT_CPU:
	case NSB_LIMIT_WEIGHT:
		text = nsb_format("%" PRId64, *(const int64_t *)value);
		break;
	}
	return add(p, limit, group, text, (nsb_origin){ 0 });
}

int plan_limits(planner *p)
{
	NSB_FREE char *above = nsb_format(NSB_USER_GROUP "%u", p->session->uid), *group = NULL;
	bool together = false;
	int r;

	for (size_t i = 0; i < nsb_n_limits; i++)
		together |= nsb_limits[i].user && is_set(p->settings, &nsb_limits[i]);
	group = above == NULL ? NULL : nsb_format("%s%s%s", together ? above : "", together ? "/" : "", p->session->id);
	if (group == NULL)
		return -ENOMEM;
	r = plan_add(p, (nsb_step){ .op = NSB_OP_CGROUP,
				    .src = p->settings->cgroup_parent,
				    .dst = group,
				    .why = together ? "the box's group, in one with the user's other boxes"
						    : "the box's group" });
	for (size_t i = 0; r == 0 && i < nsb_n_limits; i++)
		if (is_set(p->settings, &nsb_limits[i]))
			r = plan_limit(p, &nsb_limits[i], nsb_limits[i].user ? above : group);
	return r;
}
