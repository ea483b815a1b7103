/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_CHECK_H
#define NSB_HELPER_CHECK_H

#include "helper/box.h"

/* Stage 5, the last without side effects: sources exist, owners are right, the kernel can. Fills box->tree,
 * init_program, monitor_program. -errno with a sentence that says how to mend it. */
int check_box(nsb_box *box);

/* The part that looks at the root tree alone; used by `nsboxctl check` as well. `shell` NULL: not looked at. */
int check_root(const nsb_plan *plan, const char *shell, nsb_error *error);

/* The same with the tree open already (tree.h), which it is to be for more checks. */
int check_tree(const nsb_plan *plan, int tree, const char *shell, nsb_error *error);

/* Whether the places from which the application, as root, loads code and settings can be changed by root alone. `name`:
 * what the tree is called. `other` counts as root as well: root of the box, where owners are shown so; 0: nobody. */
int check_trusted(int tree, uid_t other, const char *name, nsb_error *error);

/* Whether an earlier step of the plan mounts something above the place of step `i`: what is there is seen only when that is
 * done. */
bool check_covered_before(const nsb_plan *plan, size_t i);

/* Called before lock_down: whether the kernel has the system calls that a box needs (each tried with arguments that
 * change nothing). */
int check_kernel(nsb_error *error);

#endif
