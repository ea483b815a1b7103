/* SPDX-License-Identifier: BSD-3-Clause */
/* User namespaces, by descriptor; nothing of it knows of boxes. Sources: user_namespaces(7), mount_setattr(2). */
#ifndef NSB_USERNS_MAKE_H
#define NSB_USERNS_MAKE_H

#include <stdint.h>

#include "common/error.h"

#define USERNS_OWNED	   3
#define USERNS_OWNED_NETWORK 2 /* its index */

/* The types that a box's user namespace may own: UTS, IPC, network. */
typedef struct userns_owned_kind {
	uint64_t flag; /* CLONE_NEW* */
	const char *proc;
} userns_owned_kind;
extern const userns_owned_kind userns_owned[USERNS_OWNED];

typedef struct userns_wish {
	const char *uids, *gids; /* the maps, as nsb_idmap_text() writes them */
	uint64_t owned;		 /* CLONE_NEW* of userns_owned */
	int *ret_user, *ret_owned;
} userns_wish;

/* Makes it, with its maps read back. *ret_user, and in ret_owned those that are wanted, are descriptors then, the caller's;
 * after an error too, where they are not -1 any more. -errno with a sentence. */
int userns_new(const userns_wish *wish, nsb_error *error);

/* Whether the map that a file of /proc shows is this text; the kernel writes the same numbers with other blanks. -EPERM with
 * a sentence. */
int userns_prove_map(const char *path, const char *wanted, nsb_error *error);

/* Makes a detached mount show the owners on disk by the maps of the namespace `user`. `recursive`: AT_RECURSIVE or 0. -EINVAL:
 * its file system cannot be mapped. */
int userns_map_mount(int mount, int user, unsigned recursive);

#endif
