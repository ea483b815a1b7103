/* SPDX-License-Identifier: BSD-3-Clause */
/* The box of bare calls, for contestants that do something with one. */
#ifndef NSB_TESTS_BENCH_FLOOR_H
#define NSB_TESTS_BENCH_FLOOR_H

#include <sched.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "tests/bench/timer.h"

#define FLOOR_NAMESPACES (CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

typedef struct floor_box {
	timer *time; /* shared with PID 1 and whoever is forked */
	const char *program, *group_above;
	char group[128];
	int program_fd, tasks, ready[2], pidfd;
	pid_t init;
	struct stat host; /* the mount namespace that we came from */
} floor_box;

/* The same six files that lead back, open; -1 after a sentence. */
#define FLOOR_WAYS_BACK 6
int floor_save(int own[FLOOR_WAYS_BACK]);

/* Arguments: PROGRAM, which is PID 1, and the directory of a control group, or "-". Each 0, or 1 after a sentence. */
int floor_begin(floor_box *f, char **arguments);
int floor_make(floor_box *f);
int floor_end(floor_box *f);
void floor_done(floor_box *f);

#endif
