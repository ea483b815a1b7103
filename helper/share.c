/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "helper/freezer.h"
#include "helper/steps.h"

#define PATIENCE 4000 /* ms for a monitor's answer: longer only if the login that makes the box does not go on */

int share_address(const char *id, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	return (size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), NSB_RUNDIR "/boxes/%s/control", id) <
			       sizeof(ret->sun_path)
		       ? 0
		       : -ENAMETOOLONG;
}

/* ---- which boxes ---- */

/* Whether it is one that logins like this one share. The name counts as well as the number, which is given to a new
 * account when the old one is gone, while its box may live on. */
static bool is_candidate(const nsb_box *box, const nsb_entry *entry)
{
	return entry->uid == box->session.uid && strcmp(entry->user, box->session.user) == 0 &&
	       strcmp(entry->share, NSB_ENTRY_SHARED) == 0 && strcmp(entry->state, NSB_STATE_READY) == 0 &&
	       strcmp(entry->profile, box->choice.profile->name) == 0 &&
	       strcmp(entry->terminals, box->plan.terminals) == 0;
}

/* Frozen by hand: whoever joined it would stop half-way. */
static bool is_frozen(const nsb_entry *entry)
{
	NSB_FREE nsb_cgroup_tree *tree = malloc(sizeof(*tree));
	bool found = tree != NULL && nsb_cgroup_freezer(getpid(), tree, NULL) == 0;

	return freezer_is_frozen(entry, found ? tree : NULL);
}

/* The plan that this login has for a box of that id. */
static int plan_for(nsb_box *box, const char *id, nsb_plan *ret)
{
	nsb_session session = box->session;

	memcpy(session.id, id, sizeof(session.id));
	return nsb_plan_make(&session, &box->settings, ret, &box->error);
}

/* 1: made by the plan of this login, which is in *ret; 0: by another one; negative errno, -ENOENT: it is gone. */
static int compare_plan(nsb_box *box, int boxes, const char *id, nsb_plan *ret)
{
	__attribute__((cleanup(nsb_plan_done))) nsb_plan plan = { 0 };
	NSB_FREE char *theirs = NULL;
	NSB_FREE char *ours = NULL;
	int r = nsb_registry_read_plan(boxes, id, &theirs);

	if (r < 0)
		return r == -ENOMEM || r == -ENOENT ? r : 0;
	r = plan_for(box, id, &plan);
	if (r < 0)
		return r;
	ours = nsb_plan_text(&plan);
	if (ours == NULL)
		return -ENOMEM;
	if (strcmp(ours, theirs) != 0)
		return 0;
	*ret = plan;
	plan = (nsb_plan){ 0 };
	return 1;
}

/* ---- joining one ---- */

/* A connection to the box's monitor, over which `word` is said. Negative errno. `flags`: SOCK_NONBLOCK, or 0. */
static int ask_monitor(const nsb_box *box, const char *id, nsb_control_word word, int flags)
{
	NSB_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	struct timeval patience = { .tv_sec = PATIENCE / 1000 };
	nsb_control question = { .word = (uint32_t)word, .fds = { -1, -1 } };
	struct sockaddr_un address;
	int r = fd < 0 ? -errno : share_address(id, &address);

	if (r < 0)
		return r;
	memcpy(question.session, box->session.login, sizeof(question.session));
	/* connect(2) waits where the queue of the listener is full */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	r = nsb_control_send(fd, &question);
	return r < 0 ? r : nsb_steal_fd(&fd);
}

/* 0, or negative errno: this box cannot be joined, for a reason that is no fault. */
static int reserve(nsb_box *box, const nsb_entry *entry)
{
	int64_t end = nsb_now() + PATIENCE;
	NSB_CLOSE int fd = ask_monitor(box, entry->id, NSB_CONTROL_JOIN, 0);
	nsb_control answer;
	int r = fd < 0 ? fd : nsb_control_receive(fd, end < box->deadline ? end : box->deadline, &answer);

	if (r < 0)
		return r;
	if (answer.word != NSB_CONTROL_READY) {
		nsb_close(answer.fds[0]);
		nsb_close(answer.fds[1]);
		return -EPROTO;
	}
	box->init = answer.fds[0];
	box->monitor = nsb_steal_fd(&fd);
	return 0;
}

/* By another configuration now, no login joins that box any more: so it need not linger. */
static void retire(const nsb_box *box, const char *id)
{
	NSB_CLOSE int fd = ask_monitor(box, id, NSB_CONTROL_RETIRE, SOCK_NONBLOCK);

	if (fd < 0) /* the next login asks again */
		nsb_log(LOG_INFO, "nsbox %s: the box %s of %s cannot be retired: %s", box->session.login, id,
			box->session.user, strerror(-fd));
}

/* The tree that a group of the box is in, by its path; NULL if the trees are not what they were. */
static const nsb_cgroup_tree *tree_of(const nsb_box *box, const char *group, size_t *ret_index)
{
	for (size_t i = 0; i < box->layout.n_trees; i++)
		if (nsb_path_below(group, box->layout.trees[i].mount)) {
			*ret_index = i;
			return &box->layout.trees[i];
		}
	return NULL;
}

/* Under systemd a login that leads a session stays in its scope. */
static int open_groups(nsb_box *box, const nsb_entry *entry)
{
	if (box->layout.scope_unit[0] != '\0')
		return 0;
	if (entry->n_cgroups != box->layout.n_trees)
		return -ESTALE;
	for (size_t i = 0; i < entry->n_cgroups; i++) {
		NSB_CLOSE int group = open(entry->cgroups[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		size_t index;
		const nsb_cgroup_tree *tree = tree_of(box, entry->cgroups[i], &index);

		if (group < 0 || tree == NULL || box->cgroups_join[index] >= 0)
			return group < 0 ? -errno : -ESTALE;
		box->cgroups_join[index] = nsb_cgroup_open_join(tree, group, NULL);
		if (box->cgroups_join[index] < 0)
			return box->cgroups_join[index];
	}
	return 0;
}

static void close_groups(nsb_box *box)
{
	for (size_t i = 0; i < NSB_CGROUP_TREES_MAX; i++)
		box->cgroups_join[i] = nsb_close(box->cgroups_join[i]);
}

/* 1: joined, *plan is the box's now; 0: it cannot be. */
static int join_one(nsb_box *box, const nsb_entry *entry, nsb_plan *plan)
{
	int r = is_frozen(entry) ? -EBUSY : open_groups(box, entry);

	if (r == 0)
		r = reserve(box, entry);
	if (r < 0) {
		close_groups(box);
		nsb_log(LOG_INFO, "nsbox %s: the box %s of %s cannot be joined (%s)", box->session.login, entry->id,
			box->session.user, strerror(-r));
		return 0;
	}
	nsb_plan_done(&box->plan);
	box->plan = *plan;
	*plan = (nsb_plan){ 0 };
	box->entry = *entry;
	box->init_pid = entry->init.pid;
	memcpy(box->session.id, entry->id, sizeof(box->session.id));
	box->joining = true;
	return 1;
}

/* ---- the search ---- */

/* A box of the user by another plan. */
static int refuse(nsb_box *box, const char *id)
{
	box->forbidden = true;
	return nsb_error_set(
		&box->error, EEXIST,
		"the configuration of profile %s has changed since box %s of %s was made (on_change = refuse): "
		"end that box first (nsboxctl kill %s)",
		box->choice.profile->name, id, box->session.user, id);
}

/* Looks at one entry. 1: joined (or, without `join`, could be); 0 otherwise. `changed`: the id of one by another plan. */
static int try_entry(nsb_box *box, int boxes, const char *id, bool join, char changed[NSB_ID_LENGTH + 1])
{
	NSB_FREE nsb_entry *entry = malloc(sizeof(*entry));
	__attribute__((cleanup(nsb_plan_done))) nsb_plan plan = { 0 };
	int r = entry == NULL ? -ENOMEM : nsb_registry_read(boxes, id, entry);

	if (r == -EPROTO)
		nsb_log(LOG_INFO, "nsbox %s: the box %s is of another version of nsbox, which cannot be joined",
			box->session.login, id);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (!is_candidate(box, entry) || nsb_registry_holder(boxes, id) <= 0)
		return 0;
	r = compare_plan(box, boxes, id, &plan);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		memcpy(changed, entry->id, sizeof(entry->id));
	if (r == 0 && join && box->plan.on_change == NSB_ON_CHANGE_SEPARATE)
		retire(box, id);
	return r <= 0 || !join ? r : join_one(box, entry, &plan);
}

struct timespec share_made_at(int boxes, const char *id)
{
	char path[NSB_ID_LENGTH + sizeof("/lock")];
	struct stat st;

	snprintf(path, sizeof(path), "%.*s/lock", NSB_ID_LENGTH, id);
	return fstatat(boxes, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? (struct timespec){ 0 } : st.st_mtim;
}

typedef struct candidate {
	struct timespec made;
	const char *id;
} candidate;

static int newest_first(const void *a, const void *b)
{
	const struct timespec one = ((const candidate *)a)->made, other = ((const candidate *)b)->made;

	if (one.tv_sec != other.tv_sec)
		return one.tv_sec > other.tv_sec ? -1 : 1;
	return one.tv_nsec > other.tv_nsec ? -1 : one.tv_nsec < other.tv_nsec;
}

/* 1: joined, or could be; 0: there is none. A box that does not answer costs all logins of the user PATIENCE, since the lock is held meanwhile. Whoever waited for it
 * first has made another one, so that one is asked first. */
static int search(nsb_box *box, int boxes, bool join)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	NSB_FREE candidate *list = NULL;
	char changed[NSB_ID_LENGTH + 1] = "";
	size_t n = 0;
	int r = nsb_registry_list(boxes, &ids, &n);

	if (r == 0) {
		list = calloc(n + 1, sizeof(*list));
		r = list == NULL ? -ENOMEM : 0;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		list[i] = (candidate){ .made = share_made_at(boxes, ids[i]), .id = ids[i] };
	if (r == 0)
		qsort(list, n, sizeof(*list), newest_first);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (list[i].id[0] != '.')
			r = try_entry(box, boxes, list[i].id, join, changed);
	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot look for the box of %s: %s", box->session.user,
				     strerror(-r));
	if (r == 0 && changed[0] != '\0' && box->plan.on_change == NSB_ON_CHANGE_REFUSE)
		return refuse(box, changed);
	return r;
}

bool share_joinable(nsb_box *box)
{
	nsb_error before = box->error;
	bool forbidden = box->forbidden;
	NSB_CLOSE int boxes = nsb_registry_open(false, NULL);
	int r = boxes < 0 ? boxes : search(box, boxes, false);

	box->error = before;
	box->forbidden = forbidden;
	return r > 0;
}

int share_check(nsb_box *box)
{
	NSB_CLOSE int boxes = -1;
	int r;

	if (!box->plan.share || box->plan.on_change != NSB_ON_CHANGE_REFUSE)
		return 0;
	boxes = nsb_registry_open(false, NULL);
	r = boxes == -ENOENT ? 0 : boxes < 0 ? boxes : search(box, boxes, false);
	return r < 0 ? r : 0;
}

int share_find(nsb_box *box)
{
	int r = host_lock_user(box);

	if (r == 0)
		r = search(box, box->boxes, true);
	return r < 0 ? r : 0;
}

int share_hand_over(nsb_box *box)
{
	nsb_control member = { .word = NSB_CONTROL_MEMBER, .fds = { box->socket, box->app } };
	int r;

	memcpy(member.session, box->session.login, sizeof(member.session));
	r = nsb_control_send(box->monitor, &member);
	return r < 0 ? nsb_error_set(&box->error, r, "the monitor of box %s is gone: %s", box->entry.id, strerror(-r))
		     : 0;
}
