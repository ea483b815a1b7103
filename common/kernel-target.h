/* SPDX-License-Identifier: BSD-3-Clause */
/* What the profile may put over a file of /proc, and which names of /dev it may ask for. */
#ifndef NSB_KERNEL_TARGET_H
#define NSB_KERNEL_TARGET_H

#include <stdbool.h>

#include "common/error.h"

typedef enum nsb_cover { NSB_COVER_BIND, NSB_COVER_TMPFS, NSB_COVER_MASK } nsb_cover;

/* Whether something may be mounted on `path` (normalized): 0 for what is not below /proc, and for files of it that speak
 * of the machine (LXCFS replaces them); -EINVAL with a sentence for a process, its links, what the box closes (but a mask may
 * close it again), and for every tmpfs. proc(5). */
int nsb_check_proc_target(const char *path, nsb_cover with, nsb_error *error);

/* Whether a word of the key dev is a device, or a glob of devices, that a box may have: -EINVAL with a sentence. */
int nsb_check_dev(const char *word, nsb_error *error);

/* Whether the device's path has a glob in it: *, ?, [. */
bool nsb_dev_is_glob(const char *path);

/* Whether the box has this path below /dev (normalized) by itself, or a directory of its own above it. */
bool nsb_dev_is_own(const char *path);

#endif
