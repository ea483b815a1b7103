/* SPDX-License-Identifier: BSD-3-Clause */
/* statx(2) by number: musl 1.2.3 knows nothing of it. */
#ifndef NSB_SYS_STATX_H
#define NSB_SYS_STATX_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef STATX_TYPE
#include <linux/stat.h>
#endif
#ifndef AT_STATX_DONT_SYNC
#define AT_STATX_DONT_SYNC 0x4000
#endif

static inline int sys_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	return (int)syscall(SYS_statx, dirfd, path, flags, mask, ret);
}

#endif
