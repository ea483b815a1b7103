/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resident program on the host, one for each box: what the helper becomes when the application has joined, so that
 * pid, registry lock and life pipe stay the same.
 *
 *   nsbox-monitor ID STOP_TIMEOUT_MS SOCKET APP LIFE INIT	(see init-fds.h)
 *   nsbox-monitor guard ID
 *
 * The monitor says COMMITTED, then waits until the application leaves (LEAVE) or is gone (its pidfd). The end of the
 * socket means nothing: an application may close its descriptors and live on. Then PID 1 is told to end the box, and
 * the monitor becomes `nsbox-helper end`, which cleans.
 *
 * The guard is started before the first thing is made on the host. It knows by the end of the life pipe that helper or
 * monitor is gone without having cleaned, and does it then: without it nobody would be left when application and
 * monitor are killed together.
 *
 * Small on purpose: no stdio, no malloc of its own.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/protocol.h"
#include "helper/init-fds.h"

static char *const no_environment[] = { NULL };

static void __attribute__((noreturn)) become_cleaner(char *const arguments[])
{
	/* SIGTERM stays blocked, as it is here: cleaning is not to be broken off half-way */
	execve(NSB_LIBEXECDIR "/nsbox-helper", arguments, no_environment);
	/* Uninstalled under a live box, or no memory: the life pipe ends with this process, so PID 1 does, and the next
	 * run of any helper finds the entry without its lock. */
	_exit(1);
}

static int guard(char *id)
{
	char word = 0;
	ssize_t n;

	prctl(PR_SET_NAME, "nsbox-guard");
	do
		n = read(NSB_INIT_FD_LIFE, &word, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && word == NSB_LIFE_CLEAN)
		return 0;
	close(NSB_INIT_FD_LIFE);
	become_cleaner((char *[]){ (char *)"nsbox-helper", (char *)"end", id, NULL });
}

/* SIGTERM and SIGINT end the box in order: a shutdown sends them to everybody. */
static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Waits until the application is no member any more. Once the socket is gone, the end of PID 1 counts as well: an
 * application that lost the socket ends the box by killing PID 1. */
static void wait_for_leave(int socket, int app, int signals, int init)
{
	struct pollfd wanted[] = { { .fd = app, .events = POLLIN },
				   { .fd = socket, .events = POLLIN },
				   { .fd = signals, .events = POLLIN } };

	for (;;) {
		if (poll(wanted, 3, -1) < 0 && errno != EINTR)
			return;
		if (wanted[0].revents != 0 || wanted[2].revents != 0)
			return;
		if (wanted[1].revents == 0)
			continue;
		if (wanted[1].fd == init || nsb_hear(socket, nsb_now(), NSB_SAY_LEAVE) == 0)
			return;
		wanted[1].fd = init; /* closed, or not our language */
	}
}

int main(int argc, char **argv)
{
	int stop_timeout, socket, app, init, signals;
	struct pollfd gone = { .events = POLLIN };

	prctl(PR_SET_DUMPABLE, 0);
	if (argc == 3 && strcmp(argv[1], "guard") == 0)
		return guard(argv[2]);
	if (argc != 7)
		return 2;
	stop_timeout = atoi(argv[2]);
	socket = atoi(argv[3]);
	app = atoi(argv[4]);
	gone.fd = init = atoi(argv[6]);
	signals = catch_signals();
	/* Not heard: the application gave up waiting or is gone. It is no member then, so the box ends at once. */
	if (nsb_say(socket, NSB_SAY_COMMITTED) == 0)
		wait_for_leave(socket, app, signals, init);
	close(socket);
	if (init >= 0 && syscall(SYS_pidfd_send_signal, init, SIGTERM, NULL, 0) == 0)
		poll(&gone, 1, stop_timeout);
	become_cleaner((char *[]){ (char *)"nsbox-helper", (char *)"end", argv[1], argv[5], argv[6], NULL });
}
