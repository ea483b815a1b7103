/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_PAM_STACKS_H
#define NSB_CTL_PAM_STACKS_H

#include <stddef.h>

/* Looks at the stacks of /etc/pam.d that name pam_nsbox.so and prints to standard error what is wrong or risky in them,
 * one warning a line. The number of warnings. Source: pam.d(5). */
size_t pam_stacks_warn(void);

#endif
