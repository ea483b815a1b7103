/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory that keeps what is written to boxes (overlay = DIRECTORY): upper/ and work/ of an overlayfs, and a lock. */
#ifndef NSB_UPPER_H
#define NSB_UPPER_H

#include "helper/box.h"

/* Changes nothing: whether the directory, or a place for it, is there, belongs to root alone, lies on a file system that
 * overlayfs can write to, and is not taken by another box. 0 where the plan has none; else a sentence. */
int upper_check(nsb_box *box);

#endif
