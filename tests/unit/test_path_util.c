/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a path: what is followed, what is refused, and that nothing outside the root is ever reached. Each test has a
 * tree of its own below /run, whose directories root alone can change. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/fd-util.h"
#include "common/path-util.h"

#define STRANGER 1234

static char base[] = "/run/nsbox-test-path-XXXXXX", top[40];
static int root; /* base/root */

static void make_dir(const char *path, mode_t mode)
{
	assert_int_equal(mkdirat(root, path, 0700), 0);
	assert_int_equal(fchmodat(root, path, mode, 0), 0);
}

static void make_file(const char *path, mode_t mode)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void make_link(const char *path, const char *target)
{
	assert_int_equal(symlinkat(target, root, path), 0);
}

static void give_away(const char *path)
{
	assert_int_equal(fchownat(root, path, STRANGER, STRANGER, AT_SYMLINK_NOFOLLOW), 0);
}

/*
 * etc/file, etc/dir/deep, etc/dir/deep/file	root's
 * home/alice/					a stranger's
 * tmp/						everybody's, sticky
 * ../outside					what must not be reached
 */
static int make_tree(void **state)
{
	char path[128];
	int fd;

	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0755), 0);
	snprintf(path, sizeof(path), "%s/outside", base);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
	snprintf(top, sizeof(top), "%s/root", base);
	assert_int_equal(mkdir(top, 0755), 0);
	root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	make_dir("etc", 0755);
	make_dir("etc/dir", 0755);
	make_dir("etc/dir/deep", 0755);
	make_dir("home", 0755);
	make_dir("home/alice", 0755);
	make_dir("home/alice/own", 0755);
	make_dir("tmp", 01777);
	make_file("etc/file", 0644);
	make_file("etc/dir/deep/file", 0644);
	make_file("home/alice/file", 0644);
	give_away("home/alice");
	give_away("home/alice/own");
	give_away("home/alice/file");
	return 0;
}

static int remove_tree(void **state)
{
	char command[128];

	(void)state;
	close(root);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

/* The errno of opening `path`; 0 if what is reached is the object `same` (its name without following the last link). */
static int try(const char *path, unsigned flags, const char *same)
{
	nsb_error error = { 0 };
	struct stat got, wanted;
	int fd = nsb_path_open(root, path, flags, NULL, NULL, &error);

	if (fd < 0) {
		assert_true(error.words[0] != '\0' && strchr(error.words, '\n') == NULL);
		return fd;
	}
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_PATH);
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(fstatat(root, same, &wanted, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(got.st_ino == wanted.st_ino && got.st_dev == wanted.st_dev);
	close(fd);
	return 0;
}

static void plain(void **state)
{
	(void)state;
	assert_int_equal(try("/", 0, "."), 0);
	assert_int_equal(try("//", 0, "."), 0);
	assert_int_equal(try("/etc", 0, "etc"), 0);
	assert_int_equal(try("/etc/file", 0, "etc/file"), 0);
	assert_int_equal(try("//etc//./dir/deep/./file", 0, "etc/dir/deep/file"), 0);
	assert_int_equal(try("/etc/dir/", 0, "etc/dir"), 0);
	assert_int_equal(try("/home/alice/file", 0, "home/alice/file"), 0);
	assert_int_equal(try("/etc/none", 0, NULL), -ENOENT);
	assert_int_equal(try("/none/file", 0, NULL), -ENOENT);
	assert_int_equal(try("/etc/file/below", 0, NULL), -ENOTDIR);
	assert_int_equal(try("/etc/file", NSB_PATH_DIRECTORY, NULL), -ENOTDIR);
	assert_int_equal(try("/etc/dir", NSB_PATH_DIRECTORY, "etc/dir"), 0);
	assert_int_equal(try("/", NSB_PATH_DIRECTORY, "."), 0);
}

/* As openat(2) has it, a slash at the end asks for a directory. */
static void slash_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(try("/etc/file/", 0, NULL), -ENOTDIR);
	assert_int_equal(try("/etc/file/.", 0, NULL), -ENOTDIR);
}

static void malformed(void **state)
{
	char *path = malloc(2 * PATH_MAX);

	(void)state;
	assert_int_equal(try("etc", 0, NULL), -EINVAL);
	assert_int_equal(try("", 0, NULL), -EINVAL);
	memset(path, '/', 2 * PATH_MAX);
	path[PATH_MAX] = '\0';
	assert_int_equal(try(path, 0, NULL), -EINVAL);
	path[PATH_MAX - 1] = '\0';
	assert_int_equal(try(path, 0, "."), 0);
	free(path);
}

static void good_links(void **state)
{
	(void)state;
	make_link("etc/absolute", "/etc/dir/deep");
	make_link("etc/relative", "dir/deep");
	make_link("etc/dir/up", "../file");
	make_link("etc/dir/dots", "./.././dir/../file");
	make_link("etc/twice", "absolute/file");
	assert_int_equal(try("/etc/absolute/file", 0, "etc/dir/deep/file"), 0);
	assert_int_equal(try("/etc/relative/file", 0, "etc/dir/deep/file"), 0);
	assert_int_equal(try("/etc/relative", 0, "etc/dir/deep"), 0);
	assert_int_equal(try("/etc/dir/up", 0, "etc/file"), 0);
	assert_int_equal(try("/etc/dir/dots", 0, "etc/file"), 0);
	assert_int_equal(try("/etc/twice", 0, "etc/dir/deep/file"), 0);
}

/* In what the caller writes as well: by the name of the directory reached, which has no links. */
static void dotdot(void **state)
{
	(void)state;
	make_link("etc/far", "dir/deep");
	assert_int_equal(try("/etc/dir/../file", 0, "etc/file"), 0);
	assert_int_equal(try("/etc/far/../deep/file", 0, "etc/dir/deep/file"), 0);
	assert_int_equal(try("/etc/far/../../file", 0, "etc/file"), 0);
	assert_int_equal(try("/etc/none/../file", 0, NULL), -ENOENT);
	assert_int_equal(try("/etc/file/../file", 0, NULL), -ENOTDIR);
}

static void confinement(void **state)
{
	static const char *const targets[] = { "/../../outside", "../../../../outside", "/..", "../..",
					       "/../../../../etc/file" };
	static const char *const ends[] = { NULL, NULL, ".", ".", "etc/file" };
	char path[128];

	(void)state;
	assert_int_equal(try("/../outside", 0, NULL), -ENOENT);
	assert_int_equal(try("/..", 0, "."), 0);
	assert_int_equal(try("/../../../../../etc/file", 0, "etc/file"), 0);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		snprintf(path, sizeof(path), "/etc/way%zu", i);
		make_link(path + 1, targets[i]);
		assert_int_equal(try(path, 0, ends[i]), ends[i] != NULL ? 0 : -ENOENT);
	}
	/* an absolute link is absolute in the root, not on the machine */
	make_link("etc/host", base);
	assert_int_equal(try("/etc/host/outside", 0, NULL), -ENOENT);
}

static void no_symlinks(void **state)
{
	(void)state;
	make_link("etc/link", "dir");
	assert_int_equal(try("/etc/link/deep", NSB_PATH_NO_SYMLINKS, NULL), -ELOOP);
	assert_int_equal(try("/etc/link", NSB_PATH_NO_SYMLINKS, NULL), -ELOOP);
	assert_int_equal(try("/etc/dir/deep", NSB_PATH_NO_SYMLINKS, "etc/dir/deep"), 0);
	assert_int_equal(try("/home/alice/own", NSB_PATH_NO_SYMLINKS, "home/alice/own"), 0);
}

/* Who could have made the link: its owner, and whoever can change the directory that it stands in. */
static void strange_links(void **state)
{
	(void)state;
	make_link("etc/theirs", "file");
	give_away("etc/theirs");
	assert_int_equal(try("/etc/theirs", 0, NULL), -ELOOP);
	make_link("home/alice/way", "/etc/file"); /* root's, put there before, but may be renamed */
	assert_int_equal(try("/home/alice/way", 0, NULL), -ELOOP);
	make_link("home/alice/dir", "own");
	assert_int_equal(try("/home/alice/dir/x", 0, NULL), -ELOOP);
	make_link("tmp/way", "/etc/file");
	assert_int_equal(try("/tmp/way", 0, NULL), -ELOOP);
	make_dir("shared", 0775); /* by root's group, which accounts may be in */
	make_link("shared/way", "/etc/file");
	assert_int_equal(try("/shared/way", 0, NULL), -ELOOP);
	assert_int_equal(fchmodat(root, "shared", 0755, 0), 0);
	assert_int_equal(try("/shared/way", 0, "etc/file"), 0);
	/* a trusted link may lead to what is not trusted, but from there no link leads on */
	make_link("etc/to-alice", "/home/alice");
	assert_int_equal(try("/etc/to-alice/file", 0, "home/alice/file"), 0);
	assert_int_equal(try("/etc/to-alice/way", 0, NULL), -ELOOP);
}

/* The root itself may be the directory that a stranger can change. */
static void strange_root(void **state)
{
	(void)state;
	make_link("way", "/etc/file");
	assert_int_equal(try("/way", 0, "etc/file"), 0);
	assert_int_equal(chmod(top, 0777), 0);
	assert_int_equal(try("/way", 0, NULL), -ELOOP);
	assert_int_equal(chmod(top, 0755), 0);
	assert_int_equal(chown(top, STRANGER, 0), 0);
	assert_int_equal(try("/way", 0, NULL), -ELOOP);
}

/* Root of a user namespace counts as root where it is asked for, and nobody else. */
static void other_root(void **state)
{
	int fd;

	(void)state;
	make_link("etc/theirs", "file");
	give_away("etc/theirs");
	give_away("etc/file");
	assert_int_equal(try("/etc/theirs", 0, NULL), -ELOOP);
	assert_int_equal(nsb_path_open_other(root, STRANGER + 1, "/etc/theirs", 0, NULL, NULL, NULL), -ELOOP);
	fd = nsb_path_open_other(root, STRANGER, "/etc/theirs", NSB_PATH_TRUSTED, NULL, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(try("/etc/file", NSB_PATH_TRUSTED, NULL), -EPERM);
	/* its mode counts as well */
	assert_int_equal(fchmodat(root, "etc/file", 0666, 0), 0);
	assert_int_equal(nsb_path_open_other(root, STRANGER, "/etc/file", NSB_PATH_TRUSTED, NULL, NULL, NULL), -EPERM);
}

static void trusted(void **state)
{
	(void)state;
	assert_int_equal(try("/etc/dir/deep/file", NSB_PATH_TRUSTED, "etc/dir/deep/file"), 0);
	assert_int_equal(try("/home", NSB_PATH_TRUSTED, "home"), 0);
	assert_int_equal(try("/home/alice", NSB_PATH_TRUSTED, NULL), -EPERM);
	assert_int_equal(try("/home/alice/file", NSB_PATH_TRUSTED, NULL), -EPERM);
	assert_int_equal(try("/tmp", NSB_PATH_TRUSTED, NULL), -EPERM);
	make_file("etc/loose", 0664);
	assert_int_equal(try("/etc/loose", NSB_PATH_TRUSTED, NULL), -EPERM);
	make_file("etc/open", 0646);
	assert_int_equal(try("/etc/open", NSB_PATH_TRUSTED, NULL), -EPERM);
	make_link("etc/to-alice", "/home/alice/file");
	assert_int_equal(try("/etc/to-alice", NSB_PATH_TRUSTED, NULL), -EPERM);
	make_link("etc/to-file", "file");
	assert_int_equal(try("/etc/to-file", NSB_PATH_TRUSTED, "etc/file"), 0);
}

/* "/" is a component as well: whoever can change it can change what stands in it. */
static void trusted_root(void **state)
{
	(void)state;
	assert_int_equal(chmod(top, 0777), 0);
	assert_int_equal(try("/etc/file", NSB_PATH_TRUSTED, NULL), -EPERM);
	assert_int_equal(try("/", NSB_PATH_TRUSTED, NULL), -EPERM);
}

static void chain(int n)
{
	char name[32], target[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "etc/chain%d", i);
		snprintf(target, sizeof(target), i + 1 < n ? "chain%d" : "file", i + 1);
		make_link(name, target);
	}
}

static void chains(void **state)
{
	(void)state;
	chain(41);
	assert_int_equal(try("/etc/chain1", 0, "etc/file"), 0); /* 40 links */
	assert_int_equal(try("/etc/chain0", 0, NULL), -ELOOP);	/* 41 */
	make_link("etc/self", "self");
	assert_int_equal(try("/etc/self", 0, NULL), -ELOOP);
	make_link("etc/ping", "pong");
	make_link("etc/pong", "ping");
	assert_int_equal(try("/etc/ping/x", 0, NULL), -ELOOP);
	make_link("etc/grow", "grow/grow"); /* becomes longer in each round */
	assert_int_equal(try("/etc/grow", 0, NULL), -ELOOP);
}

static void long_names(void **state)
{
	char name[NAME_MAX + 3], path[PATH_MAX];

	(void)state;
	memset(name, 'n', sizeof(name));
	memcpy(name, "/", 1);
	name[NAME_MAX + 1] = '\0';
	make_dir(name + 1, 0755);
	assert_int_equal(try(name, 0, name + 1), 0);
	/* one more: no such file can exist, and it is not the one whose name is a part of it */
	name[NAME_MAX + 1] = 'n';
	name[NAME_MAX + 2] = '\0';
	assert_true(try(name, 0, name + 1) < 0);
	/* a link whose text and rest do not fit together */
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	for (size_t i = 200; i < sizeof(path) - 1; i += 200)
		path[i] = '/';
	path[PATH_MAX - 2] = '\0';
	make_link("etc/long", path);
	assert_int_equal(try("/etc/long", 0, NULL), -ENOENT);
	assert_int_equal(try("/etc/long/xxxx", 0, NULL), -ENAMETOOLONG);
}

/* The path that is reached may be longer than any that can be written down. */
static void deep_tree(void **state)
{
	char path[PATH_MAX], name[201];
	int at = dup(root), next, r;

	(void)state;
	memset(name, 'd', 200);
	name[200] = '\0';
	for (int i = 0; i < 22; i++) {
		assert_int_equal(mkdirat(at, name, 0755), 0);
		next = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
	path[0] = '\0';
	for (int i = 0; i < 20; i++) {
		strcat(path, "/");
		strcat(path, name);
	}
	r = nsb_path_open(root, path, 0, NULL, NULL, NULL);
	assert_true(r >= 0);
	close(r);
	/* 19 levels by name and 3 more by links that fit each by itself */
	path[19 * 201] = '\0';
	make_link("etc/near", path);
	snprintf(path, sizeof(path), "/etc/near/%s/%s/%s", name, name, name);
	assert_int_equal(try(path, 0, NULL), -ENAMETOOLONG);
}

static void missing(void **state)
{
	static const struct {
		const char *path, *there, *rest;
	} rows[] = {
		{ "/etc/none", "etc", "none" },
		{ "/etc/none/a/b", "etc", "none/a/b" },
		{ "/none", ".", "none" },
		{ "//none//a/", ".", "none//a/" },
		{ "/etc/to-none/x", "etc/dir", "none/y/x" },
		{ "/home/alice/own/new", "home/alice/own", "new" },
	};

	(void)state;
	make_link("etc/to-none", "dir/none/y");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char rest[PATH_MAX] = "?";
		struct stat got, wanted;
		int there = -1;

		assert_int_equal(nsb_path_open(root, rows[i].path, 0, &there, rest, NULL), -ENOENT);
		assert_true(there >= 0 && there != root);
		assert_true(fcntl(there, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(fstat(there, &got), 0);
		assert_int_equal(fstatat(root, rows[i].there, &wanted, 0), 0);
		assert_true(got.st_ino == wanted.st_ino);
		assert_string_equal(rest, rows[i].rest);
		close(there);
	}
	/* other errors give no descriptor */
	assert_int_equal(try("/etc/file/x", 0, NULL), -ENOTDIR);
}

/* The name cut to NAME_MAX may be there: what is missing must not be taken for it. */
static void missing_long_name(void **state)
{
	char path[NAME_MAX + 40] = "/", rest[PATH_MAX];
	int there = -1, r;

	(void)state;
	memset(path + 1, 'm', NAME_MAX + 5);
	path[NAME_MAX + 6] = '\0';
	r = nsb_path_open(root, path, 0, &there, rest, NULL);
	assert_true(r < 0);
	if (r == -ENOENT) {
		assert_string_equal(rest, path + 1);
		close(there);
	}
}

/* Nothing is opened for reading, so none of these waits or acts. */
static void special_files(void **state)
{
	static const mode_t types[] = { S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };

	(void)state;
	alarm(10);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		assert_int_equal(mknodat(root, "etc/node", types[i] | 0644, makedev(1, 3)), 0);
		assert_int_equal(try("/etc/node", 0, "etc/node"), 0);
		assert_int_equal(try("/etc/node", NSB_PATH_DIRECTORY, NULL), -ENOTDIR);
		assert_int_equal(try("/etc/node/below", 0, NULL), -ENOTDIR);
		assert_int_equal(unlinkat(root, "etc/node", 0), 0);
	}
	alarm(0);
}

static void magic_links(void **state)
{
	nsb_error error = { 0 };
	int machine = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[64];

	(void)state;
	assert_true(machine >= 0);
	assert_int_equal(nsb_path_open(machine, "/proc/self/root", 0, NULL, NULL, &error), -ELOOP);
	assert_non_null(strstr(error.words, "/proc"));
	assert_int_equal(nsb_path_open(machine, "/proc/1/cwd/etc", 0, NULL, NULL, NULL), -ELOOP);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), root);
	assert_int_equal(nsb_path_open(machine, path, 0, NULL, NULL, NULL), -ELOOP);
	make_link("etc/proc", path);
	assert_true(nsb_path_open(root, "/etc/proc", 0, NULL, NULL, NULL) < 0);
	snprintf(path, sizeof(path), "%s/etc/proc", top);
	assert_int_equal(nsb_path_open(machine, path, 0, NULL, NULL, NULL), -ELOOP);
	close(machine);
}

/* While a directory is swapped with a link that leads out, no walk ends outside. */
static void swapped(void **state)
{
	volatile int *stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct stat outside, got;
	char path[128];
	pid_t swapper;
	int inside = 0;

	(void)state;
	assert_true(stop != MAP_FAILED);
	snprintf(path, sizeof(path), "%s/outside", base);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(stat(path, &outside), 0);
	assert_int_equal(symlinkat(path, root, "home/alice/link"), 0);
	swapper = fork();
	if (swapper == 0) {
		while (!*stop)
			renameat2(root, "home/alice/own", root, "home/alice/link", RENAME_EXCHANGE);
		_exit(0);
	}
	for (int i = 0; i < 20000; i++) {
		int fd = nsb_path_open(root, "/home/alice/own", 0, NULL, NULL, NULL);

		if (fd < 0)
			continue;
		inside++;
		assert_int_equal(fstat(fd, &got), 0);
		assert_true(S_ISDIR(got.st_mode) && got.st_ino != outside.st_ino);
		close(fd);
	}
	*stop = 1;
	assert_true(inside > 0);
	munmap((void *)stop, sizeof(*stop));
}

static void stat_trusted(void **state)
{
	static const struct {
		mode_t mode;
		uid_t uid;
		gid_t gid;
		bool trusted;
	} rows[] = {
		{ S_IFDIR | 0755, 0, 0, true },	 { S_IFDIR | 0775, 0, 0, false },  { S_IFDIR | 0775, 0, 5, false },
		{ S_IFDIR | 0757, 0, 0, false }, { S_IFDIR | 01777, 0, 0, false }, { S_IFREG | 0644, 1, 0, false },
		{ S_IFREG | 0000, 0, 9, true },	 { S_IFLNK | 0777, 0, 0, true },   { S_IFLNK | 0777, 1, 0, false },
		{ S_IFCHR | 0666, 0, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stat st = { .st_mode = rows[i].mode, .st_uid = rows[i].uid, .st_gid = rows[i].gid };

		assert_int_equal(nsb_stat_trusted(&st), rows[i].trusted);
	}
}

static void normalize(void **state)
{
	static const struct {
		const char *path, *normal; /* NULL: -EINVAL */
	} rows[] = {
		{ "/", "/" },	    { "///", "/" },	    { "/.", "/" },
		{ "/a", "/a" },	    { "//a//b/", "/a/b" },  { "/./a/./b/.", "/a/b" },
		{ "/a/..", NULL },  { "/..", NULL },	    { "", NULL },
		{ "a", NULL },	    { "./a", NULL },	    { "/...", "/..." },
		{ "/..a", "/..a" }, { "/a..", "/a.." },	    { "/.a", "/.a" },
		{ "/a b", "/a b" }, { "/a/../../b", NULL }, { "/a\n", "/a\n" },
	};
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = nsb_path_normalize(rows[i].path, buffer, sizeof(buffer));

		assert_int_equal(r, rows[i].normal != NULL ? 0 : -EINVAL);
		if (r == 0)
			assert_string_equal(buffer, rows[i].normal);
	}
}

/* Every size of the buffer: what fits is right, what does not is refused, nothing is written behind its end. */
static void normalize_sizes(void **state)
{
	static const char path[] = "//abc/./defg//";

	(void)state;
	for (size_t size = 2; size < 20; size++) {
		char *buffer = malloc(size); /* exact, for the sanitizers */
		int r = nsb_path_normalize(path, buffer, size);

		assert_int_equal(r, size >= sizeof("/abc/defg") ? 0 : -ENAMETOOLONG);
		if (r == 0)
			assert_string_equal(buffer, "/abc/defg");
		free(buffer);
	}
}

static void below(void **state)
{
	(void)state;
	assert_true(nsb_path_below("/a", "/a"));
	assert_true(nsb_path_below("/a/b", "/a"));
	assert_false(nsb_path_below("/ab", "/a"));
	assert_false(nsb_path_below("/", "/a"));
	assert_true(nsb_path_below("/a", "/"));
	assert_true(nsb_path_below("/", "/"));
	assert_false(nsb_path_below("/b/a", "/a"));
}

static void mount_ids(void **state)
{
	int here = open("/", O_PATH | O_CLOEXEC), proc = open("/proc", O_PATH | O_CLOEXEC);

	(void)state;
	assert_true(nsb_mount_id(here) != 0 && nsb_mount_id(proc) != 0);
	assert_true(nsb_mount_id(here) != nsb_mount_id(proc));
	close(proc);
	proc = open("/proc/self", O_PATH | O_CLOEXEC);
	assert_true(nsb_mount_id(proc) != nsb_mount_id(here));
	close(proc);
	close(here);
	assert_true(nsb_mount_id(-1) == 0);
}

/* Whatever a walk ends with, it leaves no descriptor behind. */
static void no_leaks(void **state)
{
	static const char *const paths[] = {
		"/etc/file",	      "/etc/none", "/etc/file/x", "/etc/self", "/home/alice/way",
		"/etc/dir/../none/x", "/",	   "/..",	  "x"
	};
	int probe, again;

	(void)state;
	make_link("etc/self", "self");
	make_link("home/alice/way", "/etc");
	probe = dup(root);
	close(probe);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		for (unsigned flags = 0; flags < 8; flags++) {
			char rest[PATH_MAX];
			int there = -1;
			int fd = nsb_path_open(root, paths[i], flags, &there, rest, NULL);

			nsb_close(fd);
			if (fd == -ENOENT)
				close(there);
			nsb_close(nsb_path_open(root, paths[i], flags, NULL, NULL, NULL));
			again = dup(root);
			close(again);
			assert_int_equal(again, probe);
		}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain),
		TEST(slash_at_the_end),
		TEST(malformed),
		TEST(good_links),
		TEST(dotdot),
		TEST(confinement),
		TEST(no_symlinks),
		TEST(strange_links),
		TEST(strange_root),
		TEST(other_root),
		TEST(trusted),
		TEST(trusted_root),
		TEST(chains),
		TEST(long_names),
		TEST(deep_tree),
		TEST(missing),
		TEST(missing_long_name),
		TEST(special_files),
		TEST(magic_links),
		TEST(swapped),
		TEST(no_leaks),
		cmocka_unit_test(stat_trusted),
		cmocka_unit_test(normalize),
		cmocka_unit_test(normalize_sizes),
		cmocka_unit_test(below),
		cmocka_unit_test(mount_ids),
	};

	if (geteuid() != 0) {
		fputs("needs root: makes files of several owners\n", stderr);
		return 77; /* automake: skipped */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
