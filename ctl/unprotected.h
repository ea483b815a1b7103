/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_UNPROTECTED_H
#define NSB_CTL_UNPROTECTED_H

#include <stdbool.h>

#include "ctl/finding.h"

typedef struct unprotected_row {
	const char *begins; /* the sentence */
	finding_severity severity;
	const char *remedy;
	bool elsewhere; /* another check of doctor tells it, with more of it */
} unprotected_row;

/* What to think of a sentence of nsb_plan.unprotected, and what an administrator can do about it: never NULL. */
const unprotected_row *unprotected_find(const char *sentence);

#endif
