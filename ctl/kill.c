/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl kill: ends boxes as the end of their last login does. Nothing is cleaned here: the monitor is told, becomes
 * the cleaner, thaws the box if need be, and asks PID 1, which has stop_timeout. With --now PID 1 is killed first, so
 * that there is nobody left to ask.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "ctl/ask.h"
#include "ctl/boxes.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/tell.h"

#define INTERVAL 20   /* ms between two looks at the registry */
#define MARGIN	 8000 /* ms beyond stop_timeout: thawing, dying, and the control groups of every tree */

typedef struct choice {
	const char *id, *user; /* exactly one */
	bool now;
} choice;

static bool in_state(const nsb_entry *entry, const char *state)
{
	return strcmp(entry->state, state) == 0;
}

/* A line about a box on `out`: the name is the only text in it that somebody else chose. */
static void say(FILE *out, const char *before, const nsb_entry *entry, const char *behind)
{
	NSB_FREE char *user = tell_escape(entry->user, false);

	fprintf(out, "%s %s of %s%s\n", before, entry->id, user != NULL ? user : "?", behind);
}

/* ---- which boxes ---- */

static int choose_one(const char *id, boxes *ret, nsb_error *error)
{
	int r;

	ret->items = calloc(1, sizeof(*ret->items));
	if (ret->items == NULL)
		return nsb_error_set(error, ENOMEM, "no memory");
	r = boxes_find(id, &ret->items[0], error);
	ret->n = 1;
	return r;
}

/* An account that was removed may still have a box. */
static int choose_user(const char *name, boxes *ret, nsb_error *error)
{
	const struct passwd *known = getpwnam(name);
	size_t n = 0;
	int r = boxes_read(ret, false, error);

	for (size_t i = 0; i < ret->n; i++) {
		const nsb_entry *entry = &ret->items[i].entry;

		if (known != NULL ? entry->uid == known->pw_uid : strcmp(entry->user, name) == 0)
			ret->items[n++] = ret->items[i];
		else
			box_item_done(&ret->items[i]);
	}
	ret->n = n;
	if (r == 0 && n == 0)
		r = nsb_error_set(error, ENOENT, "%s has no box (see nsboxctl list)", name);
	return r;
}

/* Whether there is a box that can be told to end; why not is said. */
static bool can_end(const box_item *item)
{
	char behind[80] = " has no box, and its process is gone";

	if (in_state(&item->entry, NSB_STATE_UNBOXED)) {
		if (item->n_members > 0)
			snprintf(behind, sizeof(behind), " has no box; end process %d",
				 (int)item->members[0].process.pid);
		say(stderr, "nsboxctl: the session", &item->entry, behind);
		return false;
	}
	if (in_state(&item->entry, STATE_CRASHED)) {
		say(stderr, "nsboxctl: the box", &item->entry, " has crashed: nsboxctl gc cleans it");
		return false;
	}
	return true;
}

/* ---- ending ---- */

static int send_signal(const nsb_process *process, int number)
{
	NSB_CLOSE int fd = nsb_process_open(process);
	int r = fd < 0 ? fd : (int)syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);

	if (r < 0 && fd >= 0)
		r = -errno;
	/* gone: a box is being cleaned, by its guard if it is not the monitor */
	return r == -ESRCH ? 0 : r;
}

/* The monitor is told with --now as well: a frozen PID 1 does not die by version 1 of control groups, and it is the
 * monitor that thaws it. */
static bool tell_to_end(const nsb_entry *entry, bool now)
{
	int r = now ? send_signal(&entry->init, SIGKILL) : 0;
	char behind[128];

	if (r == 0)
		r = send_signal(&entry->monitor, SIGTERM);
	if (r == 0)
		return true;
	snprintf(behind, sizeof(behind), ": %s", strerror(-r));
	say(stderr, "nsboxctl: cannot signal the box", entry, behind);
	return false;
}

/* Whether it has ended, which is said. */
static bool has_ended(int registry, const nsb_entry *entry)
{
	NSB_FREE nsb_entry *now = malloc(sizeof(*now));

	if (faccessat(registry, entry->id, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
		say(stdout, "ended box", entry, "");
		return true;
	}
	if (now == NULL || nsb_registry_read(registry, entry->id, now) < 0 || !in_state(now, NSB_STATE_DYING))
		return false;
	say(stdout, "ended box", entry, ", which is cleaned but for its PID 1: that cannot finish dying yet");
	return true;
}

static int64_t time_for(const box_item *item, bool now)
{
	int64_t timeout = item->entry.stop_timeout;

	return now || timeout < 0 || timeout > INT32_MAX ? MARGIN : timeout + MARGIN;
}

static void take_out_ended(int registry, boxes *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (has_ended(registry, &list->items[i].entry))
			box_item_done(&list->items[i]);
		else
			list->items[n++] = list->items[i];
	list->n = n;
}

/* Until nothing is left in the list or the time is over. */
static int wait_for_end(boxes *list, bool now, nsb_error *error)
{
	NSB_CLOSE int registry = nsb_registry_open(false, error);
	int64_t start = nsb_now(), patience = 0;

	if (registry < 0)
		return registry == -ENOENT ? 0 : registry;
	for (size_t i = 0; i < list->n; i++)
		if (time_for(&list->items[i], now) > patience)
			patience = time_for(&list->items[i], now);
	for (;;) {
		take_out_ended(registry, list);
		if (list->n == 0 || nsb_now() - start >= patience)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = INTERVAL * 1000 * 1000 }, NULL);
	}
}

/* All are told before one is waited for. */
static int end_all(boxes *list, bool now)
{
	nsb_error error = { 0 };
	int status = list->damaged ? COMMAND_PROBLEM : COMMAND_OK;
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (can_end(&list->items[i]) && tell_to_end(&list->items[i].entry, now)) {
			list->items[n++] = list->items[i];
			continue;
		}
		box_item_done(&list->items[i]);
		status = COMMAND_PROBLEM;
	}
	list->n = n;
	if (wait_for_end(list, now, &error) < 0)
		return tell_error(&error);
	for (size_t i = 0; i < list->n; i++)
		say(stderr, "nsboxctl: the box", &list->items[i].entry,
		    " was told to end and has not ended (nsboxctl list)");
	return list->n > 0 ? COMMAND_PROBLEM : status;
}

int command_kill(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(boxes_done))) boxes list = { 0 };
	choice what = { 0 };
	const option_row rows[] = { { "user", &what.user, NULL, NULL }, { "now", NULL, &what.now, NULL } };
	nsb_error error = { 0 };
	int first, r;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 1, &first) != 0)
		return first;
	what.id = first < argc ? argv[first] : NULL;
	if ((what.id == NULL) == (what.user == NULL))
		return options_usage(self, what.id == NULL ? "the box's id is missing, or --user"
							   : "the box's id or --user, not both");
	r = ask_outside(&error);
	if (r == 0)
		r = what.id != NULL ? choose_one(what.id, &list, &error) : choose_user(what.user, &list, &error);
	return r < 0 ? tell_error(&error) : end_all(&list, what.now);
}
