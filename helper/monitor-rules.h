/* SPDX-License-Identifier: BSD-3-Clause */
/* The one question that the monitor has about rules. No stdio, no malloc, as nsbox-monitor.c. */
#ifndef NSB_HELPER_MONITOR_RULES_H
#define NSB_HELPER_MONITOR_RULES_H

#include <stdint.h>

/* A number that tells the table "inet nsbox" of this network namespace from all others; 0: there is none, or the kernel does
 * not say. */
uint64_t rules_table(void);

#endif
