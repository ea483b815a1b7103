/* SPDX-License-Identifier: BSD-3-Clause */
/* The key mask in a box that lives: a mount goes, in every mount namespace, when what it lies on is replaced or removed on the
 * host (rename(2)), so each has to be made again. */
#ifndef NSB_RENEW_MASKS_H
#define NSB_RENEW_MASKS_H

#include "helper/box.h"

/* Finds the masks in the text of the box's plan. 0, -ENOMEM. */
int renew_masks_find(const char *plan);

/* In the box's tree: masks again what is not masked any more. 0 or the first error, with a sentence. */
int renew_masks(nsb_box *box);

#endif
