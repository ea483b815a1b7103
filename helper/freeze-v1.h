/* SPDX-License-Identifier: BSD-3-Clause */
/* Freezing with control groups version 1. Source: cgroup-v1/freezer-subsystem.rst. */
#ifndef NSB_HELPER_FREEZE_V1_H
#define NSB_HELPER_FREEZE_V1_H

#include <stdint.h>

#include "common/error.h"
#include "common/registry.h"

#define FREEZE_PATIENCE 2000 /* ms until all have stopped, once they are told; in both versions */

/* Between two looks. */
void freeze_pause(void);

/* Makes the box's group in the freezer tree and moves every process of `home`, the box's own group, there. -ENOTSUP
 * with a sentence where there is no such tree; -ETIMEDOUT without one if not all stopped, which is the caller's to
 * undo. */
int freeze_v1(const nsb_entry *entry, int home, nsb_error *error);

/* Lets them go on, moves them back and removes that group. 0 also if there is none. */
int freeze_v1_thaw(const nsb_entry *entry, nsb_error *error);

/* Waits until freezer.state of a group says FROZEN. -ETIMEDOUT. */
int freeze_v1_wait(int group, int64_t deadline);

#endif
