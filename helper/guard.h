/* SPDX-License-Identifier: BSD-3-Clause */
/* Who cleans whatever happens to helper and monitor: nsbox-monitor guard, see helper/nsbox-monitor.c. */
#ifndef NSB_HELPER_GUARD_H
#define NSB_HELPER_GUARD_H

#include "helper/box.h"

/* Makes the life pipe and starts the guard at its read end; it runs when this returns. 0, or negative errno with a sentence in
 * box->error. Source: clone(2), CLONE_PARENT. */
int guard_start(nsb_box *box);

#endif
