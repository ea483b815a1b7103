/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/path-util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/sys-statx.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#define LINKS_MAX 40 /* as the kernel's MAXSYMLINKS, path_resolution(7) */

typedef struct walk {
	int root;
	int at;		     /* the directory reached; owned unless it is `root` */
	bool trusted;	     /* only root can change what stands in `at` */
	char done[PATH_MAX]; /* canonical path of `at`, "" for the root */
	char todo[PATH_MAX]; /* what remains, without leading slash */
	unsigned links;
	unsigned flags;
	uid_t other; /* who counts as root as well; 0: nobody */
} walk;

bool nsb_stat_trusted(const struct stat *st)
{
	/* the group's bit also where the group is root's: with an ACL it is the mask of what other users may (acl(5))
	 */
	return st->st_uid == 0 && (S_ISLNK(st->st_mode) || (st->st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

/* Who is root in a user namespace is somebody else to us. */
static bool is_trusted(const walk *w, struct stat st)
{
	if (st.st_uid == w->other)
		st.st_uid = 0;
	return nsb_stat_trusted(&st);
}

static void walk_close(walk *w)
{
	if (w->at != w->root)
		nsb_close(w->at);
}

static int walk_restart(walk *w)
{
	struct stat st;

	walk_close(w);
	w->at = w->root;
	w->done[0] = '\0';
	if (fstat(w->root, &st) < 0)
		return -errno;
	w->trusted = is_trusted(w, st);
	return 0;
}

/* Takes the next component off `todo`. 1, 0 when nothing is left, -ENAMETOOLONG. */
static int walk_next(walk *w, char name[NAME_MAX + 1])
{
	char *at = w->todo + strspn(w->todo, "/");
	size_t length = strcspn(at, "/");

	if (length == 0)
		return 0;
	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, at, length);
	name[length] = '\0';
	at += length;
	memmove(w->todo, at, strlen(at) + 1);
	return 1;
}

/* Puts the text of a link before what remains and begins again at the top: what is done holds no links, so ".." in it
 * can be taken away by text. */
static int walk_splice(walk *w, int link, const char *name, nsb_error *error)
{
	char target[PATH_MAX], rest[2 * PATH_MAX + 2];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
	int written;

	if (n < 0)
		return nsb_error_set(error, errno, "cannot read the symbolic link %s/%s", w->done, name);
	if (n == 0 || ++w->links > LINKS_MAX)
		return nsb_error_set(error, ELOOP, "%s/%s: too many symbolic links", w->done, name);
	target[n] = '\0';
	written = snprintf(rest, sizeof(rest), "%s%s/%s%s", target[0] == '/' ? "" : w->done,
			   target[0] == '/' ? "" : "/", target, w->todo);
	if (written < 0 || (size_t)written >= sizeof(w->todo))
		return nsb_error_set(error, ENAMETOOLONG, "%s/%s: the path behind this symbolic link is too long",
				     w->done, name);
	/* w->done is rebuilt by walking again */
	memcpy(w->todo, rest, (size_t)written + 1);
	return walk_restart(w);
}

/* ".." in what came out of a link: one component up, by text. */
static int walk_up(walk *w)
{
	char path[2 * PATH_MAX];
	char *slash = strrchr(w->done, '/');
	int written;

	if (slash != NULL)
		*slash = '\0';
	written = snprintf(path, sizeof(path), "%s/%s", w->done, w->todo);
	if (written < 0 || (size_t)written >= sizeof(w->todo))
		return -ENAMETOOLONG;
	memcpy(w->todo, path, (size_t)written + 1);
	return walk_restart(w);
}

static int walk_link(walk *w, int link, const struct stat *st, const char *name, nsb_error *error)
{
	struct statfs fs;

	if (w->flags & NSB_PATH_NO_SYMLINKS)
		return nsb_error_set(error, ELOOP, "%s/%s is a symbolic link where none may be", w->done, name);
	if (fstatfs(link, &fs) < 0)
		return nsb_error_set(error, errno, "cannot look at the symbolic link %s/%s", w->done, name);
	if (fs.f_type == PROC_SUPER_MAGIC)
		return nsb_error_set(error, ELOOP, "%s/%s is a link of /proc, which is not followed", w->done, name);
	/* on FUSE every owner is what the user who mounted it says */
	if (!w->trusted || (st->st_uid != 0 && st->st_uid != w->other) || fs.f_type == FUSE_SUPER_MAGIC)
		return nsb_error_set(error, ELOOP,
				     "%s/%s is a symbolic link that somebody other than root could have made", w->done,
				     name);
	return walk_splice(w, link, name, error);
}

/* One step down. `last`: nothing remains behind it. */
static int walk_down(walk *w, const char *name, nsb_error *error)
{
	NSB_CLOSE int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	size_t used = strlen(w->done);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && !(w->todo[0] == '\0' && (w->flags & NSB_PATH_END_LINK)))
		return walk_link(w, fd, &st, name, error);
	if ((w->flags & NSB_PATH_TRUSTED) && !is_trusted(w, st))
		return nsb_error_set(error, EPERM,
				     "%s/%s can be changed by others than root (owner %u, mode %04o): chown root and "
				     "chmod go-w",
				     w->done, name, st.st_uid, st.st_mode & 07777);
	if (w->todo[0] != '\0' && !S_ISDIR(st.st_mode))
		return nsb_error_set(error, ENOTDIR, "%s/%s is not a directory", w->done, name);
	if (used + 1 + strlen(name) >= sizeof(w->done))
		return -ENAMETOOLONG;
	w->done[used] = '/';
	strcpy(w->done + used + 1, name); /* NOLINT: the room was checked one line above */
	walk_close(w);
	w->at = nsb_steal_fd(&fd);
	w->trusted = is_trusted(w, st);
	return 0;
}

static int walk_all(walk *w, char *missing_name, nsb_error *error)
{
	char name[NAME_MAX + 1];
	int r;

	while ((r = walk_next(w, name)) > 0) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0)
			r = walk_up(w);
		else
			r = walk_down(w, name, error);
		if (r == -ENOENT)
			strcpy(missing_name, name); /* NOLINT: both are NAME_MAX + 1 */
		if (r < 0)
			break;
	}
	return r;
}

/* One system call for a path without symbolic links, which most are. Whatever it does not find is walked for, which knows
 * links, and says what is wrong. */
static int open_without_links(int root, const char *path, unsigned flags)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | (flags & NSB_PATH_END_LINK ? O_NOFOLLOW : 0),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	NSB_CLOSE int fd = -1;
	struct stat st;

	path += strspn(path, "/");
	fd = (int)syscall(SYS_openat2, root, path[0] == '\0' ? "." : path, &how, sizeof(how));
	if (fd < 0)
		return -errno;
	/* asked afterwards: O_DIRECTORY would make an automounter mount */
	if ((flags & NSB_PATH_DIRECTORY) && (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode)))
		return -ENOTDIR;
	return nsb_steal_fd(&fd);
}

/* What is missing is the last component, most often: 0 with what nsb_path_open() says then. */
static int open_above_missing(int root, const char *path, int *ret_missing, char *rest)
{
	const char *name = strrchr(path, '/') + 1;
	char above[PATH_MAX];

	if (name[0] == '\0')
		return -EINVAL;
	snprintf(above, sizeof(above), "%.*s", (int)(name - path), path);
	*ret_missing = open_without_links(root, above, 0);
	if (*ret_missing < 0)
		return -EINVAL;
	snprintf(rest, PATH_MAX, "%s", name);
	return 0;
}

/* Component by component: what knows links, owners, and words for what is wrong. */
static int open_by_walking(int root, uid_t other, const char *path, unsigned flags, int *ret_missing, char *rest,
			   nsb_error *error)
{
	char missing[NAME_MAX + 1] = "";
	walk w = { .root = root, .at = root, .flags = flags, .other = other };
	struct stat st;
	int r;

	strcpy(w.todo, path + 1); /* NOLINT: measured by the caller */
	r = walk_restart(&w);
	if (r == 0 && (flags & NSB_PATH_TRUSTED) && !w.trusted)
		r = nsb_error_set(error, EPERM, "the root of %s can be changed by others than root", path);
	if (r == 0)
		r = walk_all(&w, missing, error);
	if (r == -ENOENT && ret_missing != NULL) {
		snprintf(rest, PATH_MAX, "%s%s", missing, w.todo);
		*ret_missing = w.at != root ? w.at : fcntl(root, F_DUPFD_CLOEXEC, 0);
		return *ret_missing < 0 ? -errno : -ENOENT;
	}
	if (r == 0 && (flags & NSB_PATH_DIRECTORY) && (fstat(w.at, &st) < 0 || !S_ISDIR(st.st_mode)))
		r = nsb_error_set(error, ENOTDIR, "%s is not a directory", path);
	if (r < 0) {
		walk_close(&w);
		return nsb_error_set(error, r, "cannot open %s", path);
	}
	if (w.at == root)
		w.at = fcntl(root, F_DUPFD_CLOEXEC, 0);
	return w.at < 0 ? -errno : w.at;
}

int nsb_path_open(int root, const char *path, unsigned flags, int *ret_missing, char *rest, nsb_error *error)
{
	return nsb_path_open_other(root, 0, path, flags, ret_missing, rest, error);
}

int nsb_path_open_other(int root, uid_t other, const char *path, unsigned flags, int *ret_missing, char *rest,
			nsb_error *error)
{
	int r;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return nsb_error_set(error, EINVAL, "%s is not an absolute path of a sane length", path);
	/* the owner of each component is seen by walking only */
	r = flags & NSB_PATH_TRUSTED ? -EPERM : open_without_links(root, path, flags);
	if (r >= 0)
		return r;
	if (r == -ENOENT && ret_missing == NULL)
		return nsb_error_set(error, r, "cannot open %s", path);
	if (r == -ENOENT && open_above_missing(root, path, ret_missing, rest) == 0)
		return -ENOENT;
	return open_by_walking(root, other, path, flags, ret_missing, rest, error);
}

int nsb_path_normalize(const char *path, char *buffer, size_t size)
{
	size_t used = 0;

	if (path[0] != '/')
		return -EINVAL;
	while (*path != '\0') {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			break;
		if (length == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (!(length == 1 && path[0] == '.')) {
			if (used + 1 + length >= size)
				return -ENAMETOOLONG;
			buffer[used++] = '/';
			memcpy(buffer + used, path, length);
			used += length;
		}
		path += length;
	}
	if (used == 0)
		buffer[used++] = '/';
	buffer[used] = '\0';
	return 0;
}

bool nsb_path_below(const char *path, const char *top)
{
	size_t length = strlen(top);

	if (strcmp(top, "/") == 0)
		return path[0] == '/';
	return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

int nsb_path_of(int fd, char *path)
{
	char proc[64];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = '\0';
	return n < 0 ? -errno : 0;
}

unsigned long long nsb_mount_id(int fd)
{
	struct statx sx;

	/* Nothing is asked for: the id comes all the same, and FUSE says EACCES to whoever it does not know and who asks for
	 * anything. */
	if (sys_statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0, &sx) < 0 ||
	    !(sx.stx_mask & STATX_MNT_ID))
		return 0;
	return sx.stx_mnt_id;
}
