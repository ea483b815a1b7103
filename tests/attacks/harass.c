/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harass SIGNAL WHOM ROUNDS LIMIT COMMAND...: runs COMMAND (su, sudo) so many times and meanwhile sends the signal to
 * it (WHOM 1) or only to what it starts (WHOM 0), at pids that follow its own. A stopped one is woken after a while.
 * WHOM 2: stops and wakes the first that it starts, as fast as that goes.
 * Prints "hang" and ends if one round lasts longer than LIMIT seconds, and "reached N" (signals that the kernel let through to
 * processes other than COMMAND) at the end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEAR 12
#define STOPPED 0.05 /* seconds */

static long reached;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void send_near(pid_t first, int signal, int whom)
{
	for (pid_t pid = first + !whom; pid < first + NEAR; pid++)
		if (pid != getpid() && kill(pid, signal) == 0 && pid != first)
			reached++;
}

static int harass_one(int signal, int whom, double limit, char **command)
{
	double begin = now(), wait = (rand() % 40) / 1000.0;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(command[0], command);
		_exit(126);
	}
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		double at = now() - begin;

		if (at > limit) {
			puts("hang");
			send_near(pid, SIGKILL, 1);
			waitpid(pid, NULL, 0);
			return -1;
		}
		if (whom == 2) {
			for (int i = 0; i < 100; i++) {
				kill(pid + 1, SIGSTOP);
				reached += kill(pid + 1, SIGCONT) == 0;
			}
			continue;
		}
		if (at < wait)
			continue;
		if (signal == SIGSTOP && at > wait + STOPPED) {
			send_near(pid, SIGCONT, 1);
			usleep(1000);
		} else {
			send_near(pid, signal, whom);
		}
	}
	/* what was stopped and outlived its parent */
	send_near(pid, SIGCONT, 0);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 0; i < atoi(argv[3]); i++)
		if (harass_one(atoi(argv[1]), atoi(argv[2]), atof(argv[4]), argv + 5) < 0)
			break;
	printf("reached %ld\n", reached);
	return 0;
}
