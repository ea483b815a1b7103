/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_CONTINUE_H
#define NSB_HELPER_CONTINUE_H

#include "common/error.h"

/*
 * Goes on in a child that is made in the control group `group` (a directory of a version 2 tree, which the child
 * closes): exit(rest(argument)). This process ends at once. Comes back only with a negative errno and a sentence, when
 * there is no child.
 *
 * The child has our memory, so nothing is copied, neither at once nor page by page later. As soon as we have ended, what
 * it takes is counted in its own group (mm->owner in the kernel). Descriptors are copied: record locks are to be its
 * own. Call it before any is held, and without other threads.
 * Source: clone3(2).
 */
int continue_in(int group, int (*rest)(void *argument), void *argument, nsb_error *error);

#endif
