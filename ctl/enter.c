/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl enter: one more command in a box that lives. nsboxctl itself joins the namespaces only, so that it can make a
 * terminal there; in the box's cgroup is the command alone, so nsboxctl never keeps the group from being removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/registry.h"
#include "common/session.h"
#include "ctl/ask.h"
#include "ctl/boxes.h"
#include "ctl/command.h"
#include "ctl/inside.h"
#include "ctl/options.h"
#include "ctl/tell.h"
#include "helper/filter.h"
#include "pam_nsbox/join.h"

/* What is needed of the box, taken before it is entered. */
typedef struct target {
	nsb_entry entry;
	int init;			    /* pidfd */
	int cgroups[NSB_ENTRY_CGROUPS_MAX]; /* take "0" */
	size_t n_cgroups;
	nsb_filter filter; /* of system calls */
} target;

static void target_done(target *t)
{
	nsb_close(t->init);
	free(t->filter.program);
	for (size_t i = 0; i < t->n_cgroups; i++)
		nsb_close(t->cgroups[i]);
}

static int open_cgroup(const char *path, nsb_error *error)
{
	static const char *const files[] = { "tasks", "cgroup.procs" };
	NSB_CLOSE int group = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = -1;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && group >= 0 && fd < 0; i++)
		fd = openat(group, files[i], O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? nsb_error_set(error, errno, "cannot open the box's cgroup %s: %s", path, strerror(errno)) : fd;
}

/* The box's own groups, or the scope of the session that it is the box of. */
static int open_cgroups(target *t, nsb_error *error)
{
	bool scope = t->entry.n_cgroups == 0 && t->entry.scope[0] != '\0';
	size_t n = scope ? 1 : t->entry.n_cgroups;

	if (n == 0)
		return nsb_error_set(error, ENOENT, "the box has no cgroup");
	while (t->n_cgroups < n) {
		int fd = open_cgroup(scope ? t->entry.scope : t->entry.cgroups[t->n_cgroups], error);

		if (fd < 0)
			return fd;
		t->cgroups[t->n_cgroups++] = fd;
	}
	return 0;
}

/* What the sessions of the box have taken upon themselves. */
static int open_filter(target *t, nsb_error *error)
{
	NSB_CLOSE int fd = -1;

	if (t->entry.seccomp[0] == '\0')
		return 0;
	fd = filter_open(t->entry.seccomp, INT64_MAX, error);
	return fd < 0 ? fd : confine_load(fd, &t->filter, error);
}

static int open_target(const char *id, target *ret, nsb_error *error)
{
	__attribute__((cleanup(box_item_done))) box_item found = { 0 };
	int r = boxes_find(id, &found, error);

	if (r < 0)
		return r;
	ret->entry = found.entry;
	if (strcmp(ret->entry.state, STATE_FROZEN) == 0)
		return nsb_error_set(error, EINVAL, "%s is " STATE_FROZEN ": nsboxctl thaw %s first", ret->entry.id,
				     ret->entry.id);
	if (strcmp(ret->entry.state, NSB_STATE_READY) != 0 && strcmp(ret->entry.state, STATE_LINGERING) != 0)
		return nsb_error_set(error, EINVAL, "%s is %s: only a box that is " NSB_STATE_READY " can be entered",
				     ret->entry.id, ret->entry.state);
	ret->init = nsb_process_open(&ret->entry.init);
	if (ret->init < 0)
		return nsb_error_set(error, ret->init, "the box %s has ended", ret->entry.id);
	r = open_filter(ret, error);
	return r < 0 ? r : open_cgroups(ret, error);
}

static int look_up(const nsb_entry *entry, bool root, nsb_session *ret, nsb_error *error)
{
	int r = ask_session(root ? "root" : entry->user, "nsboxctl", "", "", ret, error);

	if (r == 0 && !root && ret->uid != entry->uid)
		return nsb_error_set(error, EINVAL, "the user %s has uid %u now and had %u when the box was made",
				     entry->user, ret->uid, entry->uid);
	return r;
}

static void told(void *argument, pid_t child, int number)
{
	(void)argument;
	/* its session; or the process itself, as long as it has none */
	if (kill(-child, number) < 0)
		kill(child, number);
	kill(child, SIGCONT);
}

#define OWN_MAX 8

/* nsboxctl's own namespaces of the types that the box has. -errno if one cannot be opened. */
static int open_own(uint64_t flags, int own[OWN_MAX], nsb_error *error)
{
	for (size_t i = 0; i < nsb_n_namespaces && i < OWN_MAX; i++) {
		char path[64];

		if ((flags & (uint64_t)nsb_namespaces[i].flag) == 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/ns/%s", nsb_namespaces[i].proc);
		own[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (own[i] < 0)
			return nsb_error_set(error, errno, "cannot open %s: %s", path, strerror(errno));
	}
	return 0;
}

/* So that nsboxctl does not keep a box that has ended. What fails here ends with the process a moment later. */
static void go_back(const int own[OWN_MAX])
{
	for (size_t i = 0; i < OWN_MAX; i++)
		if (own[i] >= 0)
			(void)setns(own[i], 0);
}

static void close_own(int (*own)[OWN_MAX])
{
	for (size_t i = 0; i < OWN_MAX; i++)
		nsb_close((*own)[i]);
}

static int enter(const target *box, const nsb_session *session, char **argv, nsb_error *error)
{
	const identity who = { .user = session, .id = box->entry.id, .command = argv };
	char keyring[64];
	/* of an older box nothing is known, but root's keyring would give the user what root may read in it */
	const nsb_confinement confinement = { .capabilities =
						      box->entry.version >= 3 ? box->entry.capabilities : UINT64_MAX,
					      .flags = box->entry.confine,
					      .keyring = keyring,
					      .filter = -1 };
	const inside what = { .who = &who,
			      .cgroups = box->cgroups,
			      .n_cgroups = box->n_cgroups,
			      .confinement = &confinement,
			      .filter = &box->filter,
			      .told = told };
	__attribute__((cleanup(close_own))) int own[OWN_MAX] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	int r = open_own(box->entry.namespaces, own, error);

	snprintf(keyring, sizeof(keyring), "nsbox:%s:%s", box->entry.id, session->login);
	if (r == 0)
		r = confine_resources(&confinement, error);
	if (r < 0)
		return r;
	/* from here on nothing may be looked up or loaded: the tree is the box's */
	if (setns(box->init, (int)box->entry.namespaces) < 0)
		return nsb_error_set(error, errno, "cannot join the box %s: %s", box->entry.id,
				     errno == ESRCH ? "it has ended" : strerror(errno));
	if (box->entry.namespaces & CLONE_NEWUSER)
		r = join_become_root((uid_t[3]){ 0 }, (gid_t[3]){ 0 }, error);
	if (r == 0)
		r = inside_run(&what, error);
	go_back(own);
	return r;
}

int command_enter(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(nsb_session_done))) nsb_session session = { 0 };
	__attribute__((cleanup(target_done))) target box = { .init = -1 };
	bool root = false;
	const option_row rows[] = { { "root", NULL, &root, NULL } };
	nsb_error error = { 0 };
	int first, r;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), -1, &first) != 0)
		return first;
	if (first == argc)
		return options_usage(self, "the box's id is missing");
	r = ask_outside(&error);
	if (r == 0)
		r = open_target(argv[first], &box, &error);
	if (r == 0)
		r = look_up(&box.entry, root, &session, &error);
	/* nobody may have made a keyring of this name before */
	if (r == 0)
		r = nsb_id_make(session.login);
	if (r == 0)
		r = enter(&box, &session, argv + first + 1, &error);
	return r < 0 ? tell_error(&error) : r;
}
