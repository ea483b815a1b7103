/* SPDX-License-Identifier: BSD-3-Clause */
/* What is made on the host for one box or login: registry entry, control socket, utmp record. Each has an undo. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/namespace-table.h"
#include "helper/answer.h"
#include "helper/idmap.h"
#include "helper/network.h"
#include "helper/share.h"
#include "helper/steps.h"
#include "helper/utmp-record.h"

#define QUEUE 64 /* logins of one user that wait for the monitor */

static void fill_entry(const nsb_box *box, nsb_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->version = NSB_ENTRY_VERSION;
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
		nsb_confinement confinement;

		answer_confine(box, &confinement);
		entry->capabilities = confinement.capabilities;
		entry->confine = confinement.flags;
		snprintf(entry->hostname, sizeof(entry->hostname), "%s", box->plan.hostname);
		snprintf(entry->share, sizeof(entry->share), "%s", box->plan.share ? NSB_ENTRY_SHARED : "");
		snprintf(entry->terminals, sizeof(entry->terminals), "%s", box->plan.terminals);
		entry->stop_timeout = box->plan.stop_timeout;
		entry->namespaces = box->plan.namespaces;
	}
	entry->monitor = (nsb_process){ .pid = getpid(), .start = nsb_process_start(getpid()) };
}

static void fill_member(const nsb_box *box, nsb_member *member)
{
	memset(member, 0, sizeof(*member));
	memcpy(member->session, box->session.login, sizeof(member->session));
	snprintf(member->service, sizeof(member->service), "%s", box->session.service);
	snprintf(member->tty, sizeof(member->tty), "%s", box->session.tty);
	snprintf(member->rhost, sizeof(member->rhost), "%s", box->session.rhost);
	member->process =
		(nsb_process){ .pid = box->session.app_pid, .start = nsb_process_start(box->session.app_pid) };
	member->started = time(NULL);
}

int host_register_unboxed(nsb_box *box)
{
	int r;

	fill_entry(box, &box->entry);
	fill_member(box, &box->member);
	snprintf(box->entry.state, sizeof(box->entry.state), "%s", NSB_STATE_UNBOXED);
	box->entry.share[0] = '\0';
	box->entry.namespaces = 0;
	if (box->boxes < 0)
		box->boxes = nsb_registry_open(true, &box->error);
	if (box->boxes < 0)
		return box->boxes;
	r = nsb_registry_create(box->boxes, &box->entry, &box->lock, &box->error);
	return r < 0 ? r : nsb_registry_add_member(box->boxes, box->entry.id, &box->member, &box->error);
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

/* Two logins at once must not both be the last one allowed, nor both make the box that they share: the second counts,
 * and looks, when the first is in the registry. */
int host_lock_user(nsb_box *box)
{
	int r = box->user_lock >= 0
			? 0
			: nsb_registry_lock_user(box->boxes, box->session.uid, box->deadline, &box->user_lock);

	return r < 0 ? nsb_error_set(&box->error, r, "cannot lock the sessions of %s: %s", box->session.user,
				     strerror(-r))
		     : 0;
}

int host_sessions(nsb_box *box, const nsb_step *step)
{
	int r = host_lock_user(box);

	return r < 0 ? r : host_sessions_check(box, box->boxes, step->data);
}

void host_sessions_done(nsb_box *box, const nsb_step *step)
{
	(void)step;
	box->user_lock = nsb_close(box->user_lock);
}

int host_register(nsb_box *box, const nsb_step *step)
{
	NSB_FREE char *plan = nsb_plan_text(&box->plan);
	NSB_CLOSE int ranges = -1;
	NSB_CLOSE int addresses = -1;
	int r = 0;

	(void)step;
	if (plan == NULL)
		return -ENOMEM;
	fill_entry(box, &box->entry);
	/* The groups' paths are written down before they are made: whoever cleans after a crash must find them. */
	r = host_cgroup_paths(box);
	if (r == 0 && idmap_wanted(box))
		r = subids_choose(box, &ranges);
	if (r == 0)
		r = network_choose(box, &addresses);
	if (r < 0)
		return r;
	r = nsb_registry_create(box->boxes, &box->entry, &box->lock, &box->error);
	if (r == 0 && box->plan.network != NULL)
		r = nsb_registry_write_network(box->boxes, box->plan.network, &box->error);
	return r < 0 ? r : nsb_registry_write_plan(box->boxes, box->entry.id, plan, &box->error);
}

void host_unregister(nsb_box *box, const nsb_step *step)
{
	(void)step;
	if (box->lock < 0)
		return;
	if (box->network_left) {
		box->lock = nsb_close(box->lock);
		return;
	}
	/* also of a step that failed before the network's: the addresses are free again */
	network_remove(box->boxes, box->entry.id, &box->error);
	nsb_registry_remove(box->boxes, box->entry.id);
	box->lock = nsb_close(box->lock);
}

int host_member(nsb_box *box, const nsb_step *step)
{
	int r;

	(void)step;
	fill_member(box, &box->member);
	r = nsb_registry_add_member(box->boxes, box->entry.id, &box->member, &box->error);
	/* counted from now on: the next login of the user may count; a box that is to be shared it must find ready */
	if (box->joining || !box->plan.share)
		box->user_lock = nsb_close(box->user_lock);
	return r;
}

void host_member_remove(nsb_box *box, const nsb_step *step)
{
	(void)step;
	nsb_registry_remove_member(box->boxes, box->entry.id, box->session.login);
}

int host_control(nsb_box *box, const nsb_step *step)
{
	struct sockaddr_un address;
	int r = share_address(box->entry.id, &address);

	(void)step;
	/* no CLOEXEC: the monitor inherits it */
	box->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	if (r == 0 && (box->listener < 0 || bind(box->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		       listen(box->listener, QUEUE) < 0))
		r = -errno;
	return r < 0 ? nsb_error_set(&box->error, r, "cannot make the control socket of the box: %s", strerror(-r)) : 0;
}

void host_control_close(nsb_box *box, const nsb_step *step)
{
	(void)step;
	/* the file goes with the entry */
	box->listener = nsb_close(box->listener);
}

int host_publish(nsb_box *box, const nsb_step *step)
{
	nsb_entry *entry = &box->entry;
	int r;

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
	snprintf(entry->state, sizeof(entry->state), "%s", NSB_STATE_READY);
	r = nsb_registry_write(box->boxes, entry, &box->error);
	box->user_lock = nsb_close(box->user_lock);
	return r;
}

int host_record(nsb_box *box, const nsb_step *step)
{
	int r;

	(void)step;
	utmp_record_choose(&box->member);
	if (box->member.ut_id[0] == '\0')
		return 0;
	r = nsb_registry_add_member(box->boxes, box->entry.id, &box->member, &box->error);
	if (r < 0)
		return r;
	r = utmp_record_open(&box->member, box->session.user);
	/* Bookkeeping, not isolation: a login is not refused because another user keeps utmp locked. */
	if (r < 0)
		nsb_log(LOG_WARNING, "box %s: the utmp record was not written: %s", box->entry.id, strerror(-r));
	return 0;
}

void host_record_close(nsb_box *box, const nsb_step *step)
{
	(void)step;
	utmp_record_close(&box->member, UTMP_PATIENCE);
	box->member.ut_id[0] = '\0';
}
