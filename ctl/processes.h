/* SPDX-License-Identifier: BSD-3-Clause */
/* The processes of this host, looked at once. Names and arguments in it may be anybody's. Source: proc(5). */
#ifndef NSB_CTL_PROCESSES_H
#define NSB_CTL_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct process_row {
	pid_t pid;
	uid_t uid;
	bool outside;	       /* it is in the mount namespace that nsboxctl is in, or nobody may know */
	const char *name;      /* comm */
	const char *arguments; /* divided by blanks */
} process_row;

typedef void process_take(void *argument, const process_row *process);

/* Calls `take` for each. -errno if /proc cannot be listed. */
int processes_each(process_take *take, void *argument);

#endif
