/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/plan.h"
#include "common/protocol.h"
#include "common/registry.h"
#include "common/string-util.h"

/* A group's children get a controller only if the group hands it down. */
int nsb_cgroup_hand_down(const nsb_cgroup_tree *tree, int dir, const char *name, nsb_error *error)
{
	if (tree->version != 2)
		return 0;
	for (int i = 0; i < NSB_CONTROLLERS; i++) {
		char word[16];
		int r;

		if (!(tree->controllers & 1u << i))
			continue;
		snprintf(word, sizeof(word), "+%s", nsb_controller_name((nsb_controller)i, 2));
		r = nsb_write_text_at(dir, "cgroup.subtree_control", word);
		if (r < 0 && (tree->wanted & 1u << i))
			return nsb_error_set(
				error, r, "cannot hand the %s controller down in %s%s%s (cgroup.subtree_control): %s",
				word + 1, tree->mount, *name != '\0' ? "/" : "", name, strerror(-r));
	}
	return 0;
}

/* Version 1: a new group has no processors and no memory nodes; until it has some no process may enter it. */
static int inherit_cpuset(int parent, int group, nsb_error *error)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char text[4096];
		ssize_t n = nsb_read_text_at(group, files[i], text, sizeof(text));
		int r = n < 0 ? (int)n : 0;

		if (n > 1)
			continue;
		if (r == 0 && (n = nsb_read_text_at(parent, files[i], text, sizeof(text))) < 0)
			r = (int)n;
		if (r == 0)
			r = nsb_write_text_at(group, files[i], text);
		if (r < 0)
			return nsb_error_set(error, r, "cannot copy %s to a new cgroup: %s", files[i], strerror(-r));
	}
	return 0;
}

int nsb_cgroup_open_group(const nsb_cgroup_tree *tree, int parent, const char *name, bool *ret_made, nsb_error *error)
{
	NSB_CLOSE int fd = -1;
	int r;

	*ret_made = mkdirat(parent, name, 0755) == 0;
	if (!*ret_made && errno != EEXIST)
		return nsb_error_set(error, errno, "cannot make the cgroup %s: %s", name, strerror(errno));
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return nsb_error_set(error, errno, "cannot open the cgroup %s: %s", name, strerror(errno));
	/* also where the controller only shares a tree with one that is wanted */
	if (tree->version == 1 && faccessat(fd, "cpuset.mems", F_OK, 0) == 0) {
		r = inherit_cpuset(parent, fd, error);
		if (r < 0)
			return r;
	}
	return nsb_steal_fd(&fd);
}

/* Opens the group that PATH's last component goes into. PATH is below the group from which on groups are ours: the
 * mount, or the one that systemd gave. */
static int open_ancestors(const nsb_cgroup_layout *layout, const nsb_cgroup_tree *tree, char *path, char **ret_last,
			  nsb_error *error)
{
	char top[2 * NSB_CGROUP_MOUNT_MAX];
	NSB_CLOSE int at = -1;
	char *name = path, *slash;
	bool made;
	int r;

	snprintf(top, sizeof(top), "%s%s%s", tree->mount, layout->delegated ? "/" : "",
		 layout->delegated ? layout->base : "");
	at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return nsb_error_set(error, errno, "cannot open %s: %s", top, strerror(errno));
	r = nsb_cgroup_hand_down(tree, at, "", error);
	while (r == 0 && (slash = strchr(name, '/')) != NULL) {
		int next;

		*slash = '\0';
		next = nsb_cgroup_open_group(tree, at, name, &made, error);
		if (next < 0)
			return next;
		nsb_close(at);
		at = next;
		r = nsb_cgroup_hand_down(tree, at, name, error);
		name = slash + 1;
	}
	*ret_last = name;
	return r < 0 ? r : nsb_steal_fd(&at);
}

/* NAME below the base, from where open_ancestors() begins. */
static char *path_below_base(const nsb_cgroup_layout *layout, const char *name)
{
	return layout->delegated ? strdup(name) : nsb_format("%s/%s", layout->base, name);
}

static int make_once(const nsb_cgroup_layout *layout, const nsb_cgroup_tree *tree, const char *path, int *ret,
		     nsb_error *error)
{
	NSB_FREE char *copy = path_below_base(layout, path);
	NSB_CLOSE int parent = -1;
	char *name;
	bool made;
	int group;

	if (copy == NULL)
		return -ENOMEM;
	parent = open_ancestors(layout, tree, copy, &name, error);
	if (parent < 0)
		return parent;
	group = nsb_cgroup_open_group(tree, parent, name, &made, error);
	if (group < 0) {
		if (made)
			unlinkat(parent, name, AT_REMOVEDIR);
		return group;
	}
	if (!made) {
		nsb_close(group);
		return nsb_error_set(error, EEXIST, "the cgroup %s exists already", path);
	}
	*ret = group;
	return 0;
}

int nsb_cgroup_make(const nsb_cgroup_layout *layout, size_t tree, const char *path, int *ret, nsb_error *error)
{
	int r = -ENOENT;

	/* The user's last other box may go at this moment, and the group of all of them with it. */
	for (int attempt = 0; attempt < 100 && (r == -ENOENT || r == -ENODEV); attempt++) {
		nsb_error why = { .stage = error != NULL ? error->stage : 0 };

		r = make_once(layout, &layout->trees[tree], path, ret, &why);
		if (r != 0 && error != NULL && (attempt == 99 || (r != -ENOENT && r != -ENODEV)))
			*error = why;
	}
	return r;
}

static const char *join_file(const nsb_cgroup_tree *tree)
{
	return tree->version == 1 ? "tasks" : "cgroup.procs";
}

int nsb_cgroup_open_join(const nsb_cgroup_tree *tree, int group, nsb_error *error)
{
	int fd = openat(group, join_file(tree), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return nsb_error_set(error, errno, "cannot open %s of the box's cgroup: %s", join_file(tree),
				     strerror(errno));
	return fd;
}

int nsb_cgroup_way_back(const nsb_cgroup_tree *tree, char *buffer, size_t size)
{
	return (size_t)snprintf(buffer, size, "%s/%s", tree->own, join_file(tree)) < size ? 0 : -ENAMETOOLONG;
}

/* Opens BASE/monitors of one tree, made if need be. */
static int open_monitors(const nsb_cgroup_layout *layout, const nsb_cgroup_tree *tree, nsb_error *error)
{
	NSB_FREE char *copy = path_below_base(layout, NSB_CGROUP_MONITORS);
	NSB_CLOSE int above = -1;
	char *name;
	bool made;

	if (copy == NULL)
		return -ENOMEM;
	above = open_ancestors(layout, tree, copy, &name, error);
	return above < 0 ? above : nsb_cgroup_open_group(tree, above, name, &made, error);
}

/* BASE/monitors of one tree, where a login before has made it. */
static int open_monitors_there(const nsb_cgroup_layout *layout, const nsb_cgroup_tree *tree)
{
	char path[2 * NSB_CGROUP_MOUNT_MAX + sizeof("/" NSB_CGROUP_MONITORS)];

	snprintf(path, sizeof(path), "%s/%s/" NSB_CGROUP_MONITORS, tree->mount, layout->base);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Leaves one tree's group of the application. In version 2 *ret_group is the group to be in: the caller closes. */
static int settle_in(const nsb_cgroup_layout *layout, const nsb_cgroup_tree *tree, int *ret_group, nsb_error *error)
{
	NSB_CLOSE int group = open_monitors_there(layout, tree);
	int r;

	if (group >= 0 && tree->version == 1 && nsb_write_text_at(group, "tasks", "0") == 0)
		return 0;
	if (group < 0 || tree->version == 1) {
		nsb_close(group);
		group = open_monitors(layout, tree, error);
	}
	if (group < 0)
		return group;
	if (tree->version == 2) {
		*ret_group = nsb_steal_fd(&group);
		return 0;
	}
	r = nsb_write_text_at(group, "tasks", "0");
	return r < 0 ? nsb_error_set(error, r, "cannot enter the cgroup %s/" NSB_CGROUP_MONITORS " in %s: %s",
				     layout->base, tree->mount, strerror(-r))
		     : 0;
}

/* Whoever may freeze the group that the application is in must not hold the monitor, nor the cleaner after it. */
static int leave_freezer(const nsb_cgroup_layout *layout, nsb_error *error)
{
	NSB_CLOSE int root = -1;
	int r;

	if (layout->freezer[0] == '\0' || faccessat(AT_FDCWD, layout->freezer, W_OK, AT_EACCESS) < 0)
		return 0;
	root = open(layout->freezer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = root < 0 ? -errno : nsb_write_text_at(root, "tasks", "0");
	return r < 0 ? nsb_error_set(error, r, "cannot leave the application's group in %s: %s", layout->freezer,
				     strerror(-r))
		     : 0;
}

int nsb_cgroup_settle(const nsb_cgroup_layout *layout, int *ret_group, nsb_error *error)
{
	NSB_FREE nsb_cgroup_tree *beside = NULL;
	int r = 0;

	*ret_group = -1;
	for (size_t i = 0; r == 0 && i < layout->n_trees; i++)
		r = settle_in(layout, &layout->trees[i], ret_group, error);
	if (r == 0)
		r = leave_freezer(layout, error);
	if (r < 0 || layout->unified[0] == '\0' || faccessat(AT_FDCWD, layout->unified, W_OK, AT_EACCESS) < 0)
		return r;
	beside = calloc(1, sizeof(*beside));
	if (beside == NULL)
		return -ENOMEM;
	beside->version = 2;
	snprintf(beside->mount, sizeof(beside->mount), "%s", layout->unified);
	return settle_in(layout, beside, ret_group, error);
}

/* Moves what is left in `group` to `target`: as many as one read tells of, the caller comes again. */
static void evacuate(int group, int target)
{
	bool v1 = faccessat(group, "tasks", F_OK, 0) == 0;
	const char *file = v1 ? "tasks" : "cgroup.procs";
	NSB_CLOSE int list = openat(group, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[16384];
	char *save = NULL, *end;
	ssize_t n = list < 0 ? -1 : read(list, text, sizeof(text) - 1);

	if (n <= 0)
		return;
	text[n] = '\0';
	end = strrchr(text, '\n');
	if (end != NULL)
		*end = '\0'; /* the number behind it may be cut */
	for (char *pid = strtok_r(text, "\n", &save); pid != NULL; pid = strtok_r(NULL, "\n", &save))
		nsb_write_text_at(target, file, pid); /* a process that ended meanwhile is no error */
}

/* The group that may hold processes: BASE/monitors, beside the box's group or beside the user's above it. */
static int open_refuge(int parent)
{
	static const char *const places[] = { NSB_CGROUP_MONITORS, ("../" NSB_CGROUP_MONITORS), "." };
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof(places) / sizeof(places[0]); i++)
		fd = openat(parent, places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

/* The group of a user goes with the last box in it. */
static void remove_user_group(char *directory)
{
	const char *slash = strrchr(directory, '/');

	if (slash != NULL && strncmp(slash + 1, NSB_USER_GROUP, strlen(NSB_USER_GROUP)) == 0)
		rmdir(directory);
}

#define OWN_WAY 200 /* ms for whoever is on its own way out */

/* Nobody is moved at first: an application that goes back to its own group meanwhile would be moved out of that, because
 * between the look at who is there and the write lies its step. */
static int remove_group(const char *above, const char *name, int patience)
{
	NSB_CLOSE int parent = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int group = -1;
	NSB_CLOSE int refuge = -1;
	int64_t begin = nsb_now(), end = begin + patience;
	int own_way = patience / 2 < OWN_WAY ? patience / 2 : OWN_WAY;

	if (parent < 0)
		return errno == ENOENT ? 0 : -errno;
	for (;;) {
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENODEV)
			return 0;
		if (errno != EBUSY)
			return -errno;
		if (group < 0) {
			group = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			refuge = open_refuge(parent);
		}
		if (nsb_now() >= end)
			return -EBUSY;
		if (nsb_now() - begin >= own_way)
			evacuate(group, refuge);
		nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
	}
}

int nsb_cgroup_remove(const char *directory, int patience)
{
	NSB_FREE char *above = strdup(directory);
	char *slash = above != NULL ? strrchr(above, '/') : NULL;
	int r;

	if (slash == NULL)
		return above == NULL ? -ENOMEM : -EINVAL;
	*slash = '\0';
	r = remove_group(above, slash + 1, patience);
	if (r == 0)
		remove_user_group(above);
	return r;
}
