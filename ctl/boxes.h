/* SPDX-License-Identifier: BSD-3-Clause */
/* The boxes of this host, as the registry and their control groups tell. Read-only. */
#ifndef NSB_CTL_BOXES_H
#define NSB_CTL_BOXES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/registry.h"

/* States that nobody writes down. */
#define STATE_CRASHED "crashed" /* nobody answers for the box: the next helper run cleans it */
#define STATE_FROZEN  "frozen"	/* ready, but nsboxctl freeze has stopped all its processes */

typedef struct boxes {
	nsb_entry *entries; /* `state` is one of the two above where that is so */
	size_t n;
	bool damaged; /* some entry could not be read, which was said on standard error */
} boxes;

/* Reads all of them, oldest first; none where nothing was ever boxed. `quiet`: what cannot be read is not told.
 * Negative errno with a sentence. The caller calls boxes_done(). */
int boxes_read(boxes *ret, bool quiet, nsb_error *error);
void boxes_done(boxes *list);

/* The one box whose id begins with the text. -ENOENT, -EINVAL (several) with a sentence. */
int boxes_find(const char *text, nsb_entry *ret, nsb_error *error);

#endif
