/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths are for people, descriptors are for the kernel: a path is walked once, component by component, and what was
 * found is used by its descriptor afterwards.
 */
#ifndef NSB_PATH_UTIL_H
#define NSB_PATH_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "common/error.h"

enum nsb_path_flags {
	NSB_PATH_NO_SYMLINKS = 1 << 0, /* every symbolic link is refused, not only untrusted ones */
	NSB_PATH_TRUSTED = 1 << 1,     /* each component must be one that only root can change, else -EPERM */
	NSB_PATH_DIRECTORY = 1 << 2,   /* the end must be a directory */
	NSB_PATH_END_LINK = 1 << 3,    /* a symbolic link at the end is opened itself, whoever owns it */
};

/*
 * Opens `path` (absolute) as O_PATH below the directory `root` (a chroot's view: "/" and ".." never leave it).
 * A symbolic link is followed only if root owns it and the directory it stands in can be changed by root alone; others
 * fail with -ELOOP. Magic links of /proc are never followed. Nothing is opened for reading, so FIFOs and devices do not
 * block or act.
 * Result: the descriptor (O_CLOEXEC); the caller closes. Errors: -ENOENT, -ENOTDIR, -ELOOP, -EPERM, with a sentence.
 * `ret_missing` (may be NULL): for -ENOENT the descriptor of the deepest directory that exists, and in `rest` (PATH_MAX
 * bytes, may be NULL with it) what is missing below it.
 * Source: openat(2), path_resolution(7).
 */
int nsb_path_open(int root, const char *path, unsigned flags, int *ret_missing, char *rest, nsb_error *error);

/* The same where `other` counts as root as well: the root of a user namespace, in a tree that shows it as the owner. */
int nsb_path_open_other(int root, uid_t other, const char *path, unsigned flags, int *ret_missing, char *rest,
			nsb_error *error);

/* Whether only root can change the object: owner 0 and not writable for group or others. Directories with the sticky
 * bit do not count as trusted. */
bool nsb_stat_trusted(const struct stat *st);

/* Writes the path without doubled slashes, "." and trailing slash to `buffer`; -EINVAL if relative or with "..",
 * -ENAMETOOLONG. */
int nsb_path_normalize(const char *path, char *buffer, size_t size);

/* Whether `path` is `top` or below it; both normalized. */
bool nsb_path_below(const char *path, const char *top);

/* The path that an open file has now, to `path` (PATH_MAX bytes, "" after an error): where links have led. By /proc/self/fd,
 * proc_pid_fd(5). 0 or negative errno. */
int nsb_path_of(int fd, char *path);

/* The unique id of the mount that an open file is on (statx(2) STATX_MNT_ID), 0 if the kernel does not say. */
unsigned long long nsb_mount_id(int fd);

#endif
