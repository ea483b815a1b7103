/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resident program on the host, one for each box: what the helper becomes when the application has joined, so that
 * pid, registry lock and life pipe stay the same.
 *
 *   nsbox-monitor ID RUNTIME_MS SOCKET APP LIFE INIT [EVENT...]	(see init-fds.h)
 *   nsbox-monitor guard ID
 *   nsbox-monitor hold
 *
 * The monitor says COMMITTED, then waits until the application leaves (LEAVE) or is gone (its pidfd), or the session's
 * time is over. The end of the socket means nothing: an application may close its descriptors and live on. Then the
 * monitor becomes `nsbox-helper end`, which ends the box and cleans.
 *
 * Meanwhile it watches the counters of the limits. One that grew is told to the session by `nsbox-helper notice`, at
 * most once a minute.
 *
 * The guard is started before the first thing is made on the host. It knows by the end of the life pipe that helper or
 * monitor is gone without having cleaned, and does it then: without it nobody would be left when application and
 * monitor are killed together.
 *
 * The holder does nothing. systemd removes the control group of a service that has no processes, and with it the place
 * where boxes are made: so one process of nsbox.service stays there.
 *
 * Small on purpose: no stdio, no malloc of its own.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
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

/* ---- counters of limits ---- */

#define EVENTS_MAX     4
#define EVENT_INTERVAL 60000 /* ms between two notices of one counter */
#define LOOK_INTERVAL  5000  /* ms between two looks at a counter that tells of no change */

typedef struct event {
	char *word; /* what stands before the counter in the file */
	int file;
	bool look; /* version 1: the file does not tell of a change (POLLPRI) */
	unsigned long count;
	int64_t told; /* 0: never */
} event;

static event events[EVENTS_MAX];
static int n_events;

/* "WORD:FILE" or "WORD:FILE:look" */
static void add_event(char *argument)
{
	char *file = strchr(argument, ':');

	if (file == NULL || n_events == EVENTS_MAX)
		return;
	*file++ = '\0';
	events[n_events++] = (event){ .word = argument, .file = atoi(file), .look = strchr(file, ':') != NULL };
}

/* The counter, which stands behind its word at the beginning of a line. Leaves out a file that is gone: its group was
 * removed, and poll(2) would report it for ever. */
static unsigned long read_count(event *e)
{
	char text[512];
	size_t length = strlen(e->word);
	ssize_t n = pread(e->file, text, sizeof(text) - 1, 0);

	if (n < 0) {
		e->file = -1;
		return e->count;
	}
	text[n] = '\0';
	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, e->word, length) == 0 && line[length] == ' ')
			return strtoul(line + length, NULL, 10);
	}
	return e->count;
}

/* `nsbox-helper notice` goes on in a child of its own, so this waits for an exec only; with "runtime" until it is said.
 */
static void tell(char *id, char *what)
{
	char *const arguments[] = { (char *)"nsbox-helper", (char *)"notice", id, what, NULL };
	pid_t child = vfork();

	if (child == 0) {
		execve(NSB_LIBEXECDIR "/nsbox-helper", arguments, no_environment);
		_exit(1);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static void look_at(event *e, char *id)
{
	unsigned long count = read_count(e);
	int64_t now = nsb_now();

	if (count <= e->count)
		return;
	e->count = count;
	if (e->told != 0 && now - e->told < EVENT_INTERVAL)
		return;
	e->told = now;
	tell(id, e->word);
}

/* ---- the wait ---- */

/* Until `end` (0: never), or until the next look at a counter that somebody has to look at. */
static int time_left(int64_t end)
{
	int64_t left = end != 0 ? end - nsb_now() : INT32_MAX;

	for (int i = 0; i < n_events; i++)
		if (events[i].look && left > LOOK_INTERVAL)
			left = LOOK_INTERVAL;
	return left == INT32_MAX && end == 0 ? -1 : left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Waits until the application is no member any more, or the time is over (`end`; 0: never). Once the socket is gone,
 * the end of PID 1 counts as well: an application that lost the socket ends the box by killing PID 1. */
static void wait_for_leave(char *id, int socket, int app, int signals, int init, int64_t end)
{
	struct pollfd wanted[3 + EVENTS_MAX] = { { .fd = app, .events = POLLIN },
						 { .fd = socket, .events = POLLIN },
						 { .fd = signals, .events = POLLIN } };

	for (;;) {
		for (int i = 0; i < n_events; i++)
			wanted[3 + i] =
				(struct pollfd){ .fd = events[i].look ? -1 : events[i].file, .events = POLLPRI };
		if (poll(wanted, (nfds_t)(3 + n_events), time_left(end)) < 0) {
			if (errno != EINTR)
				return;
			continue;
		}
		if (wanted[0].revents != 0 || wanted[2].revents != 0)
			return;
		for (int i = 0; i < n_events; i++)
			if (wanted[3 + i].revents != 0 || events[i].look)
				look_at(&events[i], id);
		if (end != 0 && nsb_now() >= end) {
			tell(id, (char *)"runtime");
			return;
		}
		if (wanted[1].revents == 0)
			continue;
		if (wanted[1].fd == init || nsb_hear(socket, nsb_now(), NSB_SAY_LEAVE) == 0)
			return;
		wanted[1].fd = init; /* closed, or not our language */
	}
}

int main(int argc, char **argv)
{
	int socket, app, signals;
	long long runtime;

	prctl(PR_SET_DUMPABLE, 0);
	if (argc == 3 && strcmp(argv[1], "guard") == 0)
		return guard(argv[2]);
	if (argc == 2 && strcmp(argv[1], "hold") == 0)
		return pause();
	if (argc < 7)
		return 2;
	runtime = atoll(argv[2]);
	socket = atoi(argv[3]);
	app = atoi(argv[4]);
	for (int i = 7; i < argc; i++)
		add_event(argv[i]);
	for (int i = 0; i < n_events; i++)
		events[i].count = read_count(&events[i]);
	signals = catch_signals();
	/* Not heard: the application gave up waiting or is gone. It is no member then, so the box ends at once. */
	if (nsb_say(socket, NSB_SAY_COMMITTED) == 0)
		wait_for_leave(argv[1], socket, app, signals, atoi(argv[6]), runtime > 0 ? nsb_now() + runtime : 0);
	close(socket);
	become_cleaner((char *[]){ (char *)"nsbox-helper", (char *)"end", argv[1], argv[5], argv[6], NULL });
}
