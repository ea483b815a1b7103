/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/bench/timer.h"

#define AT_ONCE_MAX 1000

extern char **environ;

static int start(char **arguments)
{
	pid_t child;
	int r = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);

	if (r != 0)
		fprintf(stderr, "%s: %s\n", arguments[0], strerror(r));
	return r;
}

/* Until any of the children ends. */
static int await(char **arguments)
{
	int status;

	if (wait(&status) < 0)
		fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
	else if (status != 0)
		fprintf(stderr, "%s ended with status %#x\n", arguments[0], (unsigned)status);
	else
		return 0;
	return 1;
}

int command_round(timer *t, char **arguments)
{
	timer_start(t);
	if (start(arguments) != 0 || await(arguments) != 0)
		return 1;
	timer_step(t, "all");
	return 0;
}

int crowd_round(timer *t, char **arguments)
{
	unsigned long at_once = arguments[0] == NULL ? 0 : strtoul(arguments[0], NULL, 10), number = 0, running = 0;

	if (at_once > 0 && at_once <= AT_ONCE_MAX && arguments[1] != NULL && arguments[2] != NULL)
		number = strtoul(arguments[1], NULL, 10);
	if (number == 0) {
		fprintf(stderr, "usage: contestant crowd AT_ONCE NUMBER COMMAND...\n");
		return 1;
	}
	timer_start(t);
	for (unsigned long started = 0; started < number || running > 0;) {
		if (started < number && running < at_once) {
			if (start(arguments + 2) != 0)
				return 1;
			started++, running++;
		} else if (await(arguments + 2) != 0) {
			return 1;
		} else {
			running--;
		}
	}
	timer_step(t, "all");
	return 0;
}
