/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user_namespace = keep-id: the box's user namespace, who owns what is made for the box, and mounts that show the ids of
 * the disk as those of the box.
 *
 * Two user namespaces serve as maps of mounts. The box's own: what root owns on disk, root of the box owns in there. And
 * one with a hole, in which all ids stay but those of subid_pool: what shows a part of the host that can be written (homes,
 * binds) is mapped by it where its file system can, so that no file is left on disk that belongs to ids of a box, and with
 * a set-user-ID bit would hand them to whoever runs it outside.
 */
#ifndef NSB_HELPER_IDMAP_H
#define NSB_HELPER_IDMAP_H

#include "helper/box.h"

/* Whether the box has a user namespace of its own, by the plan. */
bool idmap_wanted(const nsb_box *box);

/* What an id that the plan, or the host, names for the inside is on the host; the same where the box has no ids of its own. */
uid_t idmap_uid(const nsb_box *box, uid_t uid);
gid_t idmap_gid(const nsb_box *box, gid_t gid);

/* nsb_path_open() below the root of the box: what root of the box owns counts as root's, as long as nobody has been in the
 * box. */
int idmap_path(const nsb_box *box, const char *path, unsigned flags, int *ret_missing, char *rest, nsb_error *error);

/* The options of a new file system of that type with its owner: "uid=" and "gid=" as above, and root of the box where the
 * type takes an owner and none is named. The caller frees; NULL without memory. */
char *idmap_options(const nsb_box *box, const char *type, const char *options);

/* Makes a detached mount one that shows the box's ids. -EINVAL: its file system cannot be mapped. */
int idmap_mount(const nsb_box *box, int mount);

/* The same with the hole; left as it is where that cannot be. `recursive`: AT_RECURSIVE or 0. */
void idmap_mount_hole(const nsb_box *box, int mount, unsigned recursive);

/* The sentence for a file system that cannot be mapped: what `fd` is on. -EOPNOTSUPP. */
int idmap_cannot(int fd, const char *name, nsb_error *error);

/* What is mounted below `source` (a path of the host), each mount by itself, below `dst` in the box. File systems of the
 * kernel, and those that cannot be mapped, are left out. `attributes`: MOUNT_ATTR_* for each. */
int idmap_mounts_below(nsb_box *box, const char *source, const char *dst, uint64_t attributes);

/* Stage check: ids, pool, kernel, file systems, and who could reach what root of the box writes. 0 where the box has no ids
 * of its own; else a sentence. */
int idmap_check(nsb_box *box);

/* helper/subids.c: chooses a range that no box has, into box->entry.subids. *ret_lock: until it is closed nobody else
 * chooses, so it is to be closed when the entry is in the registry. -EUSERS with a sentence: all are taken. */
int subids_choose(nsb_box *box, int *ret_lock);
/* The same without the lock, for the account hook. */
int subids_check(nsb_box *box);

/* helper/userns.c: the namespaces of box->subid_base, and the maps of mounts. `owned`: CLONE_NEW* that the box's user
 * namespace is to own. box->userns, box->hole and box->owned are descriptors then, the caller's. */
int userns_make(nsb_box *box, uint64_t owned);
void userns_close(nsb_box *box);

#endif
