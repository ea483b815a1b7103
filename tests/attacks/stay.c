/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stay HOW: processes that do not want to end with their session. Prints "ready" when they are there, and leaves.
 *   ignore   deaf to HUP and TERM
 *   stopped  stopped
 *   loop     forks twice and starts a session, for ever
 *   vfork    a parent that waits in vfork(2) for a deaf child
 *   bomb     forks as fast as it can
 *   zombies  a hundred children that nobody reaps
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void deaf(void)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, number == SIGCHLD ? SIG_DFL : SIG_IGN);
}

static void loop(void)
{
	for (;;) {
		if (fork() > 0)
			_exit(0);
		setsid();
	}
}

static void bomb(void)
{
	for (;;)
		fork();
}

static void wait_in_vfork(void)
{
	if (vfork() == 0)
		for (;;)
			pause();
}

static void zombies(void)
{
	for (int i = 0; i < 100; i++)
		if (fork() == 0)
			_exit(0);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (fork() == 0) {
		setsid();
		deaf();
		puts("ready");
		fflush(stdout);
		close(0);
		close(1);
		close(2);
		if (strcmp(how, "stopped") == 0)
			raise(SIGSTOP);
		if (strcmp(how, "loop") == 0)
			loop();
		if (strcmp(how, "vfork") == 0)
			wait_in_vfork();
		if (strcmp(how, "bomb") == 0)
			bomb();
		if (strcmp(how, "zombies") == 0)
			zombies();
		for (;;)
			pause();
	}
	return 0;
}
