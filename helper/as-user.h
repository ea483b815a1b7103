/* SPDX-License-Identifier: BSD-3-Clause */
/* What root may not do: file systems of the network (root_squash) and of users (FUSE) give root less than the user. */
#ifndef NSB_HELPER_AS_USER_H
#define NSB_HELPER_AS_USER_H

#include "helper/box.h"

/*
 * Runs `work` in a child that is the session's user with all ids and groups. It shares the mount namespace. `mounts`: what it
 * takes to mount is in force (capabilities_keep_mount); else the user's rights alone count. `work` returns a descriptor, or
 * a negative errno with a sentence in box->error; so does this function, and the caller closes.
 *
 * A child, not setfsuid(2): FUSE looks at the real and the saved id as well, and whoever mounts an overlay lends it these
 * ids for as long as it lives. The child cannot be traced by the user, for it may have more capabilities; that he can kill
 * it costs him his login. A file system that does not answer keeps the child, and both die when the helper's deadline ends
 * PID 1.
 */
int as_user_open(nsb_box *box, bool mounts, int (*work)(nsb_box *box, const void *data), const void *data);

#endif
