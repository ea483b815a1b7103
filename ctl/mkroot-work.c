/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/mkroot.h"

#define DIRECTORY 3

/* --- signals --- */

static void wanted_signals(sigset_t *ret)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

	sigemptyset(ret);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(ret, numbers[i]);
}

void mkroot_signals_hold(sigset_t *ret_before)
{
	sigset_t held;

	wanted_signals(&held);
	sigaddset(&held, SIGCHLD);
	sigprocmask(SIG_BLOCK, &held, ret_before);
	/* ignored, as whoever started nsboxctl may have left it, a child's end would be no signal to wait for */
	signal(SIGCHLD, SIG_DFL);
}

int mkroot_signals_came(void)
{
	const struct timespec now = { 0, 0 };
	sigset_t wanted;
	int number;

	wanted_signals(&wanted);
	number = sigtimedwait(&wanted, NULL, &now);
	return number > 0 ? number : 0;
}

/* --- in the child --- */

static int enter_namespaces(ino_t outside)
{
	struct stat st;

	/* one mistaken mount in the host's own namespace breaks every program there */
	if (stat("/proc/self/ns/mnt", &st) < 0 || st.st_ino == outside || getpid() != 1)
		return -EPERM;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	return 0;
}

/* 0 to 3 as the program expects them, and no other. */
static int set_descriptors(const mkroot_work *work)
{
	/* out of the way of the numbers that are wanted */
	int directory = work->directory < 0 ? -1 : fcntl(work->directory, F_DUPFD_CLOEXEC, 10);
	int input = work->input < 0 ? open("/dev/null", O_RDONLY) : fcntl(work->input, F_DUPFD_CLOEXEC, 10);

	if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return -errno;
	if (work->directory >= 0 && (directory < 0 || dup2(directory, DIRECTORY) < 0))
		return -errno;
	if (syscall(SYS_close_range, work->directory >= 0 ? DIRECTORY + 1U : DIRECTORY, ~0U, 0U) < 0)
		return -errno;
	return 0;
}

/* What the network needs (mmdebstrap), and nothing else of the administrator's. */
static char **environment_of(const mkroot_work *work)
{
	static const char *const kept[] = { "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "SOURCE_DATE_EPOCH" };
	static char *environment[16] = { (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
					 (char *)"HOME=/root", (char *)"LC_ALL=C.UTF-8", (char *)"TERM=dumb",
					 (char *)"DEBIAN_FRONTEND=noninteractive" };
	size_t n = 5;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const char *value = getenv(kept[i]);

		if (value != NULL)
			environment[n++] = nsb_format("%s=%s", kept[i], value);
	}
	if (work->temporary != NULL)
		environment[n++] = nsb_format("TMPDIR=%s", work->temporary);
	return environment;
}

__attribute__((noreturn)) static void become(const mkroot_work *work, ino_t outside)
{
	char **environment = environment_of(work);
	int r;

	prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL);
	r = enter_namespaces(outside);
	if (r == 0)
		r = set_descriptors(work);
	if (r == 0 && chdir("/") < 0)
		r = -errno;
	if (r == 0) {
		umask(022);
		sigprocmask(SIG_SETMASK, work->signals, NULL);
		execve(work->arguments[0], work->arguments, environment);
		r = -errno;
	}
	fprintf(stderr, "nsboxctl: cannot run %s: %s\n", work->arguments[0], strerror(-r));
	_exit(127);
}

/* --- in nsboxctl --- */

/* Waits for its end, or for a signal, and then makes an end of it: it is PID 1 of its namespace, so all goes with it. */
static int wait_for(pid_t pid, int *ret_status)
{
	int number = 0;
	sigset_t wanted;

	wanted_signals(&wanted);
	sigaddset(&wanted, SIGCHLD);
	while (waitpid(pid, ret_status, WNOHANG) == 0) {
		int came = sigwaitinfo(&wanted, NULL);

		if (came <= 0 || came == SIGCHLD)
			continue;
		number = number == 0 ? came : number;
		kill(pid, SIGKILL);
	}
	return number;
}

int mkroot_work_run(const mkroot_work *work, int *ret_signal, nsb_error *error)
{
	const char *name = strrchr(work->arguments[0], '/') + 1;
	struct stat st;
	int status = 0xff00, r; /* failed, should there be nobody to wait for */
	long pid;

	*ret_signal = 0;
	if (stat("/proc/self/ns/mnt", &st) < 0)
		return nsb_error_set(error, errno, "cannot tell the mount namespace: is /proc mounted?");
	fflush(NULL);
	/* by number: clone(3) wants a stack, and this is fork(2) with namespaces. The child execs at once. */
	pid = syscall(SYS_clone, (unsigned long)(CLONE_NEWNS | CLONE_NEWPID | SIGCHLD), NULL, NULL, NULL, 0UL);
	if (pid == 0)
		become(work, st.st_ino);
	if (pid < 0)
		return nsb_error_set(error, errno, "cannot start %s in namespaces of its own: %s", name,
				     strerror(errno));
	*ret_signal = wait_for((pid_t)pid, &status);
	if (*ret_signal != 0)
		return -EINTR;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	r = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	return nsb_error_set(error, ECANCELED, "%s %s %d: nothing was made", name,
			     WIFSIGNALED(status) ? "was ended by signal" : "failed with status", r);
}
