/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings of the kernel that matter to boxes: one row each. Source: the kernel's admin-guide/sysctl, sysctl.d(5). */
#ifndef NSB_CTL_SYSCTL_TABLE_H
#define NSB_CTL_SYSCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/finding.h"

#define SYSCTL_ANY_LEAST (-1000000L)
#define SYSCTL_ANY_MOST	 1000000000000L

typedef struct sysctl_row {
	const char *name;   /* as sysctl(8) has it: "kernel.dmesg_restrict" */
	long least, most;   /* what is good */
	const char *wanted; /* what to write into sysctl.d(5) */
	finding_severity severity;
	const char *why; /* it matters to a box */
} sysctl_row;

extern const sysctl_row sysctl_rows[];
extern const size_t sysctl_n_rows;

/* Below /proc/sys: "kernel/dmesg_restrict". */
#define SYSCTL_PATH_SIZE 96
void sysctl_path(const char *name, char buffer[SYSCTL_PATH_SIZE]);

/* Whether what the file holds is good. What is no number is not. */
bool sysctl_is_good(const sysctl_row *row, const char *text);

/* Who takes core dumps, kernel.core_pattern: '|' a program, '@' a socket, 0 nobody: they are files. core(5) */
char sysctl_core_handler(const char *text);

#endif
