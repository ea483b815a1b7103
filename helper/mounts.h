/* SPDX-License-Identifier: BSD-3-Clause */
/* What mounts.c and files.c share: places below the new root. */
#ifndef NSB_HELPER_MOUNTS_H
#define NSB_HELPER_MOUNTS_H

#include "helper/box.h"

/*
 * Opens the step's dst below the new root as O_PATH. Where it is missing and lies on a file system that this box
 * mounted itself, it is made: a directory, or an empty file where `as_file`. Elsewhere a missing mount point is -ENOENT
 * with a sentence that says how to make it: nothing is ever made in an administrator's tree.
 */
int mounts_open_target(nsb_box *box, const nsb_step *step, bool as_file);

/* Opens the directory that dst's last component goes into, for files.c; the name is stored in *ret_name (inside dst).
 * The directory must be on a file system that this box mounted itself. */
int mounts_open_parent(nsb_box *box, const nsb_step *step, const char **ret_name);

/* A detached clone of what `source` is open on, in this mount namespace, with the step's flags; the caller closes. */
int mounts_clone(nsb_box *box, const nsb_step *step, int source);

/* Where the step's source is a symbolic link that leads below its dst (NSB_OP_BIND_LINK_TARGET): an open descriptor of
 * what it leads to, and its path in `path` (PATH_MAX bytes). -ENOENT if there is none or it leads elsewhere. */
int mounts_open_link_target(nsb_box *box, const nsb_step *step, char *path);

/* A detached mount of a new file system with the flags of a step (NSB_STEP_*), `options` as "key=value,flag"; the caller
 * closes. */
int mounts_make(nsb_box *box, const char *type, const char *options, unsigned flags);

/* Puts a detached mount on an open target and remembers it for the proof. `fresh_tmpfs`: mount points that are missing may
 * be made on it. */
int mounts_attach(nsb_box *box, const char *dst, int mount, int target, bool fresh_tmpfs);

/* The second half of that alone. */
int mounts_record(nsb_box *box, const char *dst, int mount, bool fresh_tmpfs);

/* The MOUNT_ATTR_* of a step's flags, mount_setattr(2). */
uint64_t mounts_attributes(unsigned flags);

/* Whether the file is on a tmpfs that this box mounted itself. */
bool mounts_is_ours(const nsb_box *box, int fd);

#endif
