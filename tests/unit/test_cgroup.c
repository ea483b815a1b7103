/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control groups: what is written where, when they are made, entered and removed. Their trees are directories of plain
 * files that the wraps below make behave like cgroupfs, because the kernel under the tests has perhaps only one of the
 * two versions. NSB_RUNDIR is "run", below the directory of the test. Linked with
 * --wrap=fopen,--wrap=mkdirat,--wrap=rmdir,--wrap=unlinkat,--wrap=write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/registry.h"
#include "common/string-util.h"
#include "helper/cgroup.h"
#include "helper/continue.h"
#include "helper/delegate.h"

#define PIDS	(1u << NSB_CONTROLLER_PIDS)
#define MEMORY	(1u << NSB_CONTROLLER_MEMORY)
#define CPUSET	(1u << NSB_CONTROLLER_CPUSET)
#define IO	(1u << NSB_CONTROLLER_IO)

#define BOX "k3j5h7g9fx"

/* --- trees of plain files --- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

/* What cgroupfs puts into each new group; those of the cpuset controller only where that is. */
static const char *const files[] = { "cgroup.procs", "cgroup.controllers", "cgroup.subtree_control", "tasks", "cpuset.cpus",
				     "cpuset.mems" };
#define N_FILES (sizeof(files) / sizeof(files[0]))

static char base[] = "/tmp/nsbox-test-cgroup-XXXXXX";
static nsb_cgroup_layout *layout;
static nsb_cgroup_tree *tree; /* the first of the layout: `base` itself */
static bool cpuset;	      /* new groups have its files */
static int writes_left, write_errno; /* after so many writes they fail with this */
static int busy;		     /* so many removals fail with EBUSY */
#define UNTIL_MOVED 1000000	     /* or all, until something was moved */
static int mkdirs;		     /* tried */
static int vanish, vanish_errno;     /* so many times the group of the box cannot be made, because what is above is gone */
static char journal[4096];	     /* FILE=TEXT of all writes, one a line */

/* /proc/self/cgroup is the file `cgroup` in `base`. */
int __wrap_open(const char *path, int flags, ...)
{
	const char *name = nsb_after_prefix(path, "/proc/self/");

	assert_int_equal(flags & O_CREAT, 0); /* no mode */
	return __real_open(name != NULL ? name : path, flags);
}

static void put_at(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* NAME below `base`. */
static const char *place(const char *name)
{
	static char path[NSB_CGROUP_MOUNT_MAX];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

static void put(const char *name, const char *text)
{
	put_at(AT_FDCWD, place(name), text);
}

static void fill_group(int dir)
{
	for (size_t i = 0; i < N_FILES; i++)
		if (i < 3 ? tree->version == 2 || i == 0 : i == 3 ? tree->version == 1 : cpuset)
			put_at(dir, files[i], i > 3 ? "\n" : "");
}

/* Whether it is the last component of the path to a box. */
static bool is_box(const char *path)
{
	return strcmp(path, BOX) == 0;
}

int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	int dir;

	mkdirs++;
	if (is_box(path) && vanish > 0) {
		vanish--;
		/* the user's group, which the other box took along */
		if (access(place("nsbox/user-2001"), F_OK) == 0)
			__wrap_rmdir(place("nsbox/user-2001"));
		errno = vanish_errno;
		return -1;
	}
	if (__real_mkdirat(dirfd, path, mode) < 0)
		return -1;
	dir = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fill_group(dir);
	close(dir);
	return 0;
}

static bool has_children(int dir)
{
	DIR *list = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;
	bool found = false;

	while ((entry = readdir(list)) != NULL)
		found |= entry->d_type == DT_DIR && entry->d_name[0] != '.';
	closedir(list);
	return found;
}

/* Its files do not keep a group from being removed, groups and processes in it do. */
int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	int dir;

	if (flags != AT_REMOVEDIR)
		return __real_unlinkat(dirfd, path, flags);
	dir = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -1;
	if (busy == UNTIL_MOVED && journal[0] != '\0')
		busy = 0;
	if (busy > 0 || has_children(dir)) {
		busy -= busy > 0 && busy < UNTIL_MOVED;
		close(dir);
		errno = EBUSY;
		return -1;
	}
	for (size_t i = 0; i < N_FILES; i++)
		__real_unlinkat(dir, files[i], 0);
	close(dir);
	return __real_unlinkat(dirfd, path, flags);
}

int __wrap_rmdir(const char *path)
{
	return __wrap_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	char link[64], target[PATH_MAX] = "", line[512];

	if (write_errno != 0 && writes_left-- <= 0) {
		errno = write_errno;
		return -1;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, target, sizeof(target) - 1) > 0 && strncmp(target, base, strlen(base)) == 0) {
		snprintf(line, sizeof(line), "%.300s=%.*s\n", target + strlen(base), (int)size, (const char *)data);
		strncat(journal, line, sizeof(journal) - strlen(journal) - 1);
	}
	return __real_write(fd, data, size);
}

static int make_version(int version)
{
	int dir;

	strcpy(base + strlen(base) - 6, "XXXXXX");
	if (mkdtemp(base) == NULL || chdir(base) < 0)
		return -1;
	layout = calloc(1, sizeof(*layout));
	layout->n_trees = 1;
	snprintf(layout->base, sizeof(layout->base), "nsbox");
	tree = &layout->trees[0];
	tree->version = version;
	tree->controllers = tree->wanted = PIDS;
	snprintf(tree->mount, sizeof(tree->mount), "%s", base);
	snprintf(tree->own, sizeof(tree->own), "%s/system.slice/ssh", base);
	cpuset = false;
	write_errno = writes_left = busy = mkdirs = vanish = 0;
	dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fill_group(dir);
	close(dir);
	journal[0] = '\0';
	return 0;
}

static int make_v1(void **state)
{
	(void)state;
	return make_version(1);
}

static int make_v2(void **state)
{
	(void)state;
	return make_version(2);
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	free(layout);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return chdir("/") < 0 ? -1 : system(command);
}

static bool exists(const char *name)
{
	return access(place(name), F_OK) == 0;
}

/* --- making --- */

/* Makes one that must succeed. */
static void make(const char *path)
{
	nsb_error error = { 0 };
	int group = -1, r = nsb_cgroup_make(layout, 0, path, &group, &error);

	if (r < 0)
		print_error("%s\n", error.words);
	assert_int_equal(r, 0);
	assert_true(group >= 0 && (fcntl(group, F_GETFD) & FD_CLOEXEC));
	assert_string_equal(error.words, "");
	close(group);
}

static void make_v1_group(void **state)
{
	(void)state;
	make(BOX);
	assert_true(exists("nsbox/" BOX "/tasks"));
	assert_string_equal(journal, "");
}

/* Each group on the way hands the controllers down, top first; the box's own hands nothing down. */
static void make_v2_group(void **state)
{
	(void)state;
	snprintf(layout->base, sizeof(layout->base), "a/b");
	make(BOX);
	assert_string_equal(journal, "/cgroup.subtree_control=+pids\n/a/cgroup.subtree_control=+pids\n"
				     "/a/b/cgroup.subtree_control=+pids\n");
	assert_true(exists("a/b/" BOX));
}

static void make_with_several_controllers(void **state)
{
	(void)state;
	tree->controllers = tree->wanted = PIDS | MEMORY | IO;
	make("user-2001/" BOX);
	assert_string_equal(journal,
			    "/cgroup.subtree_control=+pids\n/cgroup.subtree_control=+memory\n/cgroup.subtree_control=+io\n"
			    "/nsbox/cgroup.subtree_control=+pids\n/nsbox/cgroup.subtree_control=+memory\n"
			    "/nsbox/cgroup.subtree_control=+io\n/nsbox/user-2001/cgroup.subtree_control=+pids\n"
			    "/nsbox/user-2001/cgroup.subtree_control=+memory\n"
			    "/nsbox/user-2001/cgroup.subtree_control=+io\n");
}

/* Without a controller nothing is asked of the tree. */
static void make_without_controllers(void **state)
{
	(void)state;
	tree->controllers = tree->wanted = 0;
	make("user-2001/" BOX);
	assert_string_equal(journal, "");
	assert_true(exists("nsbox/user-2001/" BOX));
}

/* Above the group that systemd gave nothing is ours: not looked at, not written to. */
static void make_delegated(void **state)
{
	nsb_error error = { 0 };
	int group = -1;

	(void)state;
	layout->delegated = true;
	snprintf(layout->base, sizeof(layout->base), "nsbox.slice/nsbox.service");
	assert_int_equal(nsb_cgroup_make(layout, 0, BOX, &group, &error), -ENOENT); /* the service has stopped */
	assert_int_equal(group, -1);
	assert_non_null(strstr(error.words, "nsbox.slice/nsbox.service"));
	assert_false(exists("nsbox.slice"));
	assert_int_equal(mkdirat(AT_FDCWD, place("nsbox.slice"), 0755), 0);
	assert_int_equal(mkdirat(AT_FDCWD, place("nsbox.slice/nsbox.service"), 0755), 0);
	make("user-2001/" BOX);
	assert_string_equal(journal, "/nsbox.slice/nsbox.service/cgroup.subtree_control=+pids\n"
				     "/nsbox.slice/nsbox.service/user-2001/cgroup.subtree_control=+pids\n");
	assert_true(exists("nsbox.slice/nsbox.service/user-2001/" BOX));
}

static void make_in_second_tree(void **state)
{
	int group = -1;

	(void)state;
	layout->trees[1] = layout->trees[0];
	layout->n_trees = 2;
	assert_int_equal(mkdirat(AT_FDCWD, place("second"), 0755), 0);
	snprintf(layout->trees[1].mount, sizeof(layout->trees[1].mount), "%s", place("second"));
	assert_int_equal(nsb_cgroup_make(layout, 1, BOX, &group, NULL), 0);
	close(group);
	assert_true(exists("second/nsbox/" BOX));
	assert_false(exists("nsbox"));
}

static void make_existing(void **state)
{
	nsb_error error = { 0 };
	int group = -1;

	(void)state;
	make(BOX);
	mkdirs = 0;
	assert_int_equal(nsb_cgroup_make(layout, 0, BOX, &group, &error), -EEXIST);
	assert_int_equal(group, -1);
	assert_int_equal(mkdirs, 2); /* not tried again */
	assert_non_null(strstr(error.words, BOX));
	assert_true(exists("nsbox/" BOX)); /* another one's */
	make("other00000"); /* ancestors are shared */
}

/* The user's last other box takes their group along, at the worst moment. */
static void make_while_the_user_group_goes(void **state)
{
	static const int errors[] = { ENOENT, ENODEV };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		vanish = 3;
		vanish_errno = errors[i];
		make("user-2001/" BOX);
		assert_int_equal(vanish, 0);
		assert_true(exists("nsbox/user-2001/" BOX));
		assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2001/" BOX), 0), 0);
	}
}

/* It does not end: given up, with a sentence. Another error is not tried again. */
static void make_in_vain(void **state)
{
	static const int errors[] = { ENOENT, ENODEV, EACCES, ENOMEM };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		nsb_error error = { .stage = NSB_STAGE_HOST };
		int group = -1;

		vanish = 1000000;
		vanish_errno = errors[i];
		assert_int_equal(nsb_cgroup_make(layout, 0, "user-2001/" BOX, &group, &error), -errors[i]);
		assert_int_equal(group, -1);
		assert_int_equal(error.err, errors[i]);
		assert_int_equal(error.stage, NSB_STAGE_HOST);
		assert_non_null(strstr(error.words, "cannot make the cgroup " BOX));
		assert_int_equal(1000000 - vanish, i < 2 ? 100 : 1);
		assert_int_equal(nsb_cgroup_make(layout, 0, "user-2001/" BOX, &group, NULL), -errors[i]);
	}
}

/* Version 1: a group without processors and memory nodes takes no process. */
static void make_with_cpuset(void **state)
{
	(void)state;
	cpuset = true;
	put("cpuset.cpus", "0-3\n");
	put("cpuset.mems", "0\n");
	make("user-2001/" BOX);
	assert_string_equal(journal, "/nsbox/cpuset.cpus=0-3\n\n/nsbox/cpuset.mems=0\n\n"
				     "/nsbox/user-2001/cpuset.cpus=0-3\n\n/nsbox/user-2001/cpuset.mems=0\n\n"
				     "/nsbox/user-2001/" BOX "/cpuset.cpus=0-3\n\n"
				     "/nsbox/user-2001/" BOX "/cpuset.mems=0\n\n");
	/* what is there already is the administrator's, and passed on */
	journal[0] = '\0';
	put("nsbox/cpuset.cpus", "1\n");
	make("other00000");
	assert_string_equal(journal, "/nsbox/other00000/cpuset.cpus=1\n\n/nsbox/other00000/cpuset.mems=0\n\n");
}

/* Version 2 inherits by itself. */
static void make_with_cpuset_v2(void **state)
{
	(void)state;
	cpuset = true;
	tree->controllers = tree->wanted = CPUSET;
	put("cpuset.cpus", "0-3\n");
	make(BOX);
	assert_string_equal(journal, "/cgroup.subtree_control=+cpuset\n/nsbox/cgroup.subtree_control=+cpuset\n");
}

/* --- failing --- */

/* The n-th write fails: the sentence says where, the group is gone. `places`: two words of each sentence. */
static void failing_writes(const char *const places[][2], int n_writes)
{
	static const int errors[] = { EBUSY, EACCES, EROFS, EOPNOTSUPP, EINVAL };

	for (int n = 0; n < n_writes; n++)
		for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			nsb_error error = { 0 };
			int group = -1;

			write_errno = errors[i];
			writes_left = n;
			assert_int_equal(nsb_cgroup_make(layout, 0, BOX, &group, &error), -errors[i]);
			assert_int_equal(group, -1);
			if (strstr(error.words, places[n][0]) == NULL || strstr(error.words, places[n][1]) == NULL)
				fail_msg("write %d: %s", n, error.words);
			assert_false(exists("nsbox/" BOX));
			assert_int_equal(error.err, errors[i]);
			/* as before: the way there is made again */
			if (exists("nsbox"))
				assert_int_equal(rmdir(place("nsbox")), 0);
		}
	write_errno = 0;
	make(BOX);
}

static void failing_delegation(void **state)
{
	char below[128];
	const char *const places[][2] = { { "the pids controller", base },
					  { "the memory controller", base },
					  { "the pids controller", below },
					  { "the memory controller", below } };

	(void)state;
	snprintf(below, sizeof(below), "%s/nsbox (cgroup.subtree_control)", base);
	tree->controllers = tree->wanted = PIDS | MEMORY;
	failing_writes(places, 4);
}

static void failing_cpuset(void **state)
{
	static const char *const places[][2] = { { "cpuset.cpus", "copy" },
						 { "cpuset.mems", "copy" },
						 { "cpuset.cpus", "copy" },
						 { "cpuset.mems", "copy" } };

	(void)state;
	cpuset = true;
	put("cpuset.cpus", "0-3\n");
	put("cpuset.mems", "0\n");
	failing_writes(places, 4);
}

/* A controller that the tree does not have: the kernel says ENOENT. */
static void missing_controller(void **state)
{
	nsb_error error = { 0 };
	int group = -1;

	(void)state;
	assert_int_equal(unlink(place("cgroup.subtree_control")), 0);
	assert_int_equal(nsb_cgroup_make(layout, 0, BOX, &group, &error), -ENOENT);
	assert_int_equal(group, -1);
	assert_non_null(strstr(error.words, "the pids controller"));
	assert_false(exists("nsbox"));
}

static void unwritable_places(void **state)
{
	nsb_error error = { 0 };
	int group = -1;

	(void)state;
	/* a file or a link where a group should be */
	put("nsbox", "");
	assert_int_equal(nsb_cgroup_make(layout, 0, BOX, &group, &error), -ENOTDIR);
	assert_int_equal(unlink(place("nsbox")), 0);
	assert_int_equal(symlink("/tmp", place("nsbox")), 0);
	assert_true(nsb_cgroup_make(layout, 0, BOX, &group, NULL) < 0);
	error = (nsb_error){ 0 };
	snprintf(tree->mount, sizeof(tree->mount), "%s/gone", base);
	assert_int_equal(nsb_cgroup_make(layout, 0, BOX, &group, &error), -ENOENT);
	assert_non_null(strstr(error.words, tree->mount));
	assert_int_equal(group, -1);
}

/* --- entering --- */

/* The way in by `tasks` or `cgroup.procs`, and the way back. */
static void ways(void **state)
{
	char path[PATH_MAX], wanted[128];
	const char *file = tree->version == 1 ? "tasks" : "cgroup.procs";
	nsb_error error = { 0 };
	int group = -1, fd;

	(void)state;
	assert_int_equal(nsb_cgroup_make(layout, 0, BOX, &group, NULL), 0);
	journal[0] = '\0';
	fd = nsb_cgroup_open_join(tree, group, NULL);
	assert_true(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	assert_int_equal(write(fd, "0", 1), 1);
	snprintf(wanted, sizeof(wanted), "/nsbox/" BOX "/%s=0\n", file);
	assert_string_equal(journal, wanted);
	close(fd);
	assert_int_equal(nsb_cgroup_way_back(tree, path, sizeof(path)), 0);
	assert_string_equal(path + strlen(base) + strlen("/system.slice/ssh/"), file);
	for (size_t size = 0; size <= strlen(path); size++)
		assert_int_equal(nsb_cgroup_way_back(tree, wanted, size), -ENAMETOOLONG);
	assert_int_equal(unlinkat(group, file, 0), 0);
	assert_int_equal(nsb_cgroup_open_join(tree, group, &error), -ENOENT);
	assert_non_null(strstr(error.words, file));
	close(group);
}

/* The monitor leaves the application's group in every tree. */
static void settle(void **state)
{
	nsb_error error = { 0 };
	int group;

	(void)state;
	layout->trees[1] = layout->trees[0];
	layout->n_trees = 2;
	assert_int_equal(mkdirat(AT_FDCWD, place("second"), 0755), 0);
	snprintf(layout->trees[1].mount, sizeof(layout->trees[1].mount), "%s", place("second"));
	for (int again = 0; again < 2; again++) {
		journal[0] = '\0';
		assert_int_equal(nsb_cgroup_settle(layout, &group, &error), 0);
		assert_int_equal(group, -1);
		assert_string_equal(journal, "/nsbox/monitors/tasks=0\n/second/nsbox/monitors/tasks=0\n");
	}
	write_errno = ENOSPC;
	writes_left = 1;
	assert_int_equal(nsb_cgroup_settle(layout, &group, &error), -ENOSPC);
	assert_non_null(strstr(error.words, "cannot enter the cgroup nsbox/monitors in "));
	assert_non_null(strstr(error.words, "/second"));
}

static void assert_monitors(int group)
{
	struct stat wanted, found;

	assert_int_equal(stat(place("nsbox/monitors"), &wanted), 0);
	assert_int_equal(fstat(group, &found), 0);
	assert_int_equal(found.st_ino, wanted.st_ino);
	assert_true(fcntl(group, F_GETFD) & FD_CLOEXEC);
	close(group);
}

/* Version 2, alone or beside: nobody moves; what follows goes on in a child there. */
static void settle_v2(void **state)
{
	nsb_error error = { 0 };
	int group;

	(void)state;
	assert_int_equal(nsb_cgroup_settle(layout, &group, &error), 0);
	assert_monitors(group);
	assert_string_equal(journal, "/cgroup.subtree_control=+pids\n/nsbox/cgroup.subtree_control=+pids\n");
	layout->n_trees = 0;
	snprintf(layout->unified, sizeof(layout->unified), "%s", base);
	journal[0] = '\0';
	assert_int_equal(nsb_cgroup_settle(layout, &group, &error), 0);
	assert_monitors(group);
	assert_string_equal(journal, ""); /* nothing is handed down where only the monitor goes */
	/* one that is not there, or cannot be written, is none of our business */
	snprintf(layout->unified, sizeof(layout->unified), "%s/gone", base);
	assert_int_equal(nsb_cgroup_settle(layout, &group, &error), 0);
	assert_int_equal(group, -1);
}

static int never(void *argument)
{
	(void)argument;
	fail_msg("there is no child");
	return 0;
}

/* In a real group it is every login of the system tests. */
static void continue_refused(void **state)
{
	nsb_error error = { 0 };
	int plain = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(continue_in(plain, never, NULL, &error), -EBADF);
	assert_non_null(strstr(error.words, "cannot continue in the cgroup"));
	assert_true(fcntl(plain, F_GETFD) >= 0); /* still ours */
	close(plain);
}

/* --- removing --- */

/* A group that is not empty: what is in it goes to the monitors' group, or to its parent where there is none. */
static void remove_busy(void **state)
{
	static const struct {
		const char *box, *monitors, *refuge;
	} rows[] = { { "nsbox/" BOX, NULL, "nsbox" },
		     { "nsbox/" BOX, "nsbox/monitors", "nsbox/monitors" },
		     { "nsbox/user-2001/" BOX, "nsbox/monitors", "nsbox/monitors" } };
	const char *file = tree->version == 1 ? "tasks" : "cgroup.procs";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[128], wanted[256];

		if (rows[i].monitors != NULL && !exists(rows[i].monitors))
			assert_int_equal(mkdirat(AT_FDCWD, place(rows[i].monitors), 0755), 0);
		make(rows[i].box + strlen("nsbox/"));
		snprintf(name, sizeof(name), "%s/%s", rows[i].box, file);
		put(name, "77\n78\n");
		journal[0] = '\0';
		busy = UNTIL_MOVED;
		assert_int_equal(nsb_cgroup_remove(place(rows[i].box), 1000), 0);
		assert_false(exists(rows[i].box));
		snprintf(wanted, sizeof(wanted), "/%s/%s=77\n/%s/%s=78\n", rows[i].refuge, file, rows[i].refuge, file);
		assert_string_equal(journal, wanted);
	}
}

/* Whoever is on its way out is given the time for that, and not moved. */
static void remove_left(void **state)
{
	(void)state;
	make(BOX);
	put(tree->version == 1 ? "nsbox/" BOX "/tasks" : "nsbox/" BOX "/cgroup.procs", "77\n");
	journal[0] = '\0';
	busy = 3;
	assert_int_equal(nsb_cgroup_remove(place("nsbox/" BOX), 1000), 0);
	assert_string_equal(journal, "");
}

static void remove_never(void **state)
{
	int64_t before;

	(void)state;
	make("user-2001/" BOX);
	busy = 100000;
	before = nsb_now();
	assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2001/" BOX), 60), -EBUSY);
	assert_true(nsb_now() - before >= 60 && nsb_now() - before < 1500);
	busy = 0;
	assert_true(exists("nsbox/user-2001"));
	assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2001/" BOX), 0), 0);
	assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2001/" BOX), 0), 0); /* gone */
	assert_int_equal(nsb_cgroup_remove(place("no/such/group"), 0), 0);
	assert_int_equal(nsb_cgroup_remove("relative", 0), -EINVAL);
}

/* The group of a user goes with the last box in it, and nothing else does. */
static void remove_user_group(void **state)
{
	(void)state;
	make("user-2001/" BOX);
	make("user-2001/other00000");
	make("user-2002/" BOX);
	assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2001/" BOX), 0), 0);
	assert_true(exists("nsbox/user-2001/other00000"));
	assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2001/other00000"), 0), 0);
	assert_false(exists("nsbox/user-2001"));
	assert_true(exists("nsbox/user-2002/" BOX));
	assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2002/" BOX), 0), 0);
	assert_false(exists("nsbox/user-2002"));
	make(BOX);
	assert_int_equal(nsb_cgroup_remove(place("nsbox/" BOX), 0), 0);
	assert_true(exists("nsbox"));
	/* the box went earlier, its user's group was busy then */
	assert_int_equal(mkdirat(AT_FDCWD, place("nsbox/user-2003"), 0755), 0);
	assert_int_equal(nsb_cgroup_remove(place("nsbox/user-2003/" BOX), 0), 0);
	assert_false(exists("nsbox/user-2003"));
}

/* --- nsbox.service --- */

#define SERVICE "nsbox.slice/nsbox.service"

static void make_service(const char *controllers)
{
	char mountinfo[256];

	snprintf(mountinfo, sizeof(mountinfo), "1 1 0:1 / %s rw - cgroup2 none rw\n", base);
	put("mountinfo", mountinfo);
	put("cgroup", "0::/" SERVICE "\n");
	assert_int_equal(mkdirat(AT_FDCWD, place("nsbox.slice"), 0755), 0);
	assert_int_equal(mkdirat(AT_FDCWD, place(SERVICE), 0755), 0);
	put(SERVICE "/cgroup.controllers", controllers);
}

/* First the processes leave the group, then it hands its controllers down, then it is told. */
static void delegate(void **state)
{
	nsb_error error = { 0 };
	char path[128];

	(void)state;
	make_service("cpu io memory pids\n");
	assert_int_equal(delegate_prepare(&error), 0);
	assert_string_equal(journal, "/" SERVICE "/monitors/cgroup.procs=0\n"
				     "/" SERVICE "/cgroup.subtree_control=+pids\n"
				     "/" SERVICE "/cgroup.subtree_control=+memory\n"
				     "/" SERVICE "/cgroup.subtree_control=+cpu\n"
				     "/" SERVICE "/cgroup.subtree_control=+io\n"
				     "/run/cgroup.new=/" SERVICE "\n");
	assert_int_equal(nsb_registry_base(path, sizeof(path)), 0);
	assert_string_equal(path, "/" SERVICE);
	assert_int_equal(delegate_prepare(&error), 0); /* restarted */
}

/* Whatever fails, nobody is told of a group that is half prepared. */
static void delegate_fails(void **state)
{
	static const char *const words[] = { "cannot enter", "the pids controller", "the cpu controller", "run/cgroup" };

	(void)state;
	make_service("cpu pids\n");
	for (int n = 0; n < 4; n++) {
		nsb_error error = { 0 };
		char path[128];

		write_errno = EIO;
		writes_left = n;
		assert_int_equal(delegate_prepare(&error), -EIO);
		if (strstr(error.words, words[n]) == NULL)
			fail_msg("write %d: %s", n, error.words);
		assert_int_equal(nsb_registry_base(path, sizeof(path)), -ENOENT);
	}
}

static void delegate_elsewhere(void **state)
{
	nsb_error error = { 0 };
	char mountinfo[256];

	(void)state;
	make_service("pids\n");
	put("cgroup", "0::/\n");
	assert_int_equal(delegate_prepare(&error), -EINVAL);
	assert_non_null(strstr(error.words, "not by hand"));
	snprintf(mountinfo, sizeof(mountinfo), "1 1 0:1 / %s rw - cgroup none rw,pids\n", base);
	put("mountinfo", mountinfo);
	put("cgroup", "1:pids:/a\n");
	error = (nsb_error){ 0 };
	assert_int_equal(delegate_prepare(&error), -ENOTSUP);
	assert_non_null(strstr(error.words, "version 1"));
	assert_string_equal(journal, "");
}

#define V1(function) { #function "_v1", function, make_v1, remove_base, NULL }
#define V2(function) { #function "_v2", function, make_v2, remove_base, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1(make_v1_group),
		V2(make_v2_group),
		V2(make_with_several_controllers),
		V1(make_without_controllers),
		V2(make_without_controllers),
		V2(make_delegated),
		V1(make_in_second_tree),
		V2(make_in_second_tree),
		V1(make_existing),
		V2(make_existing),
		V1(make_while_the_user_group_goes),
		V2(make_while_the_user_group_goes),
		V1(make_in_vain),
		V2(make_in_vain),
		V1(make_with_cpuset),
		V2(make_with_cpuset_v2),
		V2(failing_delegation),
		V1(failing_cpuset),
		V2(missing_controller),
		V1(unwritable_places),
		V2(unwritable_places),
		V1(ways),
		V2(ways),
		V1(settle),
		V2(settle_v2),
		V2(continue_refused),
		V1(remove_busy),
		V2(remove_busy),
		V1(remove_left),
		V2(remove_left),
		V1(remove_never),
		V2(remove_never),
		V1(remove_user_group),
		V2(remove_user_group),
		V2(delegate),
		V2(delegate_fails),
		V2(delegate_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
