/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_INSIDE_H
#define NSB_CTL_INSIDE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/protocol.h"
#include "ctl/identity.h"
#include "pam_nsbox/confine.h"

typedef struct inside {
	const identity *who;
	const int *cgroups; /* open files of the box's cgroups that take "0" of the new process; none: it is in them */
	size_t n_cgroups;
	/* what the command takes upon itself before it is somebody else, by confine_privileges(); NULL: this process has done
	 * so */
	const nsb_confinement *confinement;
	const nsb_filter *filter;
	/* What to do when `heard` can be read, while the command runs; NULL: nothing is waited for. */
	void (*hear)(void *argument);
	int heard;
	/* What to do when somebody wants nsboxctl to end by this signal; called each time. */
	void (*told)(void *argument, pid_t child, int number);
	void *argument;
} inside;

/*
 * Runs a command in the box that this process has joined, and waits for its end.
 * Returns its exit status as the shell has it; -errno with a sentence if it could not be started.
 * The command inherits no descriptor but 0 to 2, and those are never the administrator's terminal (terminal.h).
 */
int inside_run(const inside *what, nsb_error *error);

#endif
