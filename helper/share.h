/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * share = user: the box that a user's sessions under one profile have in common.
 *
 * A box may be joined if it is the user's, by the same profile, with the same kind of terminals, and was made by the very
 * plan that this login would make it by (nsb_plan_text). All of that is read from the registry, nothing from the box.
 * Whether it is still there in a moment only its monitor can promise: it keeps the box for us from its READY until the
 * connection ends, and takes the application over from us (common/protocol.h).
 */
#ifndef NSB_HELPER_SHARE_H
#define NSB_HELPER_SHARE_H

#include <sys/un.h>
#include <time.h>

#include "helper/box.h"

/* The control socket of a box. -ENAMETOOLONG. */
int share_address(const char *id, struct sockaddr_un *ret);

/* For the account hook: -EEXIST with a sentence if the login would be refused because the configuration has changed
 * (on_change = refuse). Without locks; nothing is asked of a monitor. */
int share_check(nsb_box *box);

/* Whether there is a box that this login would join, as far as the registry tells. */
bool share_joinable(nsb_box *box);

/* When an entry was made: its lock file is never written. All zero if it is gone. */
struct timespec share_made_at(int boxes, const char *id);

/* With the user's lock held: looks for a box to join. If there is one: box->joining, and entry, plan, monitor, init and
 * the files of its control groups are that box's. 0 also if there is none; errors as above. */
int share_find(nsb_box *box);

/* Gives the application to the monitor, which says COMMITTED to it. */
int share_hand_over(nsb_box *box);

#endif
