/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/run-helper.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"

#define HELPER NSB_LIBEXECDIR "/nsbox-helper"

/* Starts the helper with its standard output in *ret. */
static int start(char *const arguments[], pid_t *ret_pid, int *ret)
{
	char *const environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	int pipes[2], r;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
		if (r == 0)
			r = posix_spawn(ret_pid, HELPER, &actions, NULL, arguments, environment);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(pipes[1]);
	*ret = pipes[0];
	return -r;
}

int run_helper(char *const arguments[], char *output, size_t size, nsb_error *error)
{
	NSB_CLOSE int from = -1;
	int status = -1;
	pid_t pid;
	int r = start(arguments, &pid, &from);

	if (r < 0)
		return nsb_error_set(error, r, "cannot run " HELPER ": %s", strerror(-r));
	if (nsb_read_text(from, output, size) < 0)
		output[0] = '\0';
	output[strcspn(output, "\n")] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status < 0 ? nsb_error_set(error, ECHILD, "cannot wait for " HELPER) : status;
}
