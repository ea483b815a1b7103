/* SPDX-License-Identifier: BSD-3-Clause */
/* What the contestants of the benchmark share: steps with names, and the time that each of them took in one round. */
#ifndef NSB_TESTS_BENCH_TIMER_H
#define NSB_TESTS_BENCH_TIMER_H

#include <stdint.h>

#define TIMER_STEPS 32

typedef struct timer {
	uint64_t last; /* CLOCK_MONOTONIC, ns */
	unsigned n;
	struct {
		const char *name;
		uint64_t ns;
	} steps[TIMER_STEPS];
} timer;

/* Begins a round. */
void timer_start(timer *t);

/* What has passed since the step before was nobody's. */
void timer_again(timer *t);

/* What has passed since the step before was this one's. `name`: a string that stays. */
void timer_step(timer *t, const char *name);

/* One round, given what the contestant was started with; 0, or 1 after a sentence on standard error. */
typedef int contestant(timer *t, char **arguments);

contestant floor_round;	  /* the bare calls (floor.c) */
contestant adopt_round;	  /* what joining takes where a box stands ready (adopt.c) */
contestant session_round; /* a session of PAM: SERVICE USER [account] (session.c) */
contestant hold_round;	  /* begins one that lasts until hold_end(): SERVICE USER [account] (session.c) */
contestant command_round; /* a command, from its start to its end: COMMAND... (command.c) */
contestant crowd_round;	  /* NUMBER runs of a command, AT_ONCE at a time: AT_ONCE NUMBER COMMAND... (command.c) */

/* Ends all sessions of hold_round() at once, and waits for their processes. */
void hold_end(void);

#endif
