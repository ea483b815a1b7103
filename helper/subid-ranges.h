/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user may have of ids by /etc/subuid and /etc/subgid: asked of nsbox-subid. */
#ifndef NSB_HELPER_SUBID_RANGES_H
#define NSB_HELPER_SUBID_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define NSB_SUBID_RANGES_MAX 32

typedef struct nsb_subid_range {
	uint32_t first, last;
} nsb_subid_range;

/* The parts of the two files that have the same numbers and room for a box, in `ret`. How many; 0 where there is none;
 * -errno with a sentence. `deadline`: CLOCK_MONOTONIC ms. */
int subid_ranges(const char *user, int64_t deadline, nsb_subid_range ret[NSB_SUBID_RANGES_MAX], nsb_error *error);

/* The same from what nsbox-subid prints. -EPROTO for anything else. */
int subid_ranges_parse(const char *text, nsb_subid_range ret[NSB_SUBID_RANGES_MAX]);

#endif
