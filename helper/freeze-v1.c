/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In version 1 freezing is a tree of its own. The box's group there is made when it is needed. It is FROZEN before the
 * first process is moved into it, so each stops as it arrives; a child that is born meanwhile is where its parent was,
 * so all of the box's processes are looked through until there is no new one.
 */
#include "helper/freeze-v1.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/string-util.h"
#include "helper/freeze.h"
#include "helper/freezer.h"

#define MOVE_PATIENCE 10000 /* ms until all are moved: 5 to 11 ms for each process */

void freeze_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
}

typedef struct pids {
	pid_t *items;
	size_t n;
} pids;

static void pids_done(pids *list)
{
	free(list->items);
}

static int read_pids(int group, pids *ret)
{
	int fd = openat(group, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	int pid, r = 0;

	ret->n = 0;
	if (in == NULL) {
		r = -errno;
		nsb_close(fd);
		return r;
	}
	while (r == 0 && fscanf(in, "%d", &pid) == 1) {
		pid_t *more = nsb_grow(ret->items, ret->n, sizeof(*more));

		if (more == NULL) {
			r = -ENOMEM;
		} else {
			ret->items = more;
			ret->items[ret->n++] = pid;
		}
	}
	fclose(in);
	return r;
}

static int compare(const void *a, const void *b)
{
	pid_t one = *(const pid_t *)a, other = *(const pid_t *)b;

	return (one > other) - (one < other);
}

/* Moves every process of `from` that is not there yet. How many; negative errno. */
static int move_new(int from, int to)
{
	__attribute__((cleanup(pids_done))) pids all = { 0 }, there = { 0 };
	int moved = 0, r = read_pids(to, &there);

	if (r == 0)
		r = read_pids(from, &all);
	if (r < 0)
		return r;
	if (there.n > 0)
		qsort(there.items, there.n, sizeof(*there.items), compare);
	for (size_t i = 0; i < all.n; i++) {
		char text[16];

		if (there.n > 0 && bsearch(&all.items[i], there.items, there.n, sizeof(*there.items), compare) != NULL)
			continue;
		snprintf(text, sizeof(text), "%d", (int)all.items[i]);
		r = nsb_write_text_at(to, "cgroup.procs", text);
		if (r < 0 && r != -ESRCH) /* it ended meanwhile */
			return r;
		moved++;
	}
	return moved;
}

int freeze_v1_wait(int group, int64_t deadline)
{
	char text[32];

	/* the kernel looks whether all have stopped when it is asked */
	while (nsb_read_text_at(group, "freezer.state", text, sizeof(text)) < 0 || strcmp(text, "FROZEN\n") != 0) {
		if (nsb_now() >= deadline)
			return -ETIMEDOUT;
		freeze_pause();
	}
	return 0;
}

/* Makes NAME below `parent`, or takes the one that is there. */
static int open_child(int parent, const char *name, bool make)
{
	int fd;

	if (make && mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* NSB_FREEZER_BASE of the freezer tree. */
static int open_base(const nsb_cgroup_tree *tree, bool make)
{
	NSB_CLOSE int top = open(tree->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return top < 0 ? -errno : open_child(top, NSB_FREEZER_BASE, make);
}

static int stop_all(int home, int group)
{
	int64_t deadline = nsb_now() + MOVE_PATIENCE;
	int r = nsb_write_text_at(group, "freezer.state", "FROZEN");

	while (r == 0) {
		r = move_new(home, group);
		if (r == 0)
			return freeze_v1_wait(group, nsb_now() + FREEZE_PATIENCE);
		if (r > 0)
			r = nsb_now() >= deadline ? -ETIMEDOUT : 0;
	}
	return r;
}

/* Lets all go on, puts them back into `origin`, and removes the group. */
static int release(int base, const char *id, int origin)
{
	int64_t deadline = nsb_now() + MOVE_PATIENCE;
	NSB_CLOSE int group = open_child(base, id, false);
	int r;

	if (group < 0)
		return group == -ENOENT ? 0 : group;
	r = nsb_write_text_at(group, "freezer.state", "THAWED");
	while (r >= 0) {
		if (unlinkat(base, id, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -errno;
		if (nsb_now() >= deadline)
			return -EBUSY;
		r = move_new(group, origin);
		if (r == 0)
			freeze_pause(); /* only dying ones are left */
	}
	return r;
}

/* The freezer tree; `own` is the group that the session came from: the monitor was a child of the application. Without
 * a monitor it is that of this process, which may be the guard. */
static int find_tree(const nsb_entry *entry, nsb_cgroup_tree *ret, nsb_error *error)
{
	NSB_CLOSE int monitor = nsb_process_open(&entry->monitor);
	int r = monitor < 0 ? -ESRCH : nsb_cgroup_freezer(entry->monitor.pid, ret, error);

	return r == -ESRCH ? nsb_cgroup_freezer(getpid(), ret, error) : r;
}

int freeze_v1(const nsb_entry *entry, int home, nsb_error *error)
{
	nsb_cgroup_tree tree;
	NSB_CLOSE int base = -1;
	NSB_CLOSE int group = -1;
	int r = find_tree(entry, &tree, error);

	if (r == -ENOENT)
		return nsb_error_set(
			error, ENOTSUP,
			"this host has control groups version 1 without a freezer tree: mount one (mount -t "
			"cgroup -o freezer cgroup /sys/fs/cgroup/freezer)");
	if (r < 0)
		return r;
	base = open_base(&tree, true);
	group = base < 0 ? base : open_child(base, entry->id, true);
	if (group < 0)
		return nsb_error_set(error, group, "cannot make the group %s/" NSB_FREEZER_BASE "/%s: %s", tree.mount,
				     entry->id, strerror(-group));
	r = stop_all(home, group);
	return r < 0 && r != -ETIMEDOUT ? nsb_error_set(error, r, "cannot freeze in %s: %s", tree.mount, strerror(-r))
					: r;
}

int freeze_v1_thaw(const nsb_entry *entry, nsb_error *error)
{
	nsb_cgroup_tree tree;
	NSB_CLOSE int base = -1;
	NSB_CLOSE int origin = -1;
	int r = find_tree(entry, &tree, error);

	if (r == 0)
		base = r = open_base(&tree, false);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	origin = open(tree.own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (origin < 0)
		origin = open(tree.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = release(base, entry->id, origin);
	return r < 0 ? nsb_error_set(error, r, "cannot remove the group %s/" NSB_FREEZER_BASE "/%s: %s", tree.mount,
				     entry->id, strerror(-r))
		     : 0;
}

size_t freeze_sweep(int boxes)
{
	nsb_cgroup_tree tree;
	NSB_CLOSE int origin = -1;
	int base = nsb_cgroup_freezer(getpid(), &tree, NULL) < 0 ? -1 : open_base(&tree, false);
	DIR *list = base < 0 ? NULL : fdopendir(base);
	const struct dirent *one;
	size_t n = 0;

	if (list == NULL) {
		nsb_close(base);
		return 0;
	}
	origin = open(tree.own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while ((one = readdir(list)) != NULL)
		if (nsb_id_valid(one->d_name) && faccessat(boxes, one->d_name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno == ENOENT && release(base, one->d_name, origin) == 0)
			n++;
	closedir(list);
	return n;
}
