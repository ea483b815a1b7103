/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl gc: what a login does for some old entries, for all of them. The helper does it; its one line is the number. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/tell.h"

#define HELPER NSB_LIBEXECDIR "/nsbox-helper"

/* Starts the helper with its standard output in *ret. */
static int start(pid_t *ret_pid, int *ret)
{
	char *const arguments[] = { (char *)"nsbox-helper", (char *)"gc", NULL };
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

static int collect(uint64_t *ret, nsb_error *error)
{
	NSB_CLOSE int output = -1;
	char text[32];
	int status = -1;
	pid_t pid;
	int r = start(&pid, &output);

	if (r < 0)
		return nsb_error_set(error, r, "cannot run " HELPER ": %s", strerror(-r));
	if (nsb_read_text(output, text, sizeof(text)) < 0)
		text[0] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	text[strcspn(text, "\n")] = '\0';
	if (status != 0 || nsb_parse_u64(text, UINT64_MAX, ret) < 0)
		return nsb_error_set(error, EIO, "nsbox-helper could not clean (see its lines above and in syslog)");
	return 0;
}

int command_gc(const command *self, int argc, char **argv)
{
	nsb_error error = { 0 };
	uint64_t n;
	int first;

	if (options_parse(self, argc, argv, NULL, 0, 0, &first) != 0)
		return first;
	if (ask_outside(&error) < 0 || collect(&n, &error) < 0)
		return tell_error(&error);
	if (n == 0)
		printf("nothing to clean\n");
	else
		printf("%ju box%s cleaned\n", (uintmax_t)n, n == 1 ? "" : "es");
	return COMMAND_OK;
}
