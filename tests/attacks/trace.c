/* SPDX-License-Identifier: BSD-3-Clause */
/* trace PID [stop]: holds a process by ptrace(2), stopped if told so, and never waits for it. "ready" or "no". */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0) {
		puts("no");
		return 1;
	}
	if (argc > 2)
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
