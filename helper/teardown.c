/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/teardown.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/registry.h"
#include "helper/cgroup.h"
#include "helper/init-fds.h"
#include "helper/utmp-record.h"

#define HALF_MADE_AGE (2 * NSB_HELPER_DEADLINE / 1000) /* seconds: no helper lives so long */

/* Kills PID 1 and waits. Whether it is gone. */
static bool end_init(int init, int patience)
{
	if (init < 0)
		return true;
	if (syscall(SYS_pidfd_send_signal, init, SIGKILL, NULL, 0) < 0 && errno == ESRCH)
		return true;
	return nsb_wait_readable(init, nsb_now() + patience) == 0;
}

static void tell_end(const nsb_entry *entry)
{
	syslog(LOG_INFO, "box %s of %s (%s, profile %s) ended after %lld s", entry->id, entry->user, entry->service,
	       entry->profile, (long long)(time(NULL) - entry->started));
}

int teardown_box(int boxes, const char *id, int init, int patience, nsb_error *error)
{
	nsb_entry entry;
	NSB_CLOSE int found = -1;
	bool gone;
	int r = nsb_registry_read(boxes, id, &entry);

	/* Of another version: its own programs clean it. Of none that can be read: nothing is known to clean. */
	if (r == -EPROTO)
		return nsb_error_set(error, r, "the registry entry %s is of another version of nsbox", id);
	if (r == -ENOENT || r == -EBADMSG)
		return nsb_registry_remove(boxes, id);
	if (r < 0)
		return nsb_error_set(error, r, "cannot read the registry entry %s: %s", id, strerror(-r));
	if (init < 0 && entry.init.pid > 0)
		init = found = nsb_process_open(&entry.init);
	gone = end_init(init, patience);
	if (utmp_record_close(&entry, entry.members[0].pid) < 0)
		syslog(LOG_WARNING, "box %s: the utmp record was not closed", id);
	entry.ut_id[0] = '\0';
	for (size_t i = 0; i < entry.n_cgroups; i++)
		if (nsb_cgroup_remove(entry.cgroups[i], gone ? 1000 : 100) < 0)
			syslog(LOG_WARNING, "box %s: cannot remove the cgroup %s yet", id, entry.cgroups[i]);
	if (!gone) {
		snprintf(entry.state, sizeof(entry.state), "%s", NSB_STATE_DYING);
		nsb_registry_write(boxes, &entry, NULL);
		return -EBUSY;
	}
	tell_end(&entry);
	return nsb_registry_remove(boxes, id);
}

/* PID 1 is our child if we were the helper that made it. */
static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int teardown_end(const char *id, int life, int init)
{
	nsb_error error = { 0 };
	NSB_CLOSE int boxes = -1;
	NSB_CLOSE int lock = -1;
	char temporary[NSB_ID_LENGTH + 2];
	int r;

	openlog("nsbox-helper", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
	if (!nsb_id_valid(id))
		return 2;
	boxes = nsb_registry_open(false, &error);
	if (boxes < 0)
		return boxes == -ENOENT ? 0 : 1;
	if (life < 0 && nsb_registry_lock(boxes, id, &lock) == -EAGAIN)
		return 0; /* somebody else cleans it */
	while ((r = teardown_box(boxes, id, init, NSB_TEARDOWN_PATIENCE, &error)) == -EBUSY) {
		struct pollfd dying = { .fd = init, .events = POLLIN };

		/* Only the application can let PID 1 finish dying, by reaping its children or by ending. */
		poll(&dying, init >= 0, init >= 0 ? -1 : NSB_TEARDOWN_PATIENCE);
	}
	reap();
	/* The helper that made this box is gone, so what it left half-made under the temporary name is nobody's. */
	snprintf(temporary, sizeof(temporary), ".%s", id);
	nsb_registry_remove(boxes, temporary);
	if (r < 0)
		syslog(LOG_ERR, "box %s could not be cleaned: %s", id, error.words);
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
	return teardown_box(boxes, name, -1, patience, &error) == 0;
}

size_t teardown_sweep(int boxes, size_t limit, int patience)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	size_t n = 0, first = 0, cleaned = 0;

	if (nsb_registry_list(boxes, &ids, &n) < 0 || n == 0)
		return 0;
	if (limit == 0 || limit > n)
		limit = n;
	else if (getrandom(&first, sizeof(first), GRND_NONBLOCK) < 0)
		first = 0; /* any place will do: the runs begin at different ones, so every entry has its turn */
	for (size_t i = 0; i < limit; i++)
		cleaned += sweep_one(boxes, ids[(first + i) % n], patience);
	return cleaned;
}
