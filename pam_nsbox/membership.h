/* SPDX-License-Identifier: BSD-3-Clause */
/* For join.c alone: the descriptors of a membership, and who must not have them. */
#ifndef NSB_MODULE_MEMBERSHIP_H
#define NSB_MODULE_MEMBERSHIP_H

#include <stdbool.h>

#include "pam_nsbox/join.h"

/* One of this process that holds nothing yet; NULL without memory. join_forget() frees it. */
nsb_membership *membership_new(void);

/* Remembers what `fd` is, so that it is known again; errno of open(2) for a negative one. 0 or negative errno. */
int membership_hold(nsb_held *held, int fd);

/* Whether the descriptor still is what it was: applications close numbers that they do not know, and use them again. */
bool membership_holds(const nsb_held *held);

/* What a join failed for is not why, if whoever made the box takes it back meanwhile, and has closed the socket first: then the
 * words say so. Before LEAVE is said, to which the other side closes as well. */
void membership_see_end(int socket, nsb_error *error);

/* From now on children that are forked close the descriptors of all memberships that are enlisted: sshd's user child runs
 * on as the user, without exec. 0, -ENOMEM. Source: pthread_atfork(3). */
int membership_watch_forks(void);
void membership_enlist(nsb_membership *membership);

#endif
