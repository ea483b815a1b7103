/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host-init COMMAND [ARG...]: PID 1 of the throw-away host. Starts COMMAND, reaps whatever is
 * re-parented to it, and ends with COMMAND's status (128 + n for a signal). When it ends the
 * kernel kills all that is left in the PID namespace, and waits for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* tests/host starts us in the background of a shell, which ignores SIGINT and SIGQUIT there;
 * a test that sends them would wonder. */
static void default_signals(void)
{
	sigset_t none;
	int number;

	for (number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Waits until `command` ends; everybody else that ends is reaped on the way. */
static int reap_until(pid_t command)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, 0);

		if (pid == command)
			return exit_code(status);
		if (pid < 0 && errno != EINTR)
			return 125;
	}
}

int main(int argc, char **argv)
{
	pid_t command;

	if (argc < 2) {
		fputs("usage: host-init COMMAND [ARG...]\n", stderr);
		return 125;
	}
	default_signals();
	close_range(3, ~0U, 0); /* what the caller's shell had open would be in every test's list */
	command = fork();
	if (command < 0) {
		perror("host-init: fork");
		return 125;
	}
	if (command == 0) {
		execvp(argv[1], argv + 1);
		fprintf(stderr, "host-init: %s: %s\n", argv[1], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	return reap_until(command);
}
