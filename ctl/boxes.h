/* SPDX-License-Identifier: BSD-3-Clause */
/* The boxes of this host, as the registry and their control groups tell. Read-only. */
#ifndef NSB_CTL_BOXES_H
#define NSB_CTL_BOXES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/registry.h"

/* States that nobody writes down. */
#define STATE_CRASHED	"crashed"   /* nobody answers for the box: the next helper run cleans it */
#define STATE_FROZEN	"frozen"    /* ready, but nsboxctl freeze has stopped all its processes */
#define STATE_LINGERING "lingering" /* ready and shared; nobody is in it, and the next login of the user may join */

/* One entry of the registry, with who is in it. */
typedef struct box_item {
	nsb_entry entry;     /* `state` is one of those above where that is so */
	nsb_member *members; /* the logins whose application lives, oldest first */
	size_t n_members;
} box_item;

void box_item_done(box_item *item);

/* How somebody came in: texts of the item. */
typedef struct box_login {
	const char *service, *tty, *rhost;
} box_login;

/* The oldest login that is there, else the one that made the box: a shared box outlives that. */
box_login box_item_login(const box_item *item);

typedef struct boxes {
	box_item *items;
	size_t n;
	bool damaged; /* some entry could not be read, which was said on standard error */
} boxes;

/* Reads all of them, oldest first; none where nothing was ever boxed. `quiet`: what cannot be read is not told.
 * Negative errno with a sentence. The caller calls boxes_done(). */
int boxes_read(boxes *ret, bool quiet, nsb_error *error);
void boxes_done(boxes *list);

/* The one box whose id begins with the text. -ENOENT, -EINVAL (several) with a sentence. The caller calls
 * box_item_done(). */
int boxes_find(const char *text, box_item *ret, nsb_error *error);

#endif
