/* SPDX-License-Identifier: BSD-3-Clause */
/* The executor: runs the plan, step by step, and takes back what it did. */
#ifndef NSB_HELPER_BUILD_H
#define NSB_HELPER_BUILD_H

#include "helper/box.h"

/* Runs all steps of the plan from box->done on whose stage is `stage`; box->done moves on. On the first failure returns
 * its errno, with box->error filled: stage, words. Nothing is taken back yet. */
int build_stage(nsb_box *box, nsb_stage stage);

/* The same without a step: names the stage for what follows and gives faults their chance. */
void build_enter(nsb_box *box, nsb_stage stage);

/* Undoes the steps that ran (and the one that failed), last one first. */
void build_undo(nsb_box *box);

/* Number of the first step of a stage; n_steps if it has none. */
size_t build_first(const nsb_plan *plan, nsb_stage stage);

#endif
