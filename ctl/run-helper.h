/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_RUN_HELPER_H
#define NSB_CTL_RUN_HELPER_H

#include <stddef.h>

#include "common/error.h"

/* Runs nsbox-helper with `arguments` (ended by NULL, the program's name first), waits for it, and puts what it prints,
 * without the newline, into `output`. What it has to complain of goes to standard error. Returns its wait status
 * (wait(2)), or negative errno with a sentence if it could not be run. */
int run_helper(char *const arguments[], char *output, size_t size, nsb_error *error);

#endif
