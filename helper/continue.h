/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_CONTINUE_H
#define NSB_HELPER_CONTINUE_H

#include "common/error.h"

/*
 * Goes on in a child that is made in the control group `group` (a directory of a version 2 tree, which the
 * child closes): exit(rest(argument)). This process ends when the child has become another program or has ended, so whoever waits for
 * its descriptors waits for the child's; a socket whose end is to be seen before is to be shut down, not closed. Comes back only with a negative errno and a sentence, when there is no child.
 *
 * The child is made like that of vfork(2), but with CLONE_INTO_CGROUP, which neither clone(2) nor vfork(2) can: it has
 * our memory, so nothing is copied, neither at once nor page by page later, when either writes. Descriptors are copied:
 * record locks are to be the child's own and to outlive us. Call it before any is held.
 * Source: clone3(2), vfork(2).
 */
int continue_in(int group, int (*rest)(void *argument), void *argument, nsb_error *error);

#endif
