/* SPDX-License-Identifier: BSD-3-Clause */
/* Which control group trees a box needs, and where they are. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/registry.h"
#include "common/settings.h"
#include "helper/cgroup.h"

/* The fields of a mountinfo line that matter here, proc_pid_mountinfo(5). */
typedef struct mount_line {
	char root[PATH_MAX], point[PATH_MAX], type[32], options[512];
} mount_line;

/* mountinfo writes blank, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] != '\0' && text[3] != '\0') {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static bool parse_mount_line(const char *line, mount_line *ret)
{
	const char *behind = strstr(line, " - ");

	if (behind == NULL || sscanf(line, "%*d %*d %*s %4095s %4095s", ret->root, ret->point) != 2 ||
	    sscanf(behind, " - %31s %*s %511s", ret->type, ret->options) != 2)
		return false;
	unescape(ret->root);
	unescape(ret->point);
	return true;
}

/* Whether `word` is one of the words divided by commas. */
static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	while (words != NULL) {
		if (strncmp(words, word, length) == 0 && (words[length] == ',' || words[length] == '\0'))
			return true;
		words = strchr(words, ',');
		words = words != NULL ? words + 1 : NULL;
	}
	return false;
}

/* The path of this process in one tree: lines "8:pids:/a/b" (version 1) and "0::/a/b" (version 2, controller NULL). */
static bool find_own_path(const char *self_cgroup, const char *controller, char *ret, size_t size)
{
	NSB_FREE char *copy = strdup(self_cgroup);
	char *save = NULL;

	for (char *line = copy != NULL ? strtok_r(copy, "\n", &save) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':');
		char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

		if (path == NULL)
			continue;
		*path++ = '\0';
		*controllers++ = '\0';
		if (controller != NULL ? has_word(controllers, controller)
				       : strcmp(line, "0") == 0 && controllers[0] == '\0') {
			snprintf(ret, size, "%s", path);
			return true;
		}
	}
	return false;
}

/* Where the group `path` lies, seen from a mount that shows the tree from `root` on. */
static int own_directory(const mount_line *m, const char *path, char *ret, size_t size)
{
	size_t length = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);

	if (strncmp(path, m->root, length) != 0 || strstr(path, "/..") != NULL)
		return -EBADMSG;
	path += length;
	if (strcmp(path, "/") == 0)
		path = "";
	if (*path != '\0' && *path != '/')
		return -EBADMSG;
	return (size_t)snprintf(ret, size, "%s%s", m->point, path) < size ? 0 : -ENAMETOOLONG;
}

/* The first mount of a tree: of version 1 with that controller, or of version 2 (NULL). */
static bool find_mount(const char *mountinfo, const char *controller, mount_line *ret)
{
	NSB_FREE char *copy = strdup(mountinfo);
	char *save = NULL;

	for (char *at = copy != NULL ? strtok_r(copy, "\n", &save) : NULL; at != NULL;
	     at = strtok_r(NULL, "\n", &save)) {
		if (!parse_mount_line(at, ret))
			continue;
		if (controller != NULL ? strcmp(ret->type, "cgroup") == 0 && has_word(ret->options, controller)
				       : strcmp(ret->type, "cgroup2") == 0)
			return true;
	}
	return false;
}

typedef struct texts {
	const char *mountinfo, *self_cgroup;
} texts;

/* Adds a tree, or finds it among those there are. Its index, -ENOENT where it is not mounted, -EBADMSG. */
static int add_tree(nsb_cgroup_layout *layout, const texts *from, const char *controller, nsb_error *error)
{
	NSB_FREE mount_line *line = malloc(sizeof(*line));
	nsb_cgroup_tree *tree = &layout->trees[layout->n_trees];
	char path[PATH_MAX];

	if (line == NULL)
		return -ENOMEM;
	if (!find_mount(from->mountinfo, controller, line))
		return -ENOENT;
	for (size_t i = 0; i < layout->n_trees; i++)
		if (strcmp(layout->trees[i].mount, line->point) == 0)
			return (int)i;
	if (layout->n_trees == NSB_CGROUP_TREES_MAX)
		return -E2BIG;
	if (!find_own_path(from->self_cgroup, controller, path, sizeof(path)) ||
	    own_directory(line, path, tree->own, sizeof(tree->own)) < 0)
		return nsb_error_set(error, EBADMSG,
				     "the cgroup of the application is not below %s, where the tree is mounted",
				     line->point);
	snprintf(tree->mount, sizeof(tree->mount), "%s", line->point);
	tree->version = controller != NULL ? 1 : 2;
	tree->controllers = tree->wanted = 0;
	return (int)layout->n_trees++;
}

static int add_home(nsb_cgroup_layout *layout, const texts *from, nsb_error *error)
{
	int r = add_tree(layout, from, "pids", error);

	if (r == -ENOENT)
		r = add_tree(layout, from, NULL, error);
	if (r == -ENOENT)
		return nsb_error_set(error, r, "no cgroup tree is mounted: mount cgroup2 on /sys/fs/cgroup");
	return r;
}

/* The tree of one controller: its index or -1. */
static int add_controller(nsb_cgroup_layout *layout, const texts *from, const char *unified_controllers,
			  nsb_controller controller, nsb_error *error)
{
	const char *v2 = nsb_controller_name(controller, 2);
	int r = add_tree(layout, from, nsb_controller_name(controller, 1), error);

	if (r == -ENOENT && v2 != NULL && has_word(unified_controllers, v2))
		r = add_tree(layout, from, NULL, error);
	return r;
}

/* A version 2 tree that is none of the box's: the session stays there where it is. */
static void note_unified(nsb_cgroup_layout *layout, const texts *from)
{
	NSB_FREE mount_line *line = malloc(sizeof(*line));
	char path[PATH_MAX];

	layout->unified[0] = layout->unified_own[0] = '\0';
	if (line == NULL || !find_mount(from->mountinfo, NULL, line))
		return;
	for (size_t i = 0; i < layout->n_trees; i++)
		if (layout->trees[i].version == 2)
			return;
	snprintf(layout->unified, sizeof(layout->unified), "%s", line->point);
	if (!find_own_path(from->self_cgroup, NULL, path, sizeof(path)) ||
	    own_directory(line, path, layout->unified_own, sizeof(layout->unified_own)) < 0)
		layout->unified_own[0] = '\0';
}

/* A freezer tree of version 1 in which this process is somewhere below the root. */
static void note_freezer(nsb_cgroup_layout *layout, const texts *from)
{
	NSB_FREE mount_line *line = malloc(sizeof(*line));
	char path[PATH_MAX], own[PATH_MAX];

	layout->freezer[0] = '\0';
	if (line != NULL && find_mount(from->mountinfo, "freezer", line) &&
	    find_own_path(from->self_cgroup, "freezer", path, sizeof(path)) &&
	    own_directory(line, path, own, sizeof(own)) == 0 && strcmp(own, line->point) != 0)
		snprintf(layout->freezer, sizeof(layout->freezer), "%s", line->point);
}

int nsb_cgroup_choose(const char *mountinfo, const char *self_cgroup, const char *unified_controllers, unsigned wanted,
		      unsigned accounting, nsb_cgroup_layout *ret, nsb_error *error)
{
	const texts from = { .mountinfo = mountinfo, .self_cgroup = self_cgroup };
	nsb_error ignored = { 0 };
	int r;

	ret->n_trees = 0;
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
	note_unified(ret, &from);
	note_freezer(ret, &from);
	return 0;
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

		if (name != NULL && has_word(text, name))
			found |= 1u << i;
	}
	return found;
}

/* The lines of a file that hold `word`, as one text in *ret (the caller frees). The whole may be of any size: a user
 * with fusermount(1) makes a thousand mounts with names of 4 kB. */
static int read_lines(const char *path, const char *word, char **ret, nsb_error *error)
{
	FILE *in = fopen(path, "re");
	NSB_FREE char *line = NULL;
	size_t room = 0, size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	int r = in == NULL || out == NULL ? -errno : 0;

	while (r == 0 && getline(&line, &room, in) > 0)
		if (strstr(line, word) != NULL)
			fputs(line, out);
	if (r == 0 && (ferror(in) || ferror(out)))
		r = -EIO;
	if (in != NULL)
		fclose(in);
	if (out != NULL && fclose(out) != 0 && r == 0)
		r = -errno;
	if (r < 0) {
		free(text);
		return nsb_error_set(error, r, "cannot read %s: %s", path, strerror(-r));
	}
	*ret = text;
	return 0;
}

/* The controllers of the first version 2 tree, where it is mounted. */
static void unified_controllers(const char *mountinfo, char *buffer, size_t size)
{
	NSB_FREE mount_line *line = malloc(sizeof(*line));

	buffer[0] = '\0';
	if (line != NULL && find_mount(mountinfo, NULL, line))
		read_controllers(line->point, buffer, size);
}

/* What every box is counted by, and by the CPU controller weighed: otherwise the scheduler divides time between
 * sessions (setsid(2)), and a box that makes a thousand of them leaves others little. In version 2 the memory
 * controller costs little; in version 1 it would be one more tree to enter. */
static unsigned accounting(const char *unified)
{
	return 1u << NSB_CONTROLLER_PIDS | 1u << NSB_CONTROLLER_CPU | 1u << NSB_CONTROLLER_CPUACCT |
	       (has_word(unified, "pids") ? 1u << NSB_CONTROLLER_MEMORY : 0);
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
	int r = read_lines("/proc/self/mountinfo", " - cgroup", &mountinfo, error);

	if (r == 0)
		r = read_lines("/proc/self/cgroup", ":", &self, error);
	if (r < 0)
		return r;
	unified_controllers(mountinfo, unified, sizeof(unified));
	r = nsb_cgroup_choose(mountinfo, self, unified, wanted, accounting(unified), ret, error);
	return r < 0 ? r : check_writable(ret, error);
}

int nsb_cgroup_freezer(pid_t pid, nsb_cgroup_tree *ret, nsb_error *error)
{
	NSB_FREE nsb_cgroup_layout *layout = calloc(1, sizeof(*layout));
	NSB_FREE char *mountinfo = NULL;
	NSB_FREE char *groups = NULL;
	char path[64];
	int r;

	if (layout == NULL)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = read_lines("/proc/self/mountinfo", " - cgroup", &mountinfo, error);
	if (r == 0 && read_lines(path, ":", &groups, NULL) < 0)
		r = -ESRCH;
	if (r == 0)
		r = add_tree(layout, &(texts){ mountinfo, groups }, "freezer", error);
	if (r < 0)
		return r;
	*ret = layout->trees[r];
	return 0;
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

static int use_service(nsb_cgroup_layout *layout, nsb_error *error)
{
	nsb_cgroup_tree *tree = &layout->trees[0];
	char directory[2 * PATH_MAX + sizeof(NSB_CGROUP_MONITORS) + 1], path[PATH_MAX];
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
	snprintf(layout->base, sizeof(layout->base), "%s", path + 1);
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
	if ((size_t)snprintf(layout->base, sizeof(layout->base), "%s", parent) >= sizeof(layout->base))
		return -ENAMETOOLONG;
	return 0;
}
