/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The box's control group and its limits, on the host. Two ways:
 *
 *  - groups of our own, made below the base in each tree that is needed (cgroupfs, or what systemd delegated to
 *    nsbox.service), written to directly;
 *  - under systemd, where the application leads a logind session: the session's scope is the box's group. Nothing is
 *    moved, and the limits are set by systemd, in one call for the scope and one for the user's slice.
 *
 * A box that sessions share outlives each of them, so it has a group of its own in any case, in which PID 1 is and who
 * joins without a scope. Sessions that lead a scope stay in theirs; what bounds all of them together is the user's slice,
 * which gets the limits of the box, or those of the user where they are lower.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/string-util.h"
#include "helper/bus-values.h"
#include "helper/bus.h"
#include "helper/check-limits.h"
#include "helper/limits.h"
#include "helper/steps.h"

#define PROPERTIES_MAX (BUS_ROWS + BUS_DEVICES_MAX) /* of one unit: each limit once, and the lines of io_max */
#define UNDO_PATIENCE  1500			    /* ms */

static bool in_scope(const nsb_box *box)
{
	return box->layout.scope_unit[0] != '\0';
}

static bool own_group(const nsb_box *box)
{
	return !in_scope(box) || box->plan.share;
}

/* ---- groups of our own ---- */

/* The scope that stands for the box, or the slice that it is in where sessions share the box. */
static int note_scope(nsb_box *box)
{
	char *scope = box->entry.scope;

	if ((size_t)snprintf(scope, sizeof(box->entry.scope), "%s", box->layout.trees[0].own) >=
	    sizeof(box->entry.scope))
		return nsb_error_set(&box->error, ENAMETOOLONG, "the path of the session's scope is too long");
	if (box->plan.share)
		*strrchr(scope, '/') = '\0'; /* find_scope() has seen one */
	return 0;
}

int host_cgroup_paths(nsb_box *box)
{
	const nsb_cgroup_layout *layout = &box->layout;
	const char *group = "";
	int r = in_scope(box) ? note_scope(box) : 0;

	box->entry.n_cgroups = 0;
	if (r < 0 || !own_group(box))
		return r;
	for (size_t i = 0; i < box->plan.n_steps; i++)
		if (box->plan.steps[i].op == NSB_OP_CGROUP)
			group = box->plan.steps[i].dst;
	for (size_t i = 0; i < layout->n_trees; i++) {
		char *path = box->entry.cgroups[box->entry.n_cgroups++];

		if ((size_t)snprintf(path, sizeof(box->entry.cgroups[0]), "%s/%s/%s", layout->trees[i].mount,
				     layout->base, group) >= sizeof(box->entry.cgroups[0]))
			return nsb_error_set(&box->error, ENAMETOOLONG, "the path of the box's cgroup is too long");
	}
	return 0;
}

static int open_scope(nsb_box *box)
{
	box->cgroups[0] = open(box->layout.trees[0].own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (box->cgroups[0] < 0)
		return nsb_error_set(&box->error, errno, "cannot open the session's scope %s: %s",
				     box->layout.trees[0].own, strerror(errno));
	return 0;
}

int host_cgroup(nsb_box *box, const nsb_step *step)
{
	int r = 0;

	if (!own_group(box))
		return open_scope(box);
	for (size_t i = 0; r == 0 && i < box->layout.n_trees; i++) {
		r = nsb_cgroup_make(&box->layout, i, step->dst, &box->cgroups[i], &box->error);
		if (r == 0 && !in_scope(box)) {
			box->cgroups_join[i] =
				nsb_cgroup_open_join(&box->layout.trees[i], box->cgroups[i], &box->error);
			r = box->cgroups_join[i] < 0 ? box->cgroups_join[i] : 0;
		}
	}
	return r;
}

void host_cgroup_remove(nsb_box *box, const nsb_step *step)
{
	(void)step;
	for (size_t i = 0; i < NSB_CGROUP_TREES_MAX; i++) {
		bool made = box->cgroups[i] >= 0;

		box->cgroups_join[i] = nsb_close(box->cgroups_join[i]);
		box->cgroups[i] = nsb_close(box->cgroups[i]);
		if (!own_group(box) || i >= box->entry.n_cgroups)
			continue;
		/* one that was not made: a group of the user was, perhaps, above it */
		if (made || faccessat(AT_FDCWD, box->entry.cgroups[i], F_OK, 0) < 0)
			nsb_cgroup_remove(box->entry.cgroups[i], 2000);
	}
}

/* ---- limits ---- */

/* For nsboxctl and the line at the end; what does not fit is missed there only. */
static void note_limit(nsb_box *box, const nsb_step *step)
{
	nsb_entry *entry = &box->entry;

	if (entry->n_limits < NSB_ENTRY_LIMITS_MAX)
		snprintf(entry->limits[entry->n_limits++], sizeof(entry->limits[0]), "%s %.170s", step->src,
			 step->data);
}

static int left_out(const nsb_box *box, const nsb_error *why)
{
	nsb_log(LOG_NOTICE, "box %s of %s (profile %s): limit left out (limits_optional): %s", box->session.id,
		box->session.user, box->choice.profile->name, why->words);
	return 0;
}

static int write_limit(nsb_box *box, const nsb_limit *limit, const nsb_step *step, nsb_error *error)
{
	int index = box->layout.tree_of[limit->controller], r;
	/* the user's group is above the box's, which holds it in place */
	NSB_CLOSE int above = limit->user ? openat(box->cgroups[index], "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	nsb_limit_writes writes;

	if (limit->user && above < 0)
		return nsb_error_set(error, errno, "cannot open the user's cgroup: %s", strerror(errno));
	r = check_limits_translate(&box->plan, step, box->layout.trees[index].version, &writes, error);
	return r < 0 ? r : limits_write(limit->user ? above : box->cgroups[index], limit, &writes, error);
}

/* ---- limits by systemd ---- */

typedef struct call {
	char *arguments[PROPERTIES_MAX + 4];
	size_t n;
} call;

static void call_done(call *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->arguments[i]);
}

static int call_add(call *c, char *argument)
{
	if (argument == NULL || c->n == PROPERTIES_MAX + 3) {
		free(argument);
		return argument == NULL ? -ENOMEM : -E2BIG;
	}
	c->arguments[c->n++] = argument;
	c->arguments[c->n] = NULL;
	return 0;
}

/* A property that two limits want, in the box and for all of the user, gets the lower one. */
static int call_add_lower(call *c, const char *key, const char *text)
{
	size_t length = strlen(key);
	char *argument = nsb_format("%s=%s", key, text);

	for (size_t i = 3; argument != NULL && i < c->n; i++) {
		char *other = c->arguments[i];

		if (strncmp(other, key, length) != 0 || other[length] != '=')
			continue;
		if (strtoull(text, NULL, 10) >= strtoull(other + length + 1, NULL, 10)) {
			free(argument);
			return 0;
		}
		free(other);
		c->arguments[i] = argument;
		return 0;
	}
	return call_add(c, argument);
}

static int call_begin(call *c, const char *unit)
{
	int r = call_add(c, strdup("nsbox-bus"));

	if (r == 0)
		r = call_add(c, strdup("set"));
	return r < 0 ? r : call_add(c, strdup(unit));
}

/* Adds one limit as systemd shall set it. io_max goes on with its path: systemd finds the disk. */
static int call_add_limit(call *c, const nsb_limit *limit, const nsb_step *step, nsb_error *error)
{
	char text[NSB_LIMIT_TEXT_MAX];
	int r;

	if (limit->kind == NSB_LIMIT_LIST)
		return call_add(c, nsb_format("%s=%s", limit->box_key, step->data));
	r = limits_resolve_here(limit, step->data, text, error);
	return r < 0 ? r : call_add_lower(c, limit->box_key, text);
}

/* Whether a limit is one of the user's slice rather than of the session's scope. */
static bool is_of_slice(const nsb_box *box, const nsb_limit *limit)
{
	return limit->user || box->plan.share;
}

/* Sets all limits of one unit; what was there before is kept for the undo. */
static int set_unit(nsb_box *box, const char *unit, bool user, char **ret_before)
{
	__attribute__((cleanup(call_done))) call c = { .n = 0 };
	NSB_FREE char *before = NULL;
	int r = call_begin(&c, unit);

	for (size_t i = 0; r == 0 && i < box->plan.n_steps; i++) {
		const nsb_step *step = &box->plan.steps[i];
		const nsb_limit *limit = step->op == NSB_OP_LIMIT ? nsb_limit_find(step->src) : NULL;
		nsb_error why = { 0 };

		if (limit == NULL || is_of_slice(box, limit) != user)
			continue;
		if ((step->flags & NSB_STEP_OPTIONAL) && check_limit(&box->plan, &box->layout, step, &why) < 0)
			continue; /* said by its own step */
		r = call_add_limit(&c, limit, step, &box->error);
	}
	if (r == -E2BIG)
		return nsb_error_set(&box->error, r, "more than %d limits for %s", PROPERTIES_MAX, unit);
	if (r == 0)
		r = bus_run(c.arguments, box->deadline, &before, &box->error);
	/* nsbox-bus sets nothing before all lines are written: a text that was cut is of a unit that is as it was, and
	 * must not be put back */
	if (before != NULL && before[0] != '\0' && before[strlen(before) - 1] == '\n')
		*ret_before = nsb_steal_pointer(&before);
	return r > 0 ? -EIO : r;
}

/* The first limit of a unit sets all of that unit: systemd takes them in one call. */
static int set_by_systemd(nsb_box *box, const nsb_limit *limit)
{
	char slice[64];
	bool of_slice = is_of_slice(box, limit);
	char **before = of_slice ? &box->slice_before : &box->scope_before;

	if (*before != NULL)
		return 0;
	snprintf(slice, sizeof(slice), "user-%u.slice", box->session.uid);
	return set_unit(box, of_slice ? slice : box->layout.scope_unit, of_slice, before);
}

/* What is left of the helper's time, or a little more: the application, which wants to hear why, waits 2 s longer. */
static int64_t undo_deadline(const nsb_box *box)
{
	int64_t least = nsb_now() + UNDO_PATIENCE;

	return box->deadline > least ? box->deadline : least;
}

static void put_back(const char *unit, const char *before, int64_t deadline)
{
	__attribute__((cleanup(call_done))) call c = { .n = 0 };
	NSB_FREE char *copy = strdup(before);
	nsb_error error = { 0 };
	char *save = NULL;
	int r = copy == NULL ? -ENOMEM : call_begin(&c, unit);

	for (char *line = copy != NULL ? strtok_r(copy, "\n", &save) : NULL; r == 0 && line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		r = call_add(&c, strdup(line));
	if (r == 0)
		r = bus_run(c.arguments, deadline, NULL, &error);
	/* a session that has ended took its scope along */
	if (r < 0 && r != -ESTALE)
		nsb_log(LOG_WARNING, "the limits of %s were not put back: %s", unit, error.words);
}

int host_limit(nsb_box *box, const nsb_step *step)
{
	const nsb_limit *limit = nsb_limit_find(step->src);
	nsb_error why = { .stage = box->error.stage };
	int r = 0;

	if (step->flags & NSB_STEP_OPTIONAL)
		r = check_limit(&box->plan, &box->layout, step, &why);
	if (r == -ENOTSUP)
		return left_out(box, &why);
	if (r == 0 && in_scope(box))
		r = set_by_systemd(box, limit);
	if (r == 0 && own_group(box) && !box->joining)
		r = write_limit(box, limit, step, &why);
	if (r == -ENOENT && (step->flags & NSB_STEP_OPTIONAL) && !in_scope(box))
		return left_out(box, &why);
	if (r < 0)
		return nsb_error_set(&box->error, r, "%s", why.words);
	if (!box->joining)
		note_limit(box, step);
	return 0;
}

/* Groups of our own go with all their limits. The user's group or slice keeps those of the last login: what was there
 * before may be from before another login that counts on them by now. */
void host_limit_undo(nsb_box *box, const nsb_step *step)
{
	if (!in_scope(box) || is_of_slice(box, nsb_limit_find(step->src)) || box->scope_before == NULL)
		return;
	put_back(box->layout.scope_unit, box->scope_before, undo_deadline(box));
	free(box->scope_before);
	box->scope_before = NULL;
}
