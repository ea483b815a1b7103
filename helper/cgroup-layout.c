/* SPDX-License-Identifier: BSD-3-Clause */
/* Which control group trees a box needs, and where they are. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/registry.h"
#include "common/settings.h"
#include "helper/cgroup-mounts.h"
#include "helper/cgroup.h"

/* Adds a tree, or finds it among those there are. Its index, -ENOENT where it is not mounted, -EBADMSG. */
static int add_tree(nsb_cgroup_layout *layout, const cgroup_texts *from, const char *controller, nsb_error *error)
{
	const cgroup_mount *line = cgroup_find_mount(from, controller);
	int r;

	if (line == NULL)
		return -ENOENT;
	for (size_t i = 0; i < layout->n_trees; i++)
		if (strcmp(layout->trees[i].mount, line->point) == 0)
			return (int)i;
	if (layout->n_trees == NSB_CGROUP_TREES_MAX)
		return -E2BIG;
	r = cgroup_fill_tree(from, line, controller, &layout->trees[layout->n_trees], error);
	return r < 0 ? r : (int)layout->n_trees++;
}

static int add_home(nsb_cgroup_layout *layout, const cgroup_texts *from, nsb_error *error)
{
	int r = add_tree(layout, from, "pids", error);

	if (r == -ENOENT)
		r = add_tree(layout, from, NULL, error);
	if (r == -ENOENT)
		return nsb_error_set(error, r, "no cgroup tree is mounted: mount cgroup2 on /sys/fs/cgroup");
	return r;
}

/* The tree of one controller: its index or -1. */
static int add_controller(nsb_cgroup_layout *layout, const cgroup_texts *from, const char *unified_controllers,
			  nsb_controller controller, nsb_error *error)
{
	const char *v2 = nsb_controller_name(controller, 2);
	int r = add_tree(layout, from, nsb_controller_name(controller, 1), error);

	if (r == -ENOENT && v2 != NULL && cgroup_has_word(unified_controllers, v2))
		r = add_tree(layout, from, NULL, error);
	return r;
}

/* A version 2 tree that is none of the box's: the session stays there where it is. */
static int note_unified(nsb_cgroup_layout *layout, const cgroup_texts *from, nsb_error *error)
{
	const cgroup_mount *line = cgroup_find_mount(from, NULL);
	int r;

	layout->unified[0] = layout->unified_own[0] = '\0';
	if (line == NULL)
		return 0;
	for (size_t i = 0; i < layout->n_trees; i++)
		if (layout->trees[i].version == 2)
			return 0;
	r = cgroup_copy_point(line, layout->unified, error);
	if (r == 0)
		r = cgroup_own_directory(from, line, NULL, layout->unified_own, sizeof(layout->unified_own), error);
	if (r != -EBADMSG)
		return r;
	layout->unified_own[0] = '\0';
	return 0;
}

/* A freezer tree of version 1 in which this process is somewhere below the root. */
static int note_freezer(nsb_cgroup_layout *layout, const cgroup_texts *from, nsb_error *error)
{
	const cgroup_mount *line = cgroup_find_mount(from, "freezer");
	char own[NSB_CGROUP_OWN_MAX];
	int r;

	layout->freezer[0] = '\0';
	if (line == NULL)
		return 0;
	r = cgroup_own_directory(from, line, "freezer", own, sizeof(own), error);
	if (r == 0 && strcmp(own, line->point) != 0)
		r = cgroup_copy_point(line, layout->freezer, error);
	return r == -EBADMSG ? 0 : r;
}

int nsb_cgroup_choose(const char *mountinfo, const char *self_cgroup, const char *unified_controllers, unsigned wanted,
		      unsigned accounting, nsb_cgroup_layout *ret, nsb_error *error)
{
	CGROUP_TEXTS from = { .self_cgroup = self_cgroup };
	nsb_error ignored = { 0 };
	int r = cgroup_parse_mounts(mountinfo, &from);

	ret->n_trees = 0;
	if (r == 0)
		r = add_home(ret, &from, error);
	if (r < 0)
		return r;
	for (int i = 0; i < NSB_CONTROLLERS; i++) {
		bool must = wanted & 1u << i;

		ret->tree_of[i] = -1;
		if (!((wanted | accounting) & 1u << i))
			continue;
		r = add_controller(ret, &from, unified_controllers, (nsb_controller)i, must ? error : &ignored);
		if (r >= 0) {
			ret->tree_of[i] = r;
			ret->trees[r].controllers |= 1u << i;
			ret->trees[r].wanted |= wanted & 1u << i;
		} else if (must && r != -ENOENT) {
			return r;
		}
	}
	r = note_unified(ret, &from, error);
	return r < 0 ? r : note_freezer(ret, &from, error);
}

/* "cgroup.controllers" of a group with commas instead of blanks; "" if it has none. */
static void read_controllers(const char *group, char *buffer, size_t size)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/cgroup.controllers", group);
	if (nsb_read_text_at(AT_FDCWD, path, buffer, size) < 0)
		buffer[0] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
	for (char *at = buffer; (at = strchr(at, ' ')) != NULL;)
		*at = ',';
}

unsigned nsb_cgroup_controllers(const char *group)
{
	char text[1024];
	unsigned found = 0;

	read_controllers(group, text, sizeof(text));
	for (int i = 0; i < NSB_CONTROLLERS; i++) {
		const char *name = nsb_controller_name((nsb_controller)i, 2);

		if (name != NULL && cgroup_has_word(text, name))
			found |= 1u << i;
	}
	return found;
}

/* The controllers of the first version 2 tree, where it is mounted. */
static void unified_controllers(const char *mountinfo, char *buffer, size_t size)
{
	CGROUP_TEXTS from = { 0 };
	const cgroup_mount *line = cgroup_parse_mounts(mountinfo, &from) < 0 ? NULL : cgroup_find_mount(&from, NULL);

	buffer[0] = '\0';
	if (line != NULL)
		read_controllers(line->point, buffer, size);
}

/* What every box is counted by, and by the CPU controller weighed: otherwise the scheduler divides time between
 * sessions (setsid(2)), and a box that makes a thousand of them leaves others little. In version 2 the memory
 * controller costs little; in version 1 it would be one more tree to enter. */
static unsigned accounting(const char *unified)
{
	return 1u << NSB_CONTROLLER_PIDS | 1u << NSB_CONTROLLER_CPU | 1u << NSB_CONTROLLER_CPUACCT |
	       (cgroup_has_word(unified, "pids") ? 1u << NSB_CONTROLLER_MEMORY : 0);
}

/* Takes a tree out again that only accounts. */
static void drop_tree(nsb_cgroup_layout *layout, size_t index)
{
	layout->n_trees--;
	memmove(&layout->trees[index], &layout->trees[index + 1], (layout->n_trees - index) * sizeof(layout->trees[0]));
	for (int i = 0; i < NSB_CONTROLLERS; i++) {
		if (layout->tree_of[i] == (int)index)
			layout->tree_of[i] = -1;
		else if (layout->tree_of[i] > (int)index)
			layout->tree_of[i]--;
	}
}

static int check_writable(nsb_cgroup_layout *layout, nsb_error *error)
{
	size_t i = 0;

	while (i < layout->n_trees) {
		const nsb_cgroup_tree *tree = &layout->trees[i];

		if (faccessat(AT_FDCWD, tree->mount, W_OK, AT_EACCESS) == 0)
			i++;
		else if (i > 0 && tree->wanted == 0)
			drop_tree(layout, i);
		else
			return nsb_error_set(error, errno, "the cgroup tree %s cannot be written: %s", tree->mount,
					     strerror(errno));
	}
	return 0;
}

int nsb_cgroup_find(unsigned wanted, nsb_cgroup_layout *ret, nsb_error *error)
{
	NSB_FREE char *mountinfo = NULL;
	NSB_FREE char *self = NULL;
	char unified[1024];
	int r = cgroup_read_lines("/proc/self/mountinfo", " - cgroup", &mountinfo, error);

	if (r == 0)
		r = cgroup_read_lines("/proc/self/cgroup", ":", &self, error);
	if (r < 0)
		return r;
	unified_controllers(mountinfo, unified, sizeof(unified));
	r = nsb_cgroup_choose(mountinfo, self, unified, wanted, accounting(unified), ret, error);
	return r < 0 ? r : check_writable(ret, error);
}

int nsb_cgroup_freezer(pid_t pid, nsb_cgroup_tree *ret, nsb_error *error)
{
	CGROUP_TEXTS from = { 0 };
	const cgroup_mount *line;
	NSB_FREE char *mountinfo = NULL;
	NSB_FREE char *groups = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = cgroup_read_lines("/proc/self/mountinfo", " - cgroup", &mountinfo, error);
	if (r == 0 && cgroup_read_lines(path, ":", &groups, NULL) < 0)
		r = -ESRCH;
	if (r == 0)
		r = cgroup_parse_mounts(mountinfo, &from);
	if (r < 0)
		return r;
	from.self_cgroup = groups;
	line = cgroup_find_mount(&from, "freezer");
	return line == NULL ? -ENOENT : cgroup_fill_tree(&from, line, "freezer", ret, error);
}

/* ---- who makes groups ---- */

static bool is_unified(const nsb_cgroup_layout *layout)
{
	return layout->n_trees == 1 && layout->trees[0].version == 2;
}

/* sd_booted(3) */
static bool booted_with_systemd(void)
{
	return faccessat(AT_FDCWD, "/run/systemd/system", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int set_base(nsb_cgroup_layout *layout, const char *path, nsb_error *error)
{
	if ((size_t)snprintf(layout->base, sizeof(layout->base), "%s", path) >= sizeof(layout->base))
		return nsb_error_set(error, ENAMETOOLONG,
				     "the path of the control group for boxes is longer than %zu bytes: %.60s...",
				     sizeof(layout->base) - 1, path);
	return 0;
}

static int use_service(nsb_cgroup_layout *layout, nsb_error *error)
{
	nsb_cgroup_tree *tree = &layout->trees[0];
	char directory[NSB_CGROUP_MOUNT_MAX + PATH_MAX + sizeof("/" NSB_CGROUP_MONITORS)], path[PATH_MAX];
	unsigned there;
	int r = nsb_registry_base(path, sizeof(path));

	if (r == 0) {
		snprintf(directory, sizeof(directory), "%s%s/" NSB_CGROUP_MONITORS, tree->mount, path);
		r = faccessat(AT_FDCWD, directory, F_OK, 0) < 0 ? -errno : 0;
	}
	if (r < 0)
		return nsb_error_set(
			error, r,
			"the host was booted with systemd, but nsbox.service does not run: systemctl enable "
			"--now nsbox.service");
	r = set_base(layout, path + 1, error);
	if (r < 0)
		return r;
	layout->delegated = true;
	directory[strlen(directory) - strlen("/" NSB_CGROUP_MONITORS)] = '\0';
	there = nsb_cgroup_controllers(directory);
	for (int i = 0; i < NSB_CONTROLLERS; i++)
		if (!(there & 1u << i))
			layout->tree_of[i] = -1;
	tree->controllers &= there;
	tree->wanted &= there;
	return 0;
}

int nsb_cgroup_manage(nsb_cgroup_layout *layout, int manager, const char *parent, nsb_error *error)
{
	bool systemd = booted_with_systemd() && is_unified(layout);

	layout->delegated = false;
	layout->scope_unit[0] = '\0';
	if (manager == NSB_CGROUP_MANAGER_SYSTEMD && !systemd)
		return nsb_error_set(error, ENOTSUP, "cgroup_manager = systemd: this host %s: write auto or cgroupfs",
				     is_unified(layout) ? "was not booted with systemd"
							: "has control groups version 1");
	if (systemd && manager != NSB_CGROUP_MANAGER_CGROUPFS)
		return use_service(layout, error);
	return set_base(layout, parent, error);
}
