/* SPDX-License-Identifier: BSD-3-Clause */
/* Work in the tree of a box that lives already. */
#ifndef NSB_HELPER_INSIDE_H
#define NSB_HELPER_INSIDE_H

#include "helper/box.h"

/*
 * Runs `work` in a child that has joined the mount namespace of the box (box->init), and nothing else of it: nobody in the
 * box sees the process. There box->host_root and box->root are the two trees, and the file systems that the plan has
 * mounted count as the box's own. The child is killed after `patience` ms. What `work` returns, with its sentence in
 * box->error; -ETIMEDOUT. Source: setns(2).
 */
int inside_run(nsb_box *box, int (*work)(nsb_box *box), int patience);

#endif
