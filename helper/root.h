/* SPDX-License-Identifier: BSD-3-Clause */
/* What root.c and overlay-host.c share: the place where the new root grows until the pivot. */
#ifndef NSB_HELPER_ROOT_H
#define NSB_HELPER_ROOT_H

#include <stdbool.h>

#include "helper/box.h"

/* What a mount's options may say, for mount(2). */
#define ROOT_OVERLAY_OPTIONS_MAX 4096

/* The place, or what was mounted on it last: a descriptor, which the caller closes. */
int root_open_staging(nsb_box *box);

/* Puts a detached mount there, upon what is there already; it stays the caller's. `name`: for the sentence. */
int root_stage(nsb_box *box, int mount, const char *name);

/* The mount that was staged last is the root from here on. */
int root_become(nsb_box *box, bool fresh_tmpfs);

/* An overlay asks nobody how the file systems of its parts are mounted: what one of them forbids, it forbids as well.
 * MS_* of mount(2). */
unsigned long root_forbidden_by(int fd);

#endif
