/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * contestant floor | adopt | session SERVICE USER [account] | hold SERVICE USER [account] | command COMMAND... | crowd AT_ONCE NUMBER COMMAND...:
 * does one round for each line on standard input, and answers with a line of JSON: the steps and how many microseconds each of them took.
 * bench.py takes turns between several of these, so that whatever else the machine does meets all of them. What `hold` has begun it ends
 * at the end of its input.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/timer.h"

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void timer_start(timer *t)
{
	t->n = 0;
	t->last = now();
}

void timer_again(timer *t)
{
	t->last = now();
}

void timer_step(timer *t, const char *name)
{
	uint64_t time = now();

	if (t->n == TIMER_STEPS)
		abort();
	t->steps[t->n].name = name;
	t->steps[t->n++].ns = time - t->last;
	t->last = now(); /* not the writing */
}

static void print(const timer *t)
{
	for (unsigned i = 0; i < t->n; i++)
		printf("%s\"%s\": %.1f", i == 0 ? "{" : ", ", t->steps[i].name, (double)t->steps[i].ns / 1000);
	printf("}\n");
	fflush(stdout);
}

static const struct {
	const char *name;
	contestant *round;
	void (*end)(void);
} contestants[] = { { "floor", floor_round, NULL },	{ "adopt", adopt_round, NULL },
		    { "session", session_round, NULL }, { "hold", hold_round, hold_end },
		    { "command", command_round, NULL }, { "crowd", crowd_round, NULL } };

#define CONTESTANTS (sizeof(contestants) / sizeof(contestants[0]))

int main(int argc, char **argv)
{
	static timer t;
	char line[16];
	size_t i = 0;

	while (argc >= 2 && i < CONTESTANTS && strcmp(argv[1], contestants[i].name) != 0)
		i++;
	if (argc < 2 || i == CONTESTANTS) {
		fprintf(stderr, "usage: contestant floor|adopt|session|hold|command|crowd ARGUMENT...\n");
		return 2;
	}
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (contestants[i].round(&t, argv + 2) != 0)
			return 1;
		print(&t);
	}
	if (contestants[i].end != NULL)
		contestants[i].end();
	return 0;
}
