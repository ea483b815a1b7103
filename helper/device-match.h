/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices of this host that a word of the key dev means. Read-only; also for nsboxctl. */
#ifndef NSB_HELPER_DEVICE_MATCH_H
#define NSB_HELPER_DEVICE_MATCH_H

#include <sys/stat.h>

#include "common/error.h"

/* Called with the path below /dev by which the device is asked for, and an O_PATH descriptor of it, which stays the
 * caller's. Negative: the search ends with it. */
typedef int (*device_found)(void *data, const char *path, int fd, const struct stat *st);

/*
 * Looks through the /dev below the directory `root`. A plain path must be a character or block device (a symbolic link to
 * one is followed if only root could have made it): -ENOENT, -ENODEV and the errors of nsb_path_open() with a sentence. A
 * glob takes the devices that match, which may be none; no links, no hidden names, nothing that the box has by itself. No
 * path is looked up twice: directories are held open and listed.
 */
int device_match(int root, const char *pattern, device_found found, void *data, nsb_error *error);

#endif
