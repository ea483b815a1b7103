/* SPDX-License-Identifier: BSD-3-Clause */
/* File system images as roots: squashfs and erofs, always read-only. */
#ifndef NSB_IMAGE_H
#define NSB_IMAGE_H

#include "common/error.h"

/*
 * Mounts the image that `file` (O_PATH, a regular file) is open on, detached: nobody sees it but by the descriptor that
 * is returned (the caller closes; a builder may move it into its own mount namespace). nodev.
 *
 * All boxes of an image share one loop device, which the kernel frees with the last of them (LO_FLAGS_AUTOCLEAR), however
 * that one ends. The image is known by device and inode: one that replaces it under its name gets a device of its own,
 * and boxes that use the old one do not notice.
 *
 * -EINVAL for a file that is no such image or is shorter than it says; -ENODEV without the kernel's support; others of
 * the loop device or the mount, each with a sentence that begins with `name`. Source: loop(4), fsopen(2).
 */
int image_mount(int file, const char *name, nsb_error *error);

/* Whether the file begins as an image does and is not cut off. Needs no privilege: for nsboxctl check. 0, -EINVAL. */
int image_check(int file, const char *name, nsb_error *error);

#endif
