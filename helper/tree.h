/* SPDX-License-Identifier: BSD-3-Clause */
/* The trees that a root is made of, before there is a box: for checks. */
#ifndef NSB_TREE_H
#define NSB_TREE_H

#include "common/plan.h"

/*
 * Opens what the box's root will show, as far as it is there: the host's "/" (also for a curated root, whose parts come
 * from it), the directory, the image (mounted detached, helper/image.h), or the layers upon each other (without what an
 * overlay may have kept). Each path must be one that only root can change.
 * `*ret_image`: whether it is an image. The caller closes. -EOPNOTSUPP without a sentence: this kernel cannot stack that many layers without a mount
 * namespace; the builder can. Others with one.
 */
int tree_open(const nsb_plan *plan, bool *ret_image, nsb_error *error);

/* Opens one layer: a directory that only root can change, below `host`. */
int tree_open_layer(int host, const char *path, nsb_error *error);

#endif
