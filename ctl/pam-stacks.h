/* SPDX-License-Identifier: BSD-3-Clause */
/* What is wrong or risky in a stack, as far as its own lines tell: for check, and with more of it for doctor. */
#ifndef NSB_CTL_PAM_STACKS_H
#define NSB_CTL_PAM_STACKS_H

#include <stddef.h>

#include "ctl/finding.h"
#include "ctl/pam-reader.h"

#define PAM_NSBOX "pam_nsbox.so"

/* Takes one finding about the service; `at` is the line that it is about, NULL: the stack as a whole. */
typedef void pam_tell(void *argument, const char *service, const pam_line *at, finding_severity severity,
		      const char *sentence, const char *remedy);

/* Which lines of ours there are, and whether they are complete. The number of findings. */
size_t pam_stacks_judge(const char *service, const pam_stack *stack, pam_tell *tell, void *argument);

/* More about where they stand among the others and what their controls mean, one row each, the above among them. In
 * pam-order.c. */
typedef struct pam_rule {
	const char *name; /* stable: it is in the JSON of doctor */
	size_t (*judge)(const char *service, const pam_stack *stack, pam_tell *tell, void *argument);
} pam_rule;

extern const pam_rule pam_rules[];
extern const size_t pam_n_rules;

/* The first line that opens a box, or NULL. */
const pam_line *pam_stacks_opener(const pam_stack *stack);

/* Looks at the stacks of this host and prints to standard error what pam_stacks_judge() finds, one warning a line. The
 * number of warnings. Source: pam.d(5). */
size_t pam_stacks_warn(void);

#endif
