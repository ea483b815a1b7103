/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_MOUNT_TYPES_H
#define NSB_MOUNT_TYPES_H

#include <stdbool.h>

/* Whether it is a file system through which the kernel or the host is seen or set. */
bool mount_type_is_kernel(const char *type);

/* Whether it is how an administrator hides a file: the null device mounted on it. `root`: what of the file system is mounted
 * (mountinfo). */
bool mount_hides(const char *type, const char *root);

/* "\040" and the like of mountinfo, in place. */
void mount_decode(char *text);

#endif
