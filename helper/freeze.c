/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Version 2: the kernel freezes a group and everything below it, and a frozen process still dies of SIGKILL. Version 1
 * is freeze-v1.c's: there a frozen process does not die before it is thawed.
 *
 * Who freezes does not hold the lock of the entry, the monitor does, which may end the box at any moment. It writes
 * "ending" first, then thaws; here the entry is read again after freezing. Whichever is later sees the other.
 */
#include "helper/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/protocol.h"
#include "common/string-util.h"
#include "helper/bus.h"
#include "helper/freeze-v1.h"
#include "helper/freezer.h"

/* ---- version 2 ---- */

static int wait_event(int home, bool frozen, int64_t deadline)
{
	while (freezer_event(home, "frozen") != frozen) {
		if (nsb_now() >= deadline)
			return -ETIMEDOUT;
		freeze_pause();
	}
	return 0;
}

/* The scope is systemd's, which wants to know. */
static int tell_systemd(const nsb_entry *entry, const char *verb, nsb_error *error)
{
	const char *slash = strrchr(entry->scope, '/');
	char *const arguments[] = { (char *)"nsbox-bus", (char *)verb, (char *)(slash != NULL ? slash + 1 : ""), NULL };
	int r = bus_run(arguments, INT64_MAX, NULL, error);

	return r > 0 ? -EIO : r;
}

static int write_freeze(const nsb_entry *entry, int home, bool freeze, nsb_error *error)
{
	int r = -1;

	if (entry->scope[0] != '\0')
		r = tell_systemd(entry, freeze ? "freeze" : "thaw", freeze ? error : NULL);
	/* to let go on is right in any case */
	if (r < 0 && (entry->scope[0] == '\0' || !freeze)) {
		r = nsb_write_text_at(home, "cgroup.freeze", freeze ? "1" : "0");
		if (r < 0)
			nsb_error_set(error, r, "cannot write cgroup.freeze of %s: %s", freezer_home(entry),
				      strerror(-r));
	}
	return r;
}

/* ---- both ---- */

static bool has(int home, const char *file)
{
	return faccessat(home, file, F_OK, 0) == 0;
}

static int freeze_now(const nsb_entry *entry, int home, nsb_error *error)
{
	int r;

	if (has(home, "cgroup.freeze")) {
		r = write_freeze(entry, home, true, error);
		return r < 0 ? r : wait_event(home, true, nsb_now() + FREEZE_PATIENCE);
	}
	if (has(home, "freezer.state")) {
		r = nsb_write_text_at(home, "freezer.state", "FROZEN");
		return r < 0 ? r : freeze_v1_wait(home, nsb_now() + FREEZE_PATIENCE);
	}
	return freeze_v1(entry, home, error);
}

/* `home` is -1 if the group is gone. */
static int thaw_now(const nsb_entry *entry, int home, nsb_error *error)
{
	char text[8];

	if (home >= 0 && has(home, "cgroup.freeze")) {
		if (nsb_read_text_at(home, "cgroup.freeze", text, sizeof(text)) > 0 && text[0] == '0')
			return 0;
		return write_freeze(entry, home, false, error);
	}
	if (home >= 0 && has(home, "freezer.state"))
		return nsb_write_text_at(home, "freezer.state", "THAWED");
	return freeze_v1_thaw(entry, error);
}

static int open_home(const nsb_entry *entry)
{
	int fd = open(freezer_home(entry), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int freeze_thaw(const nsb_entry *entry)
{
	NSB_CLOSE int home = -1;
	nsb_error error = { 0 };
	int r;

	if (freezer_home(entry)[0] == '\0')
		return 0;
	home = open_home(entry);
	r = thaw_now(entry, home, &error);
	if (r < 0)
		nsb_log(LOG_WARNING, "box %s: cannot be thawed: %s", entry->id,
			error.words[0] != '\0' ? error.words : strerror(-r));
	return r;
}

/* ---- by hand ---- */

/* One at a time. Released by the end of the descriptor; not the record lock, which is the monitor's. */
static int take_turn(int boxes, const char *id)
{
	NSB_CLOSE int fd = openat(boxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return -errno;
	return nsb_steal_fd(&fd);
}

static int read_ready(int boxes, const char *id, const char *what, nsb_entry *ret, nsb_error *error)
{
	int r = nsb_registry_read(boxes, id, ret);

	if (r < 0)
		return nsb_error_set(error, r, r == -ENOENT ? "there is no box %s" : "cannot read the entry of box %s",
				     id);
	if (strcmp(ret->state, NSB_STATE_READY) != 0)
		return nsb_error_set(error, EINVAL, "box %s is %s: only one that is " NSB_STATE_READY " can be %s", id,
				     ret->state, what);
	return 0;
}

static int freeze_checked(int boxes, const nsb_entry *entry, int home, nsb_error *error)
{
	nsb_entry now;
	int r = freeze_now(entry, home, error);

	if (r == 0)
		r = read_ready(boxes, entry->id, "frozen", &now, error);
	if (r < 0)
		freeze_thaw(entry);
	return r == -ETIMEDOUT
		       ? nsb_error_set(error, r,
				       "box %s did not stop in time (a process waits for a disk or another host?): "
				       "it goes on",
				       entry->id)
		       : r;
}

static int thaw_checked(const nsb_entry *entry, int home, nsb_error *error)
{
	int r = thaw_now(entry, home, error);

	if (r == 0 && has(home, "cgroup.freeze") && wait_event(home, false, nsb_now() + FREEZE_PATIENCE) < 0)
		return nsb_error_set(error, EBUSY, "box %s stays frozen: a group above %s is", entry->id,
				     freezer_home(entry));
	return r;
}

/* Whether some of the sessions that share the box have groups of their own (under systemd): one of version 2 that is not
 * the box's. */
static bool has_scopes(int boxes, const nsb_entry *entry)
{
	NSB_FREE nsb_member *members = NULL;
	bool found = entry->scope[0] != '\0';
	size_t n = 0;

	if (nsb_registry_members(boxes, entry, &members, &n) < 0)
		return found;
	for (size_t i = 0; i < n && !found; i++) {
		char path[64], text[4096];
		const char *own;

		snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)members[i].process.pid);
		if (nsb_read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0)
			continue;
		own = nsb_after_prefix(text, "0::/user.slice/");
		found = own != NULL && strstr(own, ".scope") != NULL;
	}
	return found;
}

static int change(int boxes, const char *id, bool freeze, nsb_error *error)
{
	NSB_CLOSE int turn = take_turn(boxes, id);
	NSB_CLOSE int home = -1;
	nsb_entry entry;
	int r = read_ready(boxes, id, freeze ? "frozen" : "thawed", &entry, error);

	if (r < 0)
		return r;
	if (entry.share[0] != '\0' && has_scopes(boxes, &entry))
		return nsb_error_set(
			error, ENOTSUP,
			"the sessions that share box %s are in scopes of their own: systemctl %s user-%u.slice "
			"does it to all of the user",
			id, freeze ? "freeze" : "thaw", entry.uid);
	if (turn < 0)
		return turn;
	home = open_home(&entry);
	if (home < 0)
		return nsb_error_set(error, home, "cannot open the group %s: %s", freezer_home(&entry),
				     strerror(-home));
	r = freeze ? freeze_checked(boxes, &entry, home, error) : thaw_checked(&entry, home, error);
	if (r == 0)
		nsb_log(LOG_NOTICE, "box %s of %s (%s, profile %s) %s", id, entry.user, entry.service, entry.profile,
			freeze ? "frozen" : "thawed");
	return r;
}

int freeze_run(const char *id, bool freeze)
{
	NSB_CLOSE int boxes = -1;
	nsb_error error = { 0 };
	sigset_t set;
	int r;

	if (!nsb_id_valid(id)) {
		fprintf(stderr, "nsbox-helper: \"%s\" is no box id\n", id);
		return 2;
	}
	/* Ctrl-C would leave a box half frozen; all waits here end by themselves */
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	boxes = r = nsb_registry_open(false, &error);
	if (r >= 0)
		r = change(boxes, id, freeze, &error);
	if (r < 0)
		fprintf(stderr, "nsbox-helper: %s\n", error.words[0] != '\0' ? error.words : strerror(-r));
	return r < 0;
}
