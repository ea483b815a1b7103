/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/teardown.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/protocol.h"
#include "common/registry.h"
#include "helper/cgroup.h"
#include "helper/freeze.h"
#include "helper/init-fds.h"
#include "helper/network.h"
#include "helper/usage.h"
#include "helper/utmp-record.h"

#define THAW_INTERVAL  10000 /* ms between two looks at a box that does not finish dying */
#define TAKE_OVER_TIME 60000 /* ms: nobody who looks only holds a lock for so long */
#define DYING_TIME     1000  /* ms that a process may take to let go of its files */
#define SWEEP_TIME     1000  /* ms of a login for entries of others: a locked utmp makes each of them slow */
#define HALF_MADE_AGE  (2 * NSB_HELPER_DEADLINE / 1000) /* seconds: no helper lives so long */

/* Kills PID 1 and waits. Whether it is gone. */
static bool end_init(int init, int patience)
{
	if (init < 0)
		return true;
	if (syscall(SYS_pidfd_send_signal, init, SIGKILL, NULL, 0) < 0 && errno == ESRCH)
		return true;
	return nsb_wait_readable(init, nsb_now() + patience) == 0;
}

/* A box that is told to end by logout has `stop_timeout` for it. */
static void ask_init(const nsb_entry *entry, int init)
{
	if (init >= 0 && syscall(SYS_pidfd_send_signal, init, SIGTERM, NULL, 0) == 0)
		nsb_wait_readable(init, nsb_now() + entry->stop_timeout);
}

/* Said before the box is thawed, so that nobody freezes it again unseen (freeze.c). */
static void begin_ending(int boxes, nsb_entry *entry)
{
	if (strcmp(entry->state, NSB_STATE_READY) == 0) {
		snprintf(entry->state, sizeof(entry->state), "%s", NSB_STATE_ENDING);
		nsb_registry_write(boxes, entry, NULL);
	}
	freeze_thaw(entry);
}

/* What was known earlier fills what cannot be read any more: systemd removes a session's scope by itself. */
static void complete(nsb_usage *usage, const nsb_usage *earlier)
{
	uint64_t *now = (uint64_t *)(void *)usage;
	const uint64_t *before = (const uint64_t *)(const void *)earlier;

	for (size_t i = 0; i < sizeof(*usage) / sizeof(uint64_t); i++)
		if (now[i] == NSB_USAGE_UNKNOWN)
			now[i] = before[i];
}

static void put_number(FILE *out, const char *before, uint64_t number, const char *behind)
{
	if (number != NSB_USAGE_UNKNOWN)
		fprintf(out, "%s%" PRIu64 "%s", before, number, behind);
}

/* The one line of accounting: what this host cannot tell is left out. */
static void tell_end(const nsb_entry *entry, const nsb_usage *usage)
{
	long long seconds = (long long)(time(NULL) - entry->started);
	NSB_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return;
	fprintf(out, "box %s of %s (%s, profile %s) ended after %lld s", entry->id, entry->user, entry->service,
		entry->profile, seconds);
	if (usage->cpu != NSB_USAGE_UNKNOWN)
		fprintf(out, ", CPU %" PRIu64 ".%02" PRIu64 " s", usage->cpu / 1000000, usage->cpu / 10000 % 100);
	put_number(out, ", peak memory ", usage->memory_peak, " bytes");
	put_number(out, ", peak processes ", usage->processes_peak, "");
	put_number(out, ", process limit hits ", usage->process_hits, "");
	put_number(out, ", memory limit kills ", usage->memory_kills, "");
	if (fclose(out) == 0)
		nsb_log(LOG_INFO, "%s", text);
}

/* With the record of utmp or without. -ETIMEDOUT: somebody keeps utmp locked. */
/* `patience`: ms for the utmp record, 0: it is given up. */
static int end_member(int boxes, const char *id, const nsb_member *member, int patience)
{
	int r = patience > 0 ? utmp_record_close(member, patience) : -ECANCELED;

	if (r < 0)
		nsb_log(LOG_WARNING, "box %s: the utmp record of login %s was not closed", id, member->session);
	nsb_registry_remove_member(boxes, id, member->session);
	return r;
}

/* All who are still there. */
static void end_members(int boxes, nsb_entry *entry, int patience)
{
	NSB_FREE nsb_member *members = NULL;
	size_t n = 0;

	if (nsb_registry_members(boxes, entry, &members, &n) < 0)
		nsb_log(LOG_WARNING, "box %s: its logins cannot be read: their utmp records stay open", entry->id);
	for (size_t i = 0; i < n; i++)
		/* the files are waited for once, not for each of a hundred */
		if (end_member(boxes, entry->id, &members[i], patience) == -ETIMEDOUT)
			patience = 0;
	entry->ut_id[0] = '\0';
}

void teardown_member(const char *id, const char *session)
{
	nsb_member member;
	NSB_CLOSE int boxes = nsb_registry_open(false, NULL);

	if (boxes >= 0 && nsb_registry_read_member(boxes, id, session, &member) == 0)
		end_member(boxes, id, &member, UTMP_PATIENCE_ALONE);
}

int teardown_box(int boxes, const char *id, int init, bool ask, int patience, nsb_error *error)
{
	nsb_usage usage, earlier;
	nsb_entry entry;
	NSB_CLOSE int found = -1;
	bool gone;
	int network, r = nsb_registry_read(boxes, id, &entry);

	/* Of another version: its own programs clean it. Of none that can be read: nothing is known to clean. */
	if (r == -EPROTO)
		return nsb_error_set(error, r, "the registry entry %s is of another version of nsbox", id);
	if (r == -ENOENT || r == -EBADMSG) {
		r = network_remove(boxes, id, error);
		return r < 0 ? r : nsb_registry_remove(boxes, id);
	}
	if (r < 0)
		return nsb_error_set(error, r, "cannot read the registry entry %s: %s", id, strerror(-r));
	if (init < 0 && entry.init.pid > 0)
		init = found = nsb_process_open(&entry.init);
	usage_read(&entry, &earlier);
	begin_ending(boxes, &entry);
	if (ask)
		ask_init(&entry, init);
	gone = end_init(init, patience);
	/* also of a box that does not die, or whose namespace somebody holds */
	network = network_remove(boxes, id, error);
	usage_read(&entry, &usage);
	complete(&usage, &earlier);
	end_members(boxes, &entry, patience > 0 ? UTMP_PATIENCE_ALONE : UTMP_PATIENCE);
	for (size_t i = 0; i < entry.n_cgroups; i++)
		if (nsb_cgroup_remove(entry.cgroups[i], gone ? 1000 : 100) < 0)
			nsb_log(LOG_WARNING, "box %s: cannot remove the cgroup %s yet", id, entry.cgroups[i]);
	if (!gone) {
		snprintf(entry.state, sizeof(entry.state), "%s", NSB_STATE_DYING);
		nsb_registry_write(boxes, &entry, NULL);
		return -EBUSY;
	}
	if (network < 0)
		return network; /* the next run of the helper tries again */
	tell_end(&entry, &usage);
	return nsb_registry_remove(boxes, id);
}

/* PID 1 is our child if we were the helper that made it. */
static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void thaw_again(int boxes, const char *id)
{
	nsb_entry entry;

	if (nsb_registry_read(boxes, id, &entry) == 0)
		freeze_thaw(&entry);
}

/* Whether the lock is held by who answers for the box: its helper, which is its monitor later on. */
static bool is_answered_for(int boxes, const char *id)
{
	pid_t holder = nsb_registry_holder(boxes, id);
	nsb_entry entry;

	return holder > 0 && nsb_registry_read(boxes, id, &entry) == 0 && entry.monitor.pid == holder &&
	       entry.monitor.start == nsb_process_start(holder);
}

/* Who sweeps holds the lock too, and lets go of a box that takes longer to die than it has time: it is not taken for one
 * who cleans to the end. Nor is a monitor that is just dying: its life pipe may have ended before its lock. */
static int take_over(int boxes, const char *id, int *ret_lock)
{
	int64_t now = nsb_now(), end = now + TAKE_OVER_TIME, answered = now;
	int r;

	while ((r = nsb_registry_lock(boxes, id, ret_lock)) == -EAGAIN && now < end && now - answered < DYING_TIME) {
		nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
		now = nsb_now();
		if (!is_answered_for(boxes, id))
			answered = now;
	}
	return r;
}

int teardown_end(const char *id, int life, int init)
{
	nsb_error error = { 0 };
	NSB_CLOSE int boxes = -1;
	NSB_CLOSE int lock = -1;
	char temporary[NSB_ID_LENGTH + 2];
	bool ask = life >= 0; /* the monitor's: it ends a box that is whole */
	int r;

	if (!nsb_id_valid(id))
		return 2;
	boxes = nsb_registry_open(false, &error);
	if (boxes < 0)
		return boxes == -ENOENT ? 0 : 1;
	if (life < 0 && take_over(boxes, id, &lock) == -EAGAIN)
		return 0; /* somebody else cleans it */
	while ((r = teardown_box(boxes, id, init, ask, NSB_TEARDOWN_PATIENCE, &error)) == -EBUSY) {
		struct pollfd dying = { .fd = init, .events = POLLIN };

		ask = false;
		/* Only the application can let PID 1 finish dying, by reaping its children or by ending; and whoever
		 * froze it after it was thawed, and was killed then. */
		while (poll(&dying, init >= 0, init >= 0 ? THAW_INTERVAL : NSB_TEARDOWN_PATIENCE) == 0 && init >= 0)
			thaw_again(boxes, id);
	}
	reap();
	/* The helper that made this box is gone, so what it left half-made under the temporary name is nobody's. */
	snprintf(temporary, sizeof(temporary), ".%s", id);
	nsb_registry_remove(boxes, temporary);
	if (r < 0)
		nsb_log(LOG_ERR, "box %s could not be cleaned: %s", id, error.words);
	if (r == 0 && life >= 0 && write(life, &(char){ NSB_LIFE_CLEAN }, 1) < 0)
		r = 0; /* the guard is gone: nobody needs to know */
	return r < 0;
}

/* An entry is renamed within a millisecond of its making; an old temporary name is left from a crash. */
static bool sweep_half_made(int boxes, const char *name)
{
	NSB_CLOSE int lock = -1;
	struct stat st;

	if (fstatat(boxes, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || time(NULL) - st.st_mtime < HALF_MADE_AGE)
		return false;
	/* old by a clock that was just set, perhaps: its maker would hold the lock */
	if (nsb_registry_lock(boxes, name, &lock) == -EAGAIN)
		return false;
	return nsb_registry_remove(boxes, name) == 0;
}

/* One entry: cleaned if its holder is gone. */
static bool sweep_one(int boxes, const char *name, int patience)
{
	NSB_CLOSE int lock = -1;
	nsb_error error = { 0 };

	if (name[0] == '.')
		return sweep_half_made(boxes, name);
	if (nsb_registry_lock(boxes, name, &lock) < 0)
		return false;
	return teardown_box(boxes, name, -1, false, patience, &error) == 0;
}

size_t teardown_sweep(int boxes, size_t limit, int patience)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	int64_t end = limit > 0 ? nsb_now() + SWEEP_TIME : INT64_MAX;
	size_t n = 0, first = 0, cleaned = 0;

	if (nsb_registry_list(boxes, &ids, &n) < 0 || n == 0)
		return 0;
	if (limit == 0 || limit > n)
		limit = n;
	if (getrandom(&first, sizeof(first), GRND_NONBLOCK) < 0)
		first = 0; /* any place will do: the runs begin at different ones, so every entry has its turn */
	for (size_t i = 0; i < limit && nsb_now() < end; i++)
		cleaned += sweep_one(boxes, ids[(first + i) % n], patience);
	return cleaned;
}
