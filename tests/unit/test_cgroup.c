/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control groups: which tree is chosen, from texts of many kinds of machines; and what is written into it. The tree is a
 * directory of plain files that the wraps below make behave like cgroupfs, because the kernel under the tests has
 * perhaps only one of the two versions. Linked with --wrap=mkdirat,--wrap=unlinkat,--wrap=write.
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
#include "helper/cgroup.h"

/* --- which tree --- */

/* mountinfo and /proc/self/cgroup of real machines, cut to what matters. */
#define MOUNTS_HEAD \
	"21 26 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\n" \
	"22 26 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw\n"
#define V2_MOUNT "30 21 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_PIDS "35 30 0:31 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,pids\n"
#define V1_CPU "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:14 - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_SYSTEMD "32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd\n"
#define V2_UNIFIED "31 30 0:27 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"

static const struct {
	const char *name, *mounts, *self;
	int r, version;
	const char *mount, *own, *unified; /* unified NULL: none beside version 1 */
} machines[] = {
	{ "nine v1 lines before 0::, in a container",
	  "500 490 0:40 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755\n"
	  "501 500 0:41 / /sys/fs/cgroup/cpu rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,cpu\n"
	  "502 500 0:42 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,memory\n"
	  "503 500 0:43 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,pids\n"
	  "504 500 0:44 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw\n",
	  "9:freezer:/\n8:cpuset:/\n7:pids:/nsbox-test.42\n6:memory:/\n5:blkio:/\n4:devices:/\n3:cpuacct:/\n2:cpu:/\n"
	  "1:net_cls,net_prio:/\n0::/nsbox-test.42\n",
	  0, 1, "/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/nsbox-test.42", "/sys/fs/cgroup/unified" },
	{ "Debian 12 with systemd", MOUNTS_HEAD V2_MOUNT, "0::/system.slice/ssh.service\n", 0, 2, "/sys/fs/cgroup",
	  "/sys/fs/cgroup/system.slice/ssh.service", NULL },
	{ "in the root group", MOUNTS_HEAD V2_MOUNT, "0::/\n", 0, 2, "/sys/fs/cgroup", "/sys/fs/cgroup", NULL },
	{ "hybrid systemd: v1 has the controller", MOUNTS_HEAD V2_UNIFIED V1_SYSTEMD V1_CPU V1_PIDS,
	  "12:pids:/user.slice/user-0.slice/session-1.scope\n11:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice\n"
	  "0::/user.slice/user-0.slice/session-1.scope\n",
	  0, 1, "/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/user.slice/user-0.slice/session-1.scope",
	  "/sys/fs/cgroup/unified" },
	{ "hybrid, pids tree first", MOUNTS_HEAD V1_PIDS V2_UNIFIED, "12:pids:/a\n0::/b\n", 0, 1, "/sys/fs/cgroup/pids",
	  "/sys/fs/cgroup/pids/a", "/sys/fs/cgroup/unified" },
	{ "v1 without pids, v2 beside it", MOUNTS_HEAD V1_CPU V1_SYSTEMD V2_UNIFIED, "11:cpu,cpuacct:/a\n0::/b\n", 0, 2,
	  "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/b", NULL },
	{ "pids together with others", "40 30 0:31 / /cg rw - cgroup none rw,cpu,pids,memory\n",
	  "3:cpu,pids,memory:/x\n0::/y\n", 0, 1, "/cg", "/cg/x", NULL },
	{ "a controller whose name ends so", "40 30 0:31 / /cg rw - cgroup none rw,xpids\n" V2_MOUNT, "3:xpids:/x\n0::/y\n",
	  0, 2, "/sys/fs/cgroup", "/sys/fs/cgroup/y", NULL },
	{ "docker, v1: the mount shows a part of the tree",
	  "700 690 0:31 /docker/x /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids\n", "12:pids:/docker/x\n0::/\n", 0, 1,
	  "/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids", NULL },
	{ "the same, deeper", "700 690 0:31 /docker/x /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids\n",
	  "12:pids:/docker/x/user/a\n", 0, 1, "/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/user/a", NULL },
	{ "a group beside the one that is shown", "700 690 0:31 /docker/x /cg ro - cgroup cgroup rw,pids\n",
	  "12:pids:/docker/xy\n", -EBADMSG, 0, NULL, NULL, NULL },
	{ "docker, v2, cgroup namespace", "700 690 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n", "0::/\n", 0, 2,
	  "/sys/fs/cgroup", "/sys/fs/cgroup", NULL },
	{ "outside of the cgroup namespace's root", V2_MOUNT, "0::/../../system.slice\n", -EBADMSG, 0, NULL, NULL, NULL },
	{ "a mount of a parent of the namespace's root", "700 690 0:26 /../.. /cg rw - cgroup2 cgroup2 rw\n", "0::/\n",
	  -EBADMSG, 0, NULL, NULL, NULL },
	{ "a blank and a backslash in the mount's path",
	  "700 690 0:26 / /mnt/my\\040cgroup\\134s rw - cgroup2 cgroup2 rw\n", "0::/a b\n", 0, 2, "/mnt/my cgroup\\s",
	  "/mnt/my cgroup\\s/a b", NULL },
	{ "a blank in the root of the mount", "700 690 0:31 /my\\040group /cg rw - cgroup cgroup rw,pids\n",
	  "1:pids:/my group/a\n", 0, 1, "/cg", "/cg/a", NULL },
	{ "a colon in the group's name", V2_MOUNT, "0::/a:b/c:pids:d\n", 0, 2, "/sys/fs/cgroup", "/sys/fs/cgroup/a:b/c:pids:d", NULL },
	{ "fields of propagation, several of them",
	  "30 21 0:26 / /cg rw shared:9 master:4 propagate_from:2 unbindable - cgroup2 cgroup2 rw\n", "0::/a\n", 0, 2, "/cg",
	  "/cg/a", NULL },
	{ "dots in a name are no way up", V2_MOUNT, "0::/a..b/c..\n", 0, 2, "/sys/fs/cgroup", "/sys/fs/cgroup/a..b/c..", NULL },
	{ "two v2 mounts: the first", V2_MOUNT "31 21 0:26 / /second rw - cgroup2 cgroup2 rw\n", "0::/a\n", 0, 2,
	  "/sys/fs/cgroup", "/sys/fs/cgroup/a", NULL },
	{ "nothing mounted", MOUNTS_HEAD, "0::/\n", -ENOENT, 0, NULL, NULL, NULL },
	{ "empty texts", "", "", -ENOENT, 0, NULL, NULL, NULL },
	{ "no line of this tree", V2_MOUNT, "1:pids:/x\n", -EBADMSG, 0, NULL, NULL, NULL },
	{ "no line of the v1 tree", V1_PIDS, "0::/x\n", -EBADMSG, 0, NULL, NULL, NULL },
	{ "a type that only begins so", "30 21 0:26 / /cg rw - cgroup2x cgroup2 rw\n", "0::/\n", -ENOENT, 0, NULL, NULL, NULL },
	{ "a device called cgroup2", "30 21 0:26 / /cg rw - tmpfs cgroup2 rw\n", "0::/\n", -ENOENT, 0, NULL, NULL, NULL },
	{ "a path that holds \" - cgroup2\"", "30 21 0:26 / /a\\040-\\040cgroup2 rw - tmpfs none rw\n", "0::/\n", -ENOENT, 0,
	  NULL, NULL, NULL },
	{ "cut lines", "30 21 0:26 /\n30 21\n\n- cgroup2\n30 21 0:26 / /cg rw - cgroup2\n", "0::/\n", -ENOENT, 0, NULL, NULL, NULL },
	{ "a relative path", V2_MOUNT, "0::a/b\n", -EBADMSG, 0, NULL, NULL, NULL },
};

static void choose(void **state)
{
	nsb_cgroup_tree *tree = malloc(sizeof(*tree));
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		nsb_error error = { 0 };
		int r = nsb_cgroup_choose(machines[i].mounts, machines[i].self, tree, &error);

		if (r != machines[i].r || (r < 0) != (error.words[0] != '\0') ||
		    (r == 0 && (tree->version != machines[i].version || strcmp(tree->mount, machines[i].mount) != 0 ||
				strcmp(tree->own, machines[i].own) != 0 ||
				strcmp(tree->unified, machines[i].unified != NULL ? machines[i].unified : "") != 0))) {
			print_error("%s: %d, version %d, %s, %s, %s\n", machines[i].name, r, tree->version, tree->mount,
				    tree->own, tree->unified);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
	free(tree);
}

/* Longer than any buffer: refused or right, never a part of it. */
static void choose_long(void **state)
{
	nsb_cgroup_tree *tree = malloc(sizeof(*tree));
	char *path = malloc(2 * PATH_MAX), *self = malloc(2 * PATH_MAX + 16), *mounts = malloc(2 * PATH_MAX + 64);

	(void)state;
	for (size_t length = PATH_MAX - 40; length < 2 * PATH_MAX - 2; length++) {
		memset(path, 'x', length);
		path[0] = '/';
		path[length] = '\0';
		sprintf(self, "0::%s\n", path);
		if (nsb_cgroup_choose(V2_MOUNT, self, tree, NULL) == 0)
			assert_int_equal(strlen(tree->own), length + strlen("/sys/fs/cgroup"));
		sprintf(mounts, "1 2 0:1 / %s rw - cgroup2 none rw\n", path);
		if (nsb_cgroup_choose(mounts, "0::/a\n", tree, NULL) == 0)
			assert_int_equal(strlen(tree->mount), length);
	}
	free(mounts);
	free(self);
	free(path);
	free(tree);
}

/* --- a tree of plain files --- */

int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

static const char *const files[] = { "cgroup.procs", "tasks", "cgroup.subtree_control", "cgroup.controllers", "pids.max" };

static char base[] = "/tmp/nsbox-test-cgroup-XXXXXX";
static nsb_cgroup_tree *tree;
static int writes_left, write_errno; /* after so many writes they fail with this */
static int busy;		     /* so many removals fail with EBUSY */
static char journal[4096];	     /* FILE=TEXT of all writes, one a line */

static void touch(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

/* What cgroupfs puts into each new group. */
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	int dir;

	if (__real_mkdirat(dirfd, path, mode) < 0)
		return -1;
	dir = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i], "tasks") != 0 || tree->version == 1)
			touch(dir, files[i]);
	close(dir);
	return 0;
}

/* Its files do not keep a group from being removed, processes do. */
int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	int dir;

	if (flags != AT_REMOVEDIR)
		return __real_unlinkat(dirfd, path, flags);
	if (busy > 0 && faccessat(dirfd, path, F_OK, 0) == 0) {
		busy--;
		errno = EBUSY;
		return -1;
	}
	dir = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			__real_unlinkat(dir, files[i], 0);
		close(dir);
	}
	return __real_unlinkat(dirfd, path, flags);
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
	strcpy(base + strlen(base) - 6, "XXXXXX");
	if (mkdtemp(base) == NULL)
		return -1;
	tree = calloc(1, sizeof(*tree));
	tree->version = version;
	snprintf(tree->mount, sizeof(tree->mount), "%s", base);
	snprintf(tree->own, sizeof(tree->own), "%s/system.slice/ssh", base);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", base, files[i]);
		if (strcmp(files[i], "tasks") != 0 || version == 1)
			touch(AT_FDCWD, path);
	}
	journal[0] = '\0';
	write_errno = writes_left = busy = 0;
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
	free(tree);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static bool exists(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return access(path, F_OK) == 0;
}

static void make_v1_group(void **state)
{
	int group = -1;

	(void)state;
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "2048", &group, NULL), 0);
	assert_true(group >= 0 && (fcntl(group, F_GETFD) & FD_CLOEXEC));
	assert_string_equal(journal, "/nsbox/k3j5h7g9fx/pids.max=2048\n");
	close(group);
}

/* Each group on the way hands the controller down, top first, before the limit can be set. */
static void make_v2_group(void **state)
{
	int group = -1;

	(void)state;
	assert_int_equal(nsb_cgroup_make(tree, "a/b/k3j5h7g9fx", "16", &group, NULL), 0);
	assert_string_equal(journal, "/cgroup.subtree_control=+pids\n/a/cgroup.subtree_control=+pids\n"
				     "/a/b/cgroup.subtree_control=+pids\n/a/b/k3j5h7g9fx/pids.max=16\n");
	close(group);
}

/* Without a limit nothing is asked of the controllers. */
static void make_without_limit(void **state)
{
	int group = -1;

	(void)state;
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "max", &group, NULL), 0);
	assert_string_equal(journal, "");
	assert_true(exists("nsbox/k3j5h7g9fx/pids.max"));
	close(group);
}

static void make_existing(void **state)
{
	nsb_error error = { 0 };
	int group = -1;

	(void)state;
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "16", &group, NULL), 0);
	close(group);
	group = -1;
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "16", &group, &error), -EEXIST);
	assert_int_equal(group, -1);
	assert_true(exists("nsbox/k3j5h7g9fx")); /* another one's */
	/* ancestors are shared */
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/other00000", "16", &group, NULL), 0);
	close(group);
}

/* The n-th write fails: the error says where, the group is gone. */
static void failing_writes(void **state)
{
	const int n_writes = tree->version == 2 ? 3 : 1;
	const char *const places[] = { "cgroup.subtree_control", "cgroup.subtree_control", "pids.max" };
	static const int errors[] = { EBUSY, EACCES, EROFS, EOPNOTSUPP, EINVAL };

	(void)state;
	for (int n = 0; n < n_writes; n++)
		for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			nsb_error error = { 0 };
			int group = -1;

			write_errno = errors[i];
			writes_left = n;
			assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "16", &group, &error), -errors[i]);
			assert_int_equal(group, -1);
			assert_non_null(strstr(error.words, places[n + 3 - n_writes]));
			assert_false(exists("nsbox/k3j5h7g9fx"));
			assert_int_equal(error.err, errors[i]);
		}
	write_errno = 0;
}

static void unwritable_places(void **state)
{
	nsb_error error = { 0 };
	int group = -1;
	char path[128];

	(void)state;
	/* a file or a link where a group should be */
	snprintf(path, sizeof(path), "%s/nsbox", base);
	touch(AT_FDCWD, path);
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "16", &group, &error), -ENOTDIR);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_true(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "16", &group, NULL) < 0);
	snprintf(tree->mount, sizeof(tree->mount), "%s/gone", base);
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "16", &group, NULL), -ENOENT);
}

/* The way in by `tasks` or `cgroup.procs`, and the way back. */
static void ways(void **state)
{
	char path[PATH_MAX], wanted[128];
	const char *file = tree->version == 1 ? "tasks" : "cgroup.procs";
	int group = -1, fd;

	(void)state;
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "max", &group, NULL), 0);
	fd = nsb_cgroup_open_join(tree, group, NULL);
	assert_true(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	assert_int_equal(write(fd, "0", 1), 1);
	snprintf(wanted, sizeof(wanted), "/nsbox/k3j5h7g9fx/%s=0\n", file);
	assert_string_equal(journal, wanted);
	close(fd);
	assert_int_equal(nsb_cgroup_way_back(tree, path, sizeof(path)), 0);
	assert_string_equal(path + strlen(base) + strlen("/system.slice/ssh/"), file);
	for (size_t size = 0; size <= strlen(path); size++)
		assert_int_equal(nsb_cgroup_way_back(tree, wanted, size), -ENAMETOOLONG);
	assert_int_equal(unlinkat(group, file, 0), 0);
	assert_int_equal(nsb_cgroup_open_join(tree, group, NULL), -ENOENT);
	close(group);
}

static const char *group_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

static void put(const char *name, const char *text)
{
	int fd = open(group_path(name), O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A group that is not empty: what is in it goes to its parent, or to the monitors' group where there is one. */
static void remove_busy(void **state)
{
	const char *file = tree->version == 1 ? "tasks" : "cgroup.procs";
	char name[64], wanted[128];
	int group = -1;

	(void)state;
	for (int monitors = 0; monitors < 2; monitors++) {
		if (monitors)
			assert_int_equal(mkdirat(AT_FDCWD, group_path("nsbox/monitors"), 0755), 0);
		assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "max", &group, NULL), 0);
		close(group);
		snprintf(name, sizeof(name), "nsbox/k3j5h7g9fx/%s", file);
		put(name, "77\n78\n");
		journal[0] = '\0';
		busy = 1;
		assert_int_equal(nsb_cgroup_remove(group_path("nsbox/k3j5h7g9fx"), 1000), 0);
		assert_false(exists("nsbox/k3j5h7g9fx"));
		snprintf(wanted, sizeof(wanted), "/nsbox/%s%s=77\n/nsbox/%s%s=78\n", monitors ? "monitors/" : "", file,
			 monitors ? "monitors/" : "", file);
		assert_string_equal(journal, wanted);
	}
}

static void remove_never(void **state)
{
	int64_t before;
	int group = -1;

	(void)state;
	assert_int_equal(nsb_cgroup_make(tree, "nsbox/k3j5h7g9fx", "max", &group, NULL), 0);
	close(group);
	busy = 1000000;
	before = nsb_now();
	assert_int_equal(nsb_cgroup_remove(group_path("nsbox/k3j5h7g9fx"), 60), -EBUSY);
	assert_true(nsb_now() - before >= 60 && nsb_now() - before < 1500);
	busy = 0;
	assert_int_equal(nsb_cgroup_remove(group_path("nsbox/k3j5h7g9fx"), 0), 0);
	assert_int_equal(nsb_cgroup_remove(group_path("nsbox/k3j5h7g9fx"), 0), 0); /* gone */
	assert_int_equal(nsb_cgroup_remove(group_path("no/such/group"), 0), 0);
	assert_int_equal(nsb_cgroup_remove("relative", 0), -EINVAL);
}

/* What this machine has: chosen or refused in words, and nothing written. */
static void this_machine(void **state)
{
	static const char *const limits[] = { "max", "100" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		nsb_error error = { 0 };
		int r = nsb_cgroup_find(limits[i], tree, &error);

		assert_true(r == 0 ? tree->version == 1 || tree->version == 2 : error.words[0] != '\0');
	}
	assert_string_equal(journal, "");
}

#define V1(function) { #function "_v1", function, make_v1, remove_base, NULL }
#define V2(function) { #function "_v2", function, make_v2, remove_base, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choose),
		cmocka_unit_test(choose_long),
		V1(make_v1_group),
		V2(make_v2_group),
		V1(make_without_limit),
		V2(make_without_limit),
		V1(make_existing),
		V2(make_existing),
		V1(failing_writes),
		V2(failing_writes),
		V1(unwritable_places),
		V2(unwritable_places),
		V1(ways),
		V2(ways),
		V1(remove_busy),
		V2(remove_busy),
		V1(remove_never),
		V2(remove_never),
		V2(this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
