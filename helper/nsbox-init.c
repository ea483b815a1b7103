/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PID 1 of a box. It reaps, and it ends the box when it is told to from outside.
 *
 * It runs as root of the box with CAP_KILL alone, holds no file of the host, and listens to nobody inside: only signals
 * whose sender is not in the box's PID namespace (si_pid 0, pid_namespaces(7)) count. It ends when its parent does
 * (PDEATHSIG) or the life pipe does, whichever is seen first: the signal is lost over a change of ids or an AppArmor
 * transition, the pipe is not.
 *
 * Small on purpose: one of it lives in every box. No stdio, no malloc.
 */
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/init-fds.h"

#define ENDING_LOOK 20 /* ms between two looks whether all are gone */

/* Exit statuses are seen by the helper only, as "nsbox-init ended". */
enum { ALL_GONE = 0, CUT_OFF = 1, NOT_PID_1 = 10, WRONG_CAPABILITIES, NO_SIGNALS, NOT_TOLD };

static bool has_kill_only(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2];

	return syscall(SYS_capget, &head, sets) == 0 && sets[0].permitted == 1u << CAP_KILL &&
	       sets[0].effective == 1u << CAP_KILL && sets[0].inheritable == 0 && sets[1].permitted == 0 &&
	       sets[1].effective == 0 && sets[1].inheritable == 0;
}

static bool life_ended(void)
{
	struct pollfd life = { .fd = NSB_INIT_FD_LIFE, .events = POLLIN };

	return poll(&life, 1, 0) != 0;
}

/* Everything that must hold before the helper is told that PID 1 runs. Returns a signalfd. */
static int start(void)
{
	sigset_t all;
	int signals;

	if (getpid() != 1)
		_exit(NOT_PID_1);
	/* exec made the process dumpable again; from here on nobody in the box sees into it */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !has_kill_only())
		_exit(WRONG_CAPABILITIES);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		_exit(NO_SIGNALS);
	/* the parent may have gone before PDEATHSIG was set */
	if (life_ended())
		_exit(CUT_OFF);
	if (write(NSB_INIT_FD_STATUS, &(char){ NSB_INIT_RUNNING }, 1) != 1)
		_exit(NOT_TOLD);
	close(NSB_INIT_FD_STATUS);
	return signals;
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void end_all(void)
{
	kill(-1, SIGHUP);
	kill(-1, SIGTERM);
	kill(-1, SIGCONT); /* a stopped process sees the two only when it runs */
}

/* Whether a signal from outside asked for the end. Reads all that are pending. */
static bool told_to_end(int signals)
{
	struct signalfd_siginfo info;
	bool told = false;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		/* a number queued by sigqueue(3) could claim any pid */
		told |= info.ssi_signo == SIGTERM && info.ssi_code == SI_USER && info.ssi_pid == 0;
	return told;
}

int main(void)
{
	int signals = start();
	struct pollfd wanted[] = { { .fd = signals, .events = POLLIN }, { .fd = NSB_INIT_FD_LIFE, .events = POLLIN } };
	bool ending = false;

	for (;;) {
		if (poll(wanted, 2, ending ? ENDING_LOOK : -1) < 0 && errno != EINTR)
			_exit(NO_SIGNALS);
		if (wanted[1].revents != 0)
			_exit(CUT_OFF);
		if (told_to_end(signals)) {
			ending = true;
			end_all();
		}
		reap();
		/* the application's own children are not ours to reap, so their end raises no SIGCHLD here: looked for
		 */
		if (ending && kill(-1, 0) < 0 && errno == ESRCH)
			_exit(ALL_GONE);
	}
}
