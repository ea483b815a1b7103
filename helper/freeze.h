/* SPDX-License-Identifier: BSD-3-Clause */
/* Stopping all processes of a box, the application with them, and letting them go on. freezer.h says where. */
#ifndef NSB_HELPER_FREEZE_H
#define NSB_HELPER_FREEZE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/registry.h"

/* `nsbox-helper freeze ID` and `thaw ID`. Either may be said twice. What is wrong is said on standard error. Exit
 * status. */
int freeze_run(const char *id, bool freeze);

/* For whoever ends the box: lets its processes go on if they are frozen, and removes what freezing made. A frozen
 * process of version 1 does not even die of SIGKILL, and in both versions PID 1 cannot hear that it should end. Does
 * not wait. 0 also if the box was not frozen. */
int freeze_thaw(const nsb_entry *entry);

/* Removes groups in the freezer tree whose box has no entry any more: whoever froze it was killed at the moment when it
 * ended. Returns how many. */
size_t freeze_sweep(int boxes);

#endif
