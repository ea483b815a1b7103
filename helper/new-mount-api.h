/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mount system calls of Linux 5.2 to 5.12 by number: glibc 2.36 has wrappers, but its <sys/mount.h> and
 * <linux/mount.h> cannot be included together there, and musl 1.2 has neither. Sources: open_tree(2), move_mount(2),
 * fsopen(2), mount_setattr(2), openat2(2).
 */
#ifndef NSB_NEW_MOUNT_API_H
#define NSB_NEW_MOUNT_API_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef MOUNT_ATTR_RDONLY /* musl */
#include <linux/mount.h>
#endif

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static inline int sys_open_tree(int dirfd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

static inline int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return (int)syscall(SYS_move_mount, from_fd, from, to_fd, to, flags);
}

static inline int sys_fsopen(const char *type, unsigned flags)
{
	return (int)syscall(SYS_fsopen, type, flags);
}

static inline int sys_fsconfig(int fd, unsigned command, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, command, key, value, aux);
}

static inline int sys_fsmount(int fd, unsigned flags, unsigned attributes)
{
	return (int)syscall(SYS_fsmount, fd, flags, attributes);
}

static inline int sys_mount_setattr(int dirfd, const char *path, unsigned flags, struct mount_attr *attributes,
				    size_t size)
{
	return (int)syscall(SYS_mount_setattr, dirfd, path, flags, attributes, size);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

#endif
