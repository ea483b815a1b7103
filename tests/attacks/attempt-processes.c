/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes of others: PID 1 of the box, one of the host's, one of another session (tests/attacks/victim.c). */
#include "attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KCMP_VM = 1 };

static int trace(pid_t pid)
{
	if (pid == 0)
		return ESRCH;
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return errno;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return 0;
}

/* The lowest address that it has: nothing of a victim changes, the bytes are read and written back. */
static int memory(pid_t pid)
{
	char path[64], line[256], bytes[8];
	unsigned long address = 0, end;
	struct iovec here = { bytes, sizeof(bytes) }, there;
	FILE *in;

	if (pid == 0)
		return ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	in = fopen(path, "re");
	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "%lx-%lx rw", &address, &end) == 2 && strstr(line, " rw") != NULL)
			break;
	if (in != NULL)
		fclose(in);
	if (address == 0)
		address = 0x400000;
	there = (struct iovec){ (void *)(uintptr_t)address, sizeof(bytes) };
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
		return errno;
	return outcome(process_vm_writev(pid, &here, 1, &there, 1, 0));
}

static int proc_mem(pid_t pid)
{
	char path[64];

	if (pid == 0)
		return ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return outcome(open(path, O_RDWR | O_CLOEXEC));
}

static int compare(pid_t pid)
{
	return pid == 0 ? ESRCH : outcome(syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0));
}

static int descriptor(pid_t pid)
{
	int fd = pid == 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);

	if (pid == 0)
		return ESRCH;
	return fd < 0 ? errno : outcome(syscall(SYS_pidfd_getfd, fd, 1, 0));
}

static int send(pid_t pid)
{
	return pid == 0 ? ESRCH : outcome(kill(pid, SIGUSR1));
}

#define ON(who, pid)                                                                                                   \
	static int trace_##who(void)                                                                                   \
	{                                                                                                              \
		return trace(pid);                                                                                     \
	}                                                                                                              \
	static int memory_##who(void)                                                                                  \
	{                                                                                                              \
		return memory(pid);                                                                                    \
	}                                                                                                              \
	static int mem_##who(void)                                                                                     \
	{                                                                                                              \
		return proc_mem(pid);                                                                                  \
	}                                                                                                              \
	static int kcmp_##who(void)                                                                                    \
	{                                                                                                              \
		return compare(pid);                                                                                   \
	}                                                                                                              \
	static int getfd_##who(void)                                                                                   \
	{                                                                                                              \
		return descriptor(pid);                                                                                \
	}
ON(init, 1)
ON(host, find_process(HOST_VICTIM))
ON(other, find_process(OTHER_VICTIM))

static int signal_host(void)
{
	return send(find_process(HOST_VICTIM));
}

static int signal_other(void)
{
	return send(find_process(OTHER_VICTIM));
}

/* By its number on the host, which is nobody's in a box or that of a process of the attacker's. */
static int signal_by_number(void)
{
	const char *number = getenv("NSBOX_ATTACK_PID");

	return number == NULL ? ESRCH : outcome(kill(atoi(number), 0));
}

static int never_killed(void)
{
	char text[] = "-1000";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? errno : outcome(write(fd, text, strlen(text)));
}

/* CVE-2019-5736: the program that root runs, overwritten through a process that runs it. */
static int program_of_pid_1(void)
{
	return outcome(open("/proc/1/exe", O_WRONLY | O_CLOEXEC));
}

#define ROWS(who)                                                                                                      \
	{ "ptrace-" #who, trace_##who }, { "memory-" #who, memory_##who }, { "proc-mem-" #who, mem_##who },            \
		{ "kcmp-" #who, kcmp_##who }, { "pidfd_getfd-" #who, getfd_##who },

const attempt process_attempts[] = {
	ROWS(init) ROWS(host) ROWS(other){ "signal-host", signal_host },
	{ "signal-other", signal_other },
	{ "signal-by-number", signal_by_number },
	{ "oom_score_adj", never_killed },
	{ "exe-of-pid-1", program_of_pid_1 },
	{ NULL, NULL },
};
