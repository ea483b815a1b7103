/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the name service who a user is. Not in the library: nsbox-helper, which may be linked statically, cannot load the modules
 * of name services and must not try. */
#ifndef NSB_ACCOUNT_LOOK_UP_H
#define NSB_ACCOUNT_LOOK_UP_H

#include "common/error.h"
#include "common/session.h"

/* Asks the name service (getpwnam_r(3), getgrouplist(3), getgrgid_r(3)) for session->user, and fills in uid, gid,
 * gecos, home, shell and groups. 0 or negative errno; -ENOENT: no such user. */
int account_look_up(nsb_session *session, nsb_error *error);

#endif
