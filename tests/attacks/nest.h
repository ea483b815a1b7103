/* SPDX-License-Identifier: BSD-3-Clause */
/* The own user namespace of an attack. */
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int nest_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;

	if (fd >= 0)
		close(fd);
	return r;
}

/* A user and mount namespace, and those of `more`, in which the caller is root: without a mapping no file can be made
 * in its mounts. 0, or -1 with errno. */
static int nest(int more)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1", getuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | more) < 0 || nest_write("/proc/self/uid_map", uids) < 0 ||
	    nest_write("/proc/self/setgroups", "deny") < 0 || nest_write("/proc/self/gid_map", gids) < 0)
		return -1;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}
