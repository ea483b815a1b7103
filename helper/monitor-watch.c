/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/monitor-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/protocol.h"
#include "helper/monitor-rules.h"

void monitor_run_helper(const char *subcommand, const char *id, const char *argument)
{
	char *const arguments[] = { (char *)"nsbox-helper", (char *)subcommand, (char *)id, (char *)argument, NULL };
	static char *const no_environment[] = { NULL };
	pid_t child = vfork();

	if (child == 0) {
		execve(NSB_LIBEXECDIR "/nsbox-helper", arguments, no_environment);
		_exit(1);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- counters of limits ---- */

#define EVENT_INTERVAL 60000 /* ms between two notices of one counter */
#define LOOK_INTERVAL  5000  /* ms between two looks at a counter that tells of no change */

typedef struct event {
	char *word; /* what stands before the counter in the file */
	int file;
	bool look; /* version 1: the file does not tell of a change (POLLPRI) */
	unsigned long count;
	int64_t told; /* 0: never */
} event;

static event events[NSB_WATCH_EVENTS];
static int n_events;

/* "WORD:FILE" or "WORD:FILE:look" */
static void add_event(char *argument)
{
	char *file = strchr(argument, ':');

	if (file == NULL || n_events == NSB_WATCH_EVENTS)
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

static void look_at(event *e, const char *id)
{
	unsigned long count = read_count(e);
	int64_t now = nsb_now();

	if (count <= e->count)
		return;
	e->count = count;
	if (e->told != 0 && now - e->told < EVENT_INTERVAL)
		return;
	e->told = now;
	monitor_run_helper("notice", id, e->word);
}

/* ---- what the host replaces ---- */

#define PATHS_LOOK 10000 /* ms between two looks: inotify(7) has too few instances for a thousand monitors */
/* rename(2) takes the mounts away, and tells of it, before the new file has the name */
#define LOOKS	   4
#define LOOKS_NEXT 10 /* ms */

typedef struct path {
	const char *name;
	dev_t dev;
	ino_t ino;	 /* 0: it was not there */
	int64_t written; /* when, in ns; -1: does not count */
} path;

static path paths[NSB_WATCH_PATHS];
static int n_paths;
static int64_t paths_when;
/* Tells of a change (POLLPRI), as that a file under a mount of the box was replaced: then the host's is in sight. */
static int mounts = -1;
static bool any_mount; /* a change is a reason by itself */
static int looks;      /* at the paths that are still due after such a change */

/* Whether there is another file of that name now. One that is gone is waited for. */
static bool is_replaced(path *w)
{
	struct stat st;
	int64_t written;
	bool replaced;

	/* a link to nowhere is something else as well */
	if (stat(w->name, &st) < 0 && lstat(w->name, &st) < 0)
		return false;
	written = w->written >= 0 ? st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec : -1;
	replaced = st.st_dev != w->dev || st.st_ino != w->ino || written != w->written;
	w->dev = st.st_dev;
	w->ino = st.st_ino;
	w->written = written;
	return replaced;
}

static void add_path(const char *name, bool content)
{
	if (n_paths == NSB_WATCH_PATHS)
		return;
	paths[n_paths] = (path){ .name = name, .written = content ? 0 : -1 };
	(void)is_replaced(&paths[n_paths++]);
}

/* It holds the box's mount namespace, which is to go before the box is cleaned up: so not beyond an exec. */
static void add_mounts(const char *file)
{
	mounts = atoi(file);
	any_mount = strstr(file, NSB_WATCH_ANY) != NULL;
	if (fcntl(mounts, F_SETFD, FD_CLOEXEC) < 0)
		mounts = -1;
}

/* `now`: a mount of the box has come or gone */
static void look_at_paths(const char *id, bool now)
{
	bool any = false;

	if (now)
		looks = LOOKS;
	if (looks == 0 && nsb_now() - paths_when < PATHS_LOOK)
		return;
	/* early, and once more when whatever happened has happened */
	any |= any_mount && (looks == LOOKS - 1 || looks == 1);
	looks -= looks > 0;
	paths_when = nsb_now();
	for (int i = 0; i < n_paths; i++)
		any |= is_replaced(&paths[i]);
	if (any)
		monitor_run_helper("renew", id, NULL);
}

/* ---- rules that somebody may remove ---- */

static bool rules;
static uint64_t rules_known; /* 0: none was there */
static int64_t rules_when;
static int rules_due; /* renewals */

static void look_at_rules(const char *id)
{
	uint64_t now;

	if (!rules || nsb_now() - rules_when < PATHS_LOOK)
		return;
	rules_when = nsb_now();
	now = rules_table();
	/* twice, because nobody tells whether the first one went well; it changes nothing where all is in place */
	if (now == 0 || now != rules_known)
		rules_due = 2;
	rules_known = now;
	if (rules_due > 0) {
		rules_due--;
		monitor_run_helper("renew", id, NULL);
	}
}

/* ---- all ---- */

void watch_add(char *argument)
{
	if (argument[0] == '/')
		add_path(argument, false);
	else if (strncmp(argument, NSB_WATCH_CONTENT ":", sizeof(NSB_WATCH_CONTENT)) == 0)
		add_path(argument + sizeof(NSB_WATCH_CONTENT), true);
	else if (strncmp(argument, NSB_WATCH_MOUNTS ":", sizeof(NSB_WATCH_MOUNTS)) == 0)
		add_mounts(argument + sizeof(NSB_WATCH_MOUNTS));
	else if (strcmp(argument, NSB_WATCH_RULES) == 0)
		rules = true;
	else
		add_event(argument);
}

void watch_begin(void)
{
	paths_when = rules_when = nsb_now();
	if (rules)
		rules_known = rules_table();
	for (int i = 0; i < n_events; i++)
		events[i].count = read_count(&events[i]);
}

void watch_fill(struct pollfd *wanted)
{
	for (int i = 0; i < NSB_WATCH_EVENTS; i++)
		wanted[i] = (struct pollfd){ .fd = i < n_events && !events[i].look ? events[i].file : -1,
					     .events = POLLPRI };
	wanted[NSB_WATCH_EVENTS] = (struct pollfd){ .fd = mounts, .events = POLLPRI };
}

int64_t watch_left(void)
{
	int64_t left = n_paths > 0 ? paths_when + PATHS_LOOK - nsb_now() : INT64_MAX;

	if (rules && left > rules_when + PATHS_LOOK - nsb_now())
		left = rules_when + PATHS_LOOK - nsb_now();
	if (looks > 0)
		left = LOOKS_NEXT;
	for (int i = 0; i < n_events; i++)
		if (events[i].look && left > LOOK_INTERVAL)
			left = LOOK_INTERVAL;
	return left;
}

void watch_look(const char *id, const struct pollfd *wanted)
{
	for (int i = 0; i < n_events; i++)
		if (wanted[i].revents != 0 || events[i].look)
			look_at(&events[i], id);
	look_at_paths(id, wanted[NSB_WATCH_EVENTS].revents != 0);
	look_at_rules(id);
}
