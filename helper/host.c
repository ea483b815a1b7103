/* SPDX-License-Identifier: BSD-3-Clause */
/* What is made on the host for one box: registry entry, cgroup, utmp record. Each has an undo. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "helper/steps.h"
#include "helper/utmp-record.h"

static void fill_entry(const nsb_box *box, nsb_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->id, box->session.id, sizeof(entry->id));
	snprintf(entry->state, sizeof(entry->state), "%s", NSB_STATE_STARTING);
	snprintf(entry->user, sizeof(entry->user), "%s", box->session.user);
	snprintf(entry->profile, sizeof(entry->profile), "%s", box->choice.profile->name);
	snprintf(entry->service, sizeof(entry->service), "%s", box->session.service);
	snprintf(entry->tty, sizeof(entry->tty), "%s", box->session.tty);
	snprintf(entry->rhost, sizeof(entry->rhost), "%s", box->session.rhost);
	entry->uid = box->session.uid;
	entry->started = time(NULL);
	if (box->planned) {
		snprintf(entry->hostname, sizeof(entry->hostname), "%s", box->plan.hostname);
		entry->stop_timeout = box->plan.stop_timeout;
		entry->namespaces = box->plan.namespaces;
	}
	entry->monitor = (nsb_process){ .pid = getpid(), .start = nsb_process_start(getpid()) };
}

static nsb_process application(const nsb_box *box)
{
	return (nsb_process){ .pid = box->session.app_pid, .start = nsb_process_start(box->session.app_pid) };
}

int host_register_unboxed(nsb_box *box)
{
	fill_entry(box, &box->entry);
	snprintf(box->entry.state, sizeof(box->entry.state), "%s", NSB_STATE_UNBOXED);
	box->entry.namespaces = 0;
	box->entry.members[0] = application(box);
	box->entry.n_members = 1;
	if (box->boxes < 0)
		box->boxes = nsb_registry_open(true, &box->error);
	if (box->boxes < 0)
		return box->boxes;
	return nsb_registry_create(box->boxes, &box->entry, &box->lock, &box->error);
}

static int too_many(nsb_box *box, size_t n, const char *max)
{
	return nsb_error_set(&box->error, EUSERS,
			     "%s has %zu session%s already, and sessions_max of the profile %s is %s",
			     box->session.user, n, n == 1 ? "" : "s", box->choice.profile->name, max);
}

int host_sessions_check(nsb_box *box, int boxes, const char *max)
{
	size_t n = 0;
	int r = nsb_registry_count(boxes, box->session.uid, &n);

	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot count the sessions of %s: %s", box->session.user,
				     strerror(-r));
	return n >= strtoull(max, NULL, 10) ? too_many(box, n, max) : 0;
}

/* Two logins at once must not both be the last one allowed: the second counts when the first is in the registry. */
int host_sessions(nsb_box *box, const nsb_step *step)
{
	int r = nsb_registry_lock_user(box->boxes, box->session.uid, box->deadline, &box->user_lock);

	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot lock the sessions of %s: %s", box->session.user,
				     strerror(-r));
	return host_sessions_check(box, box->boxes, step->data);
}

void host_sessions_done(nsb_box *box, const nsb_step *step)
{
	(void)step;
	box->user_lock = nsb_close(box->user_lock);
}

int host_register(nsb_box *box, const nsb_step *step)
{
	int r;

	(void)step;
	fill_entry(box, &box->entry);
	/* The groups' paths are written down before they are made: whoever cleans after a crash must find them. */
	r = box->planned ? host_cgroup_paths(box) : 0;
	if (r < 0)
		return r;
	if (box->boxes < 0)
		box->boxes = nsb_registry_open(true, &box->error);
	if (box->boxes < 0)
		return box->boxes;
	r = nsb_registry_create(box->boxes, &box->entry, &box->lock, &box->error);
	/* counted from now on: the next login of the user may count */
	box->user_lock = nsb_close(box->user_lock);
	return r;
}

void host_unregister(nsb_box *box, const nsb_step *step)
{
	(void)step;
	if (box->lock < 0)
		return;
	nsb_registry_remove(box->boxes, box->entry.id);
	box->lock = nsb_close(box->lock);
}

int host_publish(nsb_box *box, const nsb_step *step)
{
	nsb_entry *entry = &box->entry;

	(void)step;
	entry->init = (nsb_process){ .pid = box->init_pid, .start = nsb_process_start(box->init_pid) };
	for (size_t i = 0; i < nsb_n_namespaces; i++) {
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)box->init_pid, nsb_namespaces[i].proc);
		if (stat(path, &st) < 0)
			return nsb_error_set(&box->error, errno, "cannot look at %s: %s", path, strerror(errno));
		entry->inodes[i] = st.st_ino;
	}
	entry->members[0] = application(box);
	entry->n_members = 1;
	snprintf(entry->state, sizeof(entry->state), "%s", NSB_STATE_READY);
	return nsb_registry_write(box->boxes, entry, &box->error);
}

int host_record(nsb_box *box, const nsb_step *step)
{
	int r;

	(void)step;
	utmp_record_choose(&box->entry, box->session.app_pid);
	if (box->entry.ut_id[0] == '\0')
		return 0;
	r = nsb_registry_write(box->boxes, &box->entry, &box->error);
	if (r < 0)
		return r;
	r = utmp_record_open(&box->entry, box->session.app_pid);
	/* Bookkeeping, not isolation: a login is not refused because another user keeps utmp locked. */
	if (r < 0)
		syslog(LOG_WARNING, "box %s: the utmp record was not written: %s", box->entry.id, strerror(-r));
	return 0;
}

void host_record_close(nsb_box *box, const nsb_step *step)
{
	(void)step;
	utmp_record_close(&box->entry, box->session.app_pid, UTMP_PATIENCE);
	box->entry.ut_id[0] = '\0';
}
