/* SPDX-License-Identifier: BSD-3-Clause */
/* THE table of what root = curated shows of the host: programs, what they need of /etc, and nothing else. */
#ifndef NSB_CURATED_VIEW_H
#define NSB_CURATED_VIEW_H

#include "common/default-view.h"

/* Comes before the default view, on an empty tree. */
extern const nsb_view_row nsb_curated_view[];
extern const size_t nsb_n_curated_view;

/* Comes after it: what needs the box's /run. */
extern const nsb_view_row nsb_curated_view_late[];
extern const size_t nsb_n_curated_view_late;

#endif
