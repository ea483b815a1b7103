/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/check-limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cpu-list.h"
#include "common/fd-util.h"
#include "common/limit-table.h"
#include "helper/limits.h"

int64_t check_limits_memory(const nsb_plan *plan, const nsb_step *step)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const nsb_step *other = &plan->steps[i];
		const nsb_limit *limit = other->op == NSB_OP_LIMIT ? nsb_limit_find(other->src) : NULL;
		char text[NSB_LIMIT_TEXT_MAX];

		if (limit == NULL || strcmp(limit->box_key, "memory_max") != 0 || strcmp(other->dst, step->dst) != 0)
			continue;
		if (limits_resolve_here(limit, other->data, text, NULL) == 0)
			return strtoll(text, NULL, 10);
	}
	return INT64_MAX;
}

/* Version 1 takes no CPU quota that is above that of the group above, where version 2 lets the smaller one hold. */
static void keep_below_users(const nsb_plan *plan, const nsb_limit *limit, char text[NSB_LIMIT_TEXT_MAX])
{
	if (limit->user || limit->kind != NSB_LIMIT_CPU)
		return;
	for (size_t i = 0; i < plan->n_steps; i++) {
		const nsb_step *step = &plan->steps[i];
		const nsb_limit *other = step->op == NSB_OP_LIMIT ? nsb_limit_find(step->src) : NULL;

		if (other != NULL && other->user && strcmp(other->box_key, limit->key) == 0 &&
		    strtoll(step->data, NULL, 10) < strtoll(text, NULL, 10))
			snprintf(text, NSB_LIMIT_TEXT_MAX, "%s", step->data);
	}
}

int check_limits_translate(const nsb_plan *plan, const nsb_step *step, int version, nsb_limit_writes *ret,
			   nsb_error *error)
{
	const nsb_limit *limit = nsb_limit_find(step->src);
	char text[NSB_LIMIT_TEXT_MAX];
	int r = limits_resolve_here(limit, step->data, text, error);

	if (r < 0)
		return r;
	if (version == 1)
		keep_below_users(plan, limit, text);
	return limits_translate(limit, text, version, check_limits_memory(plan, step), ret, error);
}

/* A kernel built without it has no such file in any group: seen in the one where the monitors live, once that has the
 * controller. */
static int check_file(const nsb_cgroup_layout *layout, const nsb_cgroup_tree *tree, const nsb_limit *limit,
		      const nsb_limit_writes *writes, nsb_error *error)
{
	char place[2 * NSB_CGROUP_MOUNT_MAX + sizeof("/" NSB_CGROUP_MONITORS)];
	int group, r = 0;

	snprintf(place, sizeof(place), "%s/%s/" NSB_CGROUP_MONITORS, tree->mount, layout->base);
	group = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (group < 0)
		return 0; /* the first box of this host: not known yet */
	if (faccessat(group, limits_probe_file(limit->controller, tree->version), F_OK, 0) == 0)
		for (size_t i = 0; r == 0 && i < writes->n; i++)
			if (faccessat(group, writes->items[i].file, F_OK, 0) < 0 &&
			    (writes->items[i].or_file == NULL ||
			     faccessat(group, writes->items[i].or_file, F_OK, 0) < 0))
				r = nsb_error_set(error, ENOTSUP, "%s: this kernel's control groups have no %s",
						  limit->key, writes->items[i].file);
	close(group);
	return r;
}

/* Version 1 takes no CPU that the group above has not: one that is offline, or that was left to others. Version 2 lets
 * hold what both have. */
static int check_above(const nsb_cgroup_layout *layout, const nsb_cgroup_tree *tree, const nsb_limit *limit,
		       const nsb_limit_writes *writes, nsb_error *error)
{
	char place[2 * NSB_CGROUP_MOUNT_MAX + sizeof("/cpuset.cpus")], cpus[NSB_LIMIT_TEXT_MAX];
	ssize_t n;

	if (tree->version != 1 || limit->controller != NSB_CONTROLLER_CPUSET)
		return 0;
	snprintf(place, sizeof(place), "%s/%s/cpuset.cpus", tree->mount, layout->base);
	n = nsb_read_text_at(AT_FDCWD, place, cpus, sizeof(cpus));
	if (n < 0) {
		/* the first box makes that group, as a copy of what is above it */
		snprintf(place, sizeof(place), "%s/cpuset.cpus", tree->mount);
		n = nsb_read_text_at(AT_FDCWD, place, cpus, sizeof(cpus));
	}
	if (n < 0)
		return 0;
	cpus[strcspn(cpus, "\n")] = '\0';
	if (nsb_cpu_list_within(writes->items[0].text, cpus) != 0)
		return 0;
	return nsb_error_set(error, EINVAL,
			     "%s = %.64s: the control group above has the CPUs %.64s: name no others, or write more "
			     "into %s",
			     limit->key, writes->items[0].text, cpus, place);
}

int check_limit(const nsb_plan *plan, const nsb_cgroup_layout *layout, const nsb_step *step, nsb_error *error)
{
	const nsb_limit *limit = nsb_limit_find(step->src);
	int index = layout->tree_of[limit->controller];
	nsb_limit_writes writes;
	int r;

	if (index < 0)
		return nsb_error_set(error, ENOTSUP,
				     "%s: the %s controller is missing in %s (see cgroup.controllers there); "
				     "limits_optional = yes does without",
				     limit->key, nsb_controller_name(limit->controller, 2), layout->trees[0].mount);
	r = check_limits_translate(plan, step, layout->trees[index].version, &writes, error);
	if (r == 0)
		r = check_file(layout, &layout->trees[index], limit, &writes, error);
	return r < 0 ? r : check_above(layout, &layout->trees[index], limit, &writes, error);
}

static unsigned wanted_controllers(const nsb_plan *plan)
{
	unsigned wanted = 0;

	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].op == NSB_OP_LIMIT)
			wanted |= 1u << nsb_limit_find(plan->steps[i].src)->controller;
	return wanted;
}

int check_limits(const nsb_plan *plan, nsb_cgroup_layout *ret, nsb_error *error)
{
	int r = nsb_cgroup_find(wanted_controllers(plan), ret, error);

	if (r == 0)
		r = nsb_cgroup_manage(ret, plan->cgroup_manager, plan->cgroup_parent, error);
	for (size_t i = 0; r == 0 && i < plan->n_steps; i++) {
		const nsb_step *step = &plan->steps[i];
		nsb_error why = { .stage = error->stage };

		if (step->op != NSB_OP_LIMIT)
			continue;
		r = check_limit(plan, ret, step, &why);
		if (r == -ENOTSUP && (step->flags & NSB_STEP_OPTIONAL))
			r = 0;
		else if (r < 0 && step->origin.file != NULL)
			nsb_error_set(error, r, "%s:%u: %s", step->origin.file, step->origin.line, why.words);
		else if (r < 0)
			*error = why;
	}
	return r;
}
