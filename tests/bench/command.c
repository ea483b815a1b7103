/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/bench/timer.h"

extern char **environ;

int command_round(timer *t, char **arguments)
{
	int status, r;
	pid_t child;

	timer_start(t);
	r = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);
	if (r != 0 || waitpid(child, &status, 0) < 0) {
		fprintf(stderr, "%s: %s\n", arguments[0], strerror(r != 0 ? r : errno));
		return 1;
	}
	timer_step(t, "all");
	if (status == 0)
		return 0;
	fprintf(stderr, "%s ended with status %#x\n", arguments[0], (unsigned)status);
	return 1;
}
