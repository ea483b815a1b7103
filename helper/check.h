/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_CHECK_H
#define NSB_HELPER_CHECK_H

#include "helper/box.h"

/* Stage 5, the last without side effects: sources exist, owners are right, the kernel can. Fills box->tree,
 * init_program, monitor_program. -errno with a sentence that says how to mend it. */
int check_box(nsb_box *box);

/* The part that looks at the root tree alone; used by `nsboxctl check` as well. `shell` NULL: not looked at. */
int check_root(const nsb_plan *plan, const char *shell, nsb_error *error);

/* Called before lock_down: whether the kernel has the system calls that a box needs (each tried with arguments that
 * change nothing). */
int check_kernel(nsb_error *error);

#endif
