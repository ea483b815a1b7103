/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "helper/usage.h"

/* Which file tells of which limit. Kernels before 6.12 count a failed fork in the box's group whichever group was full,
 * later ones in the group that was: so the user's is watched as well. */
static const struct {
	const char *key;
	const char *v1, *v2, *word;
} rows[] = {
	{ "pids_max", "pids.events", "pids.events", "max" },
	{ "user_pids_max", "pids.events", "pids.events", "max" },
	{ "memory_max", "memory.oom_control", "memory.events", "oom_kill" },
	{ "user_memory_max", "memory.oom_control", "memory.events", "oom_kill" },
};

/* Opens the counter of one limit. The argument for the monitor, or false. */
static bool open_event(const nsb_box *box, size_t row, char argument[NSB_EVENT_SIZE])
{
	const nsb_limit *limit = nsb_limit_find(rows[row].key);
	int index = box->layout.tree_of[limit->controller], group, file;
	bool v1 = index >= 0 && box->layout.trees[index].version == 1;
	NSB_CLOSE int above = -1;

	if (index < 0)
		return false;
	group = box->cgroups[index];
	if (box->plan.share && box->entry.scope[0] != '\0') {
		/* the user's slice has both limits */
		above = open(box->entry.scope, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		group = above;
	} else if (limit->user) {
		/* under systemd this is the user's slice */
		above = openat(group, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		group = above;
	}
	file = openat(group, v1 ? rows[row].v1 : rows[row].v2, O_RDONLY | O_NOFOLLOW);
	if (file < 0)
		return false;
	/* Version 1 wakes nobody in time: pids.events not at all (Linux 6.18), and the eventfd of memory.oom_control
	 * before the kill that it would count. */
	snprintf(argument, NSB_EVENT_SIZE, v1 ? "%s:%d:look" : "%s:%d", rows[row].word, file);
	return true;
}

size_t events_open(const nsb_box *box, char arguments[NSB_EVENTS_MAX][NSB_EVENT_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && n < NSB_EVENTS_MAX; i++)
		if (usage_limit(&box->entry, rows[i].key) != NULL && open_event(box, i, arguments[n]))
			n++;
	return n;
}
