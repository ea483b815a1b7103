/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"

#define MONITORS "monitors"

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

/* The path of this process in one tree: lines "8:pids:/a/b" (version 1) and "0::/a/b" (version 2). */
static bool find_own_path(const char *self_cgroup, int version, char *ret, size_t size)
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
		if (version == 1 ? has_word(controllers, "pids") : strcmp(line, "0") == 0 && controllers[0] == '\0') {
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

int nsb_cgroup_choose(const char *mountinfo, const char *self_cgroup, nsb_cgroup_tree *ret, nsb_error *error)
{
	NSB_FREE char *copy = strdup(mountinfo);
	NSB_FREE mount_line *line = malloc(sizeof(*line));
	NSB_FREE mount_line *best = calloc(1, sizeof(*best));
	char *save = NULL, path[PATH_MAX];
	int version = 0;

	if (copy == NULL || line == NULL || best == NULL)
		return -ENOMEM;
	ret->unified[0] = ret->unified_own[0] = '\0';
	for (char *at = strtok_r(copy, "\n", &save); at != NULL; at = strtok_r(NULL, "\n", &save)) {
		int found;

		if (!parse_mount_line(at, line))
			continue;
		found = strcmp(line->type, "cgroup") == 0 && has_word(line->options, "pids") ? 1
			: strcmp(line->type, "cgroup2") == 0				     ? 2
											     : 0;
		if (found == 2 && ret->unified[0] == '\0') {
			snprintf(ret->unified, sizeof(ret->unified), "%s", line->point);
			if (!find_own_path(self_cgroup, 2, path, sizeof(path)) ||
			    own_directory(line, path, ret->unified_own, sizeof(ret->unified_own)) < 0)
				ret->unified_own[0] = '\0';
		}
		if (found == 0 || version == 1 || (found == 2 && version == 2))
			continue;
		*best = *line;
		version = found;
	}
	if (version == 0)
		return nsb_error_set(error, ENOENT, "no cgroup tree is mounted: mount cgroup2 on /sys/fs/cgroup");
	if (!find_own_path(self_cgroup, version, path, sizeof(path)) ||
	    own_directory(best, path, ret->own, sizeof(ret->own)) < 0)
		return nsb_error_set(error, EBADMSG,
				     "the cgroup of the application is not below %s, where the tree is mounted",
				     best->point);
	snprintf(ret->mount, sizeof(ret->mount), "%s", best->point);
	ret->version = version;
	if (version == 2)
		ret->unified[0] = ret->unified_own[0] = '\0';
	return 0;
}

/* Whether the tree has the pids controller: version 1 trees were chosen for it. */
static bool has_pids(const nsb_cgroup_tree *tree)
{
	char text[1024], path[PATH_MAX + 32];

	if (tree->version == 1)
		return true;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", tree->mount);
	if (nsb_read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	for (char *at = text; (at = strchr(at, ' ')) != NULL;)
		*at = ',';
	return has_word(text, "pids");
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

int nsb_cgroup_find(const char *limit, nsb_cgroup_tree *ret, nsb_error *error)
{
	NSB_FREE char *mountinfo = NULL;
	NSB_FREE char *self = NULL;
	int r = read_lines("/proc/self/mountinfo", " - cgroup", &mountinfo, error);

	if (r == 0)
		r = read_lines("/proc/self/cgroup", ":", &self, error);
	if (r < 0)
		return r;
	r = nsb_cgroup_choose(mountinfo, self, ret, error);
	if (r < 0)
		return r;
	if (strcmp(limit, "max") != 0 && !has_pids(ret))
		return nsb_error_set(error, ENOTSUP,
				     "pids_max: the pids controller is missing in %s (see cgroup.controllers there)",
				     ret->mount);
	if (faccessat(AT_FDCWD, ret->mount, W_OK, AT_EACCESS) < 0)
		return nsb_error_set(error, errno, "the cgroup tree %s cannot be written: %s", ret->mount,
				     strerror(errno));
	return 0;
}

/* Version 2: a group's children get a controller only if the group hands it down. */
static int delegate(const nsb_cgroup_tree *tree, int dir, const char *limit, const char *name, nsb_error *error)
{
	int r;

	if (tree->version != 2 || strcmp(limit, "max") == 0)
		return 0;
	r = nsb_write_text_at(dir, "cgroup.subtree_control", "+pids");
	if (r < 0)
		return nsb_error_set(error, r,
				     "cannot hand the pids controller down in %s%s%s (cgroup.subtree_control): %s",
				     tree->mount, *name != '\0' ? "/" : "", name, strerror(-r));
	return 0;
}

/* Opens a child group, made if need be. */
static int open_group(int parent, const char *name, bool *ret_made, nsb_error *error)
{
	int fd;

	*ret_made = mkdirat(parent, name, 0755) == 0;
	if (!*ret_made && errno != EEXIST)
		return nsb_error_set(error, errno, "cannot make the cgroup %s: %s", name, strerror(errno));
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return nsb_error_set(error, errno, "cannot open the cgroup %s: %s", name, strerror(errno));
	return fd;
}

/* Opens the group that PATH's last component goes into. */
static int open_ancestors(const nsb_cgroup_tree *tree, char *path, const char *limit, char **ret_last, nsb_error *error)
{
	NSB_CLOSE int at = open(tree->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *name = path, *slash;
	bool made;
	int r;

	if (at < 0)
		return nsb_error_set(error, errno, "cannot open %s: %s", tree->mount, strerror(errno));
	r = delegate(tree, at, limit, "", error);
	while (r == 0 && (slash = strchr(name, '/')) != NULL) {
		int next;

		*slash = '\0';
		next = open_group(at, name, &made, error);
		if (next < 0)
			return next;
		nsb_close(at);
		at = next;
		r = delegate(tree, at, limit, name, error);
		name = slash + 1;
	}
	*ret_last = name;
	return r < 0 ? r : nsb_steal_fd(&at);
}

int nsb_cgroup_make(const nsb_cgroup_tree *tree, const char *path, const char *limit, int *ret, nsb_error *error)
{
	NSB_FREE char *copy = strdup(path);
	NSB_CLOSE int parent = -1;
	NSB_CLOSE int group = -1;
	char *name;
	bool made;
	int r = 0;

	if (copy == NULL)
		return -ENOMEM;
	parent = open_ancestors(tree, copy, limit, &name, error);
	if (parent < 0)
		return parent;
	group = open_group(parent, name, &made, error);
	if (group < 0)
		return group;
	if (!made)
		return nsb_error_set(error, EEXIST, "the cgroup %s exists already", path);
	if (strcmp(limit, "max") != 0) {
		r = nsb_write_text_at(group, "pids.max", limit);
		if (r < 0)
			nsb_error_set(error, r, "cannot set pids.max of the cgroup %s to %s: %s", path, limit,
				      strerror(-r));
	}
	if (r < 0) {
		unlinkat(parent, name, AT_REMOVEDIR);
		return r;
	}
	*ret = nsb_steal_fd(&group);
	return 0;
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

/* Opens PARENT/monitors of one tree, made if need be. */
static int open_monitors(const nsb_cgroup_tree *tree, const char *parent, nsb_error *error)
{
	char path[PATH_MAX];
	NSB_FREE char *copy = NULL;
	NSB_CLOSE int above = -1;
	char *name;
	bool made;

	snprintf(path, sizeof(path), "%s/" MONITORS, parent);
	copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	above = open_ancestors(tree, copy, "max", &name, error);
	return above < 0 ? above : open_group(above, name, &made, error);
}

/* Continues in a child inside the group. */
static int clone_into(int group, nsb_error *error)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)group };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return nsb_error_set(error, errno, "cannot continue in the cgroup " MONITORS ": %s", strerror(errno));
	if (pid > 0)
		_exit(0);
	return 0;
}

int nsb_cgroup_settle(const nsb_cgroup_tree *tree, const char *parent, nsb_error *error)
{
	NSB_FREE nsb_cgroup_tree *beside = NULL;
	NSB_CLOSE int group = open_monitors(tree, parent, error);
	NSB_CLOSE int unified = -1;
	int r;

	if (group < 0)
		return group;
	if (tree->version == 2)
		return clone_into(group, error);
	r = nsb_write_text_at(group, "tasks", "0");
	if (r < 0)
		return nsb_error_set(error, r, "cannot enter the cgroup %s/" MONITORS ": %s", parent, strerror(-r));
	if (tree->unified[0] == '\0' || faccessat(AT_FDCWD, tree->unified, W_OK, AT_EACCESS) < 0)
		return 0;
	beside = calloc(1, sizeof(*beside));
	if (beside == NULL)
		return -ENOMEM;
	beside->version = 2;
	snprintf(beside->mount, sizeof(beside->mount), "%s", tree->unified);
	unified = open_monitors(beside, parent, error);
	return unified < 0 ? unified : clone_into(unified, error);
}

/* Moves everything that is left in `group` to `target`. */
static void evacuate(int group, int target)
{
	static const char *const files[] = { "tasks", "cgroup.procs" };
	bool v1 = faccessat(group, "tasks", F_OK, 0) == 0;
	const char *file = files[v1 ? 0 : 1];
	char text[65536];
	char *save = NULL;

	if (nsb_read_text_at(group, file, text, sizeof(text)) < 0)
		return;
	for (char *pid = strtok_r(text, "\n", &save); pid != NULL; pid = strtok_r(NULL, "\n", &save))
		nsb_write_text_at(target, file, pid); /* a process that ended meanwhile is no error */
}

/* The group beside or above that may hold processes: PARENT in version 1, PARENT/monitors in version 2. */
static int open_refuge(int parent)
{
	int fd = openat(parent, MONITORS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int nsb_cgroup_remove(const char *directory, int patience)
{
	NSB_FREE char *copy = strdup(directory);
	char *slash = copy != NULL ? strrchr(copy, '/') : NULL;
	NSB_CLOSE int parent = -1;
	NSB_CLOSE int group = -1;
	NSB_CLOSE int refuge = -1;
	int64_t end = nsb_now() + patience;

	if (slash == NULL)
		return copy == NULL ? -ENOMEM : -EINVAL;
	*slash = '\0';
	parent = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return errno == ENOENT ? 0 : -errno;
	for (;;) {
		if (unlinkat(parent, slash + 1, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -errno;
		if (group < 0) {
			group = openat(parent, slash + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			refuge = open_refuge(parent);
		}
		if (nsb_now() >= end)
			return -EBUSY;
		evacuate(group, refuge);
		nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000 * 1000 }, NULL);
	}
}
