/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes one box. Run by pam_nsbox.so (and nsboxctl) with a socket as descriptor 3, as root, in the host's namespaces;
 * lives for some milliseconds and becomes nsbox-monitor.
 *
 *  1 lock_down   away with everything a hostile caller may have handed down. Nothing is read, nothing is made before.
 *  2 request     what is asked for, by whom; the user is looked up once. Trusts no length and no text.
 *  3 configure   the configuration, the profile. No profile: answer IGNORE.
 *  4 plan        everything is decided, as a list that can be printed. Pure.
 *  5 check       sources, owners, kernel. The last stage without side effects: the account hook stops here.
 *  ---- effects on the host begin; each has an undo, and a guard outlives us ----
 *  6 host        registry entry with its lock, cgroup, filter of system calls
 *  7 spawn       clone3(2): the builder, PID 1 of the new namespaces
 *  8 build       (builder) cgroup, names, lo, the tree and its mounts
 *  9 enclose     (builder) /proc, pivot_root(2). From here on the old root is gone.
 * 10 prove       (builder) what is there is what was planned
 * 11 exec        (builder) gives up all but CAP_KILL, becomes nsbox-init, which says RUNNING
 * 12 answer      pidfd of PID 1 to the application, which joins
 * 13 publish     meanwhile: the registry says ready; the host's utmp record
 * 14 commit      becomes nsbox-monitor, which hears JOINED and says COMMITTED. From here on failing is not allowed: the
 * session belongs to the monitor.
 *
 * share = user: at 6, with the user's lock held, a box of the user is looked for. If there is one, the login joins it: only
 * the steps that belong to a login are done (6, 8 inside the box, 13), 7 and 9 to 11 are left out, the pidfd of 12 comes
 * from the box's monitor, and at 14 the application is handed over to that monitor instead of becoming one.
 *
 * Whatever fails before COMMITTED is taken back, last thing first. If the application may be waiting to join (stage 12
 * on), the socket is closed before the undo, so that it turns back first.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "helper/answer.h"
#include "helper/apparmor.h"
#include "helper/box.h"
#include "helper/build.h"
#include "helper/check.h"
#include "helper/continue.h"
#include "helper/events.h"
#include "helper/guard.h"
#include "helper/init-fds.h"
#include "helper/inside.h"
#include "helper/lock-down.h"
#include "helper/monitor-watch.h"
#include "helper/namespaces.h"
#include "helper/renew.h"
#include "helper/request.h"
#include "helper/share.h"
#include "helper/steps.h"
#include "helper/subcommands.h"
#include "helper/teardown.h"
#include "helper/times.h"

#define SOCKET		3
#define SWEEP_LIMIT	16		      /* old entries looked at in one login */
#define WATCHED_MAX	(NSB_WATCH_PATHS + 2) /* and the mounts, and the rules */
#define INSIDE_PATIENCE 2000		      /* ms for a login's own files in a box that is there */

static char *const no_environment[] = { NULL };

static int load(nsb_box *box, nsb_error *ret)
{
	const char *conf = box->request.conf[0] != '\0' ? box->request.conf : NULL;

	return nsb_config_load(conf, &box->config, &box->problems, ret);
}

/* Stage 3, with what load() said. 0 also if there is no profile: box->choice.profile tells. */
static int configure(nsb_box *box, int r, const nsb_error *loaded)
{
	const char *force = box->request.profile[0] != '\0' ? box->request.profile : NULL;

	if (r == -EBADMSG && box->problems.n > 1)
		return nsb_error_set(&box->error, r, "%s (and %zu more: run nsboxctl check)", box->problems.lines[0],
				     box->problems.n + box->problems.dropped - 1);
	if (r == -EBADMSG && box->problems.n > 0)
		return nsb_error_set(&box->error, r, "%s", box->problems.lines[0]);
	if (r < 0 && loaded->words[0] != '\0')
		return nsb_error_set(&box->error, r, "%s", loaded->words);
	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot read the configuration: %s", strerror(-r));
	r = nsb_profile_choose(box->config, &box->session, force, &box->choice, &box->error);
	if (r == -ENOENT)
		return -EBADMSG; /* the PAM line forces a profile that is not there (any more): a wrong configuration */
	if (r == 0 && box->choice.profile != NULL)
		r = nsb_config_settings(box->config, box->choice.profile, &box->settings, &box->error);
	return r;
}

/* Stages 1 to 5. Ends at `configure` with 0 if no profile matches. */
static int decide(nsb_box *box)
{
	nsb_error why = { 0 };
	int r, loaded;

	build_enter(box, NSB_STAGE_LOCK_DOWN);
	r = check_kernel(&box->error);
	if (r == 0)
		r = lock_down(SOCKET, &box->error);
	if (r < 0)
		return r;
	/* The stages up to check ask name services and walk paths that users can make slow (FUSE). Nothing is made yet,
	 * so simply dying is a good answer to that: the application sees the end of the line. */
	alarm(NSB_HELPER_DEADLINE / 1000);
	build_enter(box, NSB_STAGE_REQUEST);
	r = request_receive(box);
	if (r < 0)
		return r;
	if (box->request.flags & NSB_REQUEST_DEBUG)
		times_share();
	loaded = load(box, &why); /* while the name service is asked */
	r = request_account(box);
	if (r < 0)
		return r;
	build_enter(box, NSB_STAGE_CONFIGURE);
	r = configure(box, loaded, &why);
	if (r < 0 || box->choice.profile == NULL)
		return r;
	build_enter(box, NSB_STAGE_PLAN);
	r = nsb_plan_make(&box->session, &box->settings, &box->plan, &box->error);
	if (r < 0)
		return r;
	box->planned = true;
	if (box->request.flags & NSB_REQUEST_DEBUG)
		nsb_log(LOG_DEBUG, "nsbox %s: profile %s (%s:%u), %zu steps", box->session.id,
			box->choice.profile->name, box->choice.profile->at.file, box->choice.profile->at.line,
			box->plan.n_steps);
	build_enter(box, NSB_STAGE_CHECK);
	return check_box(box);
}

/* Before the first effect: which box it is to be; and, for a new one, somebody who cleans whatever happens to us. */
static int prepare(nsb_box *box)
{
	int r = 0;

	box->boxes = nsb_registry_open(true, &box->error);
	if (box->boxes < 0)
		return box->boxes;
	teardown_sweep(box->boxes, SWEEP_LIMIT, 0);
	if (box->plan.share)
		r = share_find(box);
	return r < 0 || box->joining ? r : guard_start(box);
}

/* Waits for what the builder, or nsbox-init after it, says. */
static int wait_running(nsb_box *box)
{
	nsb_error theirs;
	ssize_t n;
	int r = nsb_wait_readable(box->status[0], box->deadline);

	if (r < 0)
		return nsb_error_set(&box->error, r, "the box was not ready within %d s", NSB_HELPER_DEADLINE / 1000);
	n = recv(box->status[0], &theirs, sizeof(theirs), MSG_DONTWAIT);
	if (n == 1 && *(char *)&theirs == NSB_INIT_RUNNING)
		return 0;
	if (n == sizeof(theirs) && theirs.err > 0 && memchr(theirs.words, '\0', sizeof(theirs.words)) != NULL) {
		box->error = theirs;
		return -theirs.err;
	}
	return nsb_error_set(&box->error, ECHILD, "PID 1 of the box ended before it ran");
}

static int login_steps(nsb_box *box)
{
	return build_stage(box, NSB_STAGE_BUILD);
}

/* The login's own steps in the tree of a box that is there. */
static int work_inside(nsb_box *box)
{
	bool any = false;

	box->done = build_first(&box->plan, NSB_STAGE_BUILD);
	for (size_t i = 0; i < box->plan.n_steps; i++)
		any |= box->plan.steps[i].stage == NSB_STAGE_BUILD && (box->plan.steps[i].flags & NSB_STEP_SESSION);
	return any ? inside_run(box, login_steps, INSIDE_PATIENCE) : 0;
}

/* Stages 6 to 11. */
static int make(nsb_box *box)
{
	int r = prepare(box);

	if (r == 0)
		r = build_stage(box, NSB_STAGE_HOST);
	if (box->joining)
		box->subid_base = box->entry.subids;
	if (r == 0 && box->joining)
		r = work_inside(box);
	if (r < 0 || box->joining)
		return r;
	r = build_stage(box, NSB_STAGE_SPAWN);
	return r < 0 ? r : wait_running(box);
}

/* Stages 8 to 11, in the builder. It tells by one message what went wrong; success is nsbox-init's to tell. */
void builder_main(nsb_box *box)
{
	static const nsb_stage stages[] = { NSB_STAGE_BUILD, NSB_STAGE_ENCLOSE, NSB_STAGE_PROVE, NSB_STAGE_EXEC };
	int r;

	/* the write end would keep the pipe alive, the socket would hide the helper's end from the application */
	close(box->life[1]);
	close(box->status[0]);
	close(box->socket);
	/* and this one the lock: the kernel may keep us longer than the helper */
	box->user_lock = nsb_close(box->user_lock);
	box->listener = nsb_close(box->listener);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || nsb_wait_readable(box->life[0], 0) != -ETIMEDOUT)
		_exit(1); /* the helper is gone already */
	box->done = build_first(&box->plan, NSB_STAGE_BUILD);
	box->error.stage = NSB_STAGE_BUILD;
	r = apparmor_become_builder(&box->error);
	for (size_t i = 0; r == 0 && i < sizeof(stages) / sizeof(stages[0]); i++)
		r = build_stage(box, stages[i]);
	send(box->status[1], &box->error, sizeof(box->error), MSG_NOSIGNAL);
	_exit(1);
}

static int keep_over_exec(int fd)
{
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

/* Becomes the monitor; comes back only if that fails. */
static int become_monitor(nsb_box *box)
{
	int inherited[] = { box->socket, box->app, box->life[1], box->init, box->listener };
	char numbers[5][12], deadline[24], runtime[24], linger[24], events[NSB_EVENTS_MAX][NSB_EVENT_SIZE];
	char *arguments[10 + NSB_EVENTS_MAX + WATCHED_MAX + 1] = { (char *)"nsbox-monitor", box->session.id, deadline,
								   runtime, linger };
	size_t n = 5, n_events = 0;
	int r = 0;

	if (box->init >= 0 && box->upper_lock >= 0)
		r = keep_over_exec(box->upper_lock); /* nobody asks for its number */
	for (size_t i = 0; i < 5 && r == 0; i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%d", inherited[i]);
		arguments[n++] = numbers[i];
		if (inherited[i] >= 0)
			r = keep_over_exec(inherited[i]);
	}
	snprintf(deadline, sizeof(deadline), "%lld", (long long)box->deadline);
	snprintf(runtime, sizeof(runtime), "%lld",
		 box->init >= 0 && box->plan.runtime_max != NSB_INFINITY ? (long long)box->plan.runtime_max : 0);
	snprintf(linger, sizeof(linger), "%lld",
		 box->init < 0			    ? 0
		 : box->plan.linger == NSB_INFINITY ? -1
						    : (long long)box->plan.linger);
	if (r == 0 && box->init >= 0)
		n_events = events_open(box, events);
	for (size_t i = 0; i < n_events; i++)
		arguments[n++] = events[i];
	if (r == 0 && box->init >= 0)
		n += renew_arguments(box, arguments + n, WATCHED_MAX - 1);
	if (r == 0 && box->init >= 0 && box->plan.network != NULL)
		arguments[n++] = (char *)NSB_WATCH_RULES;
	arguments[n] = NULL;
	if (r == 0) {
		syscall(SYS_execveat, box->monitor_program, "", arguments, no_environment, AT_EMPTY_PATH);
		r = -errno;
	}
	return nsb_error_set(&box->error, r, "cannot start nsbox-monitor: %s", strerror(-r));
}

/* Stages 12 and 13. What does not need the application is done while it joins. */
static int answer(nsb_box *box)
{
	int r = answer_box(box);

	/* the steps between were the builder's */
	box->done = build_first(&box->plan, NSB_STAGE_PUBLISH);
	return r < 0 ? r : build_stage(box, NSB_STAGE_PUBLISH);
}

/* Stage 14. Comes back with 0 only where the application is another monitor's now. */
static int commit(nsb_box *box)
{
	int r;

	build_enter(box, NSB_STAGE_COMMIT);
	if (box->request.flags & NSB_REQUEST_DEBUG)
		times_tell(box->session.login);
	if (!box->joining)
		return become_monitor(box);
	r = nsb_hear(box->socket, box->deadline, NSB_SAY_JOINED);
	if (r < 0)
		return nsb_error_set(&box->error, r, "the application did not join: %s", strerror(-r));
	r = share_hand_over(box);
	if (r == 0)
		nsb_log(LOG_INFO, "nsbox %s: login of %s has joined the box %s", box->session.login, box->session.user,
			box->session.id);
	return r;
}

/* on_error=allow: the session runs unboxed, but nsboxctl list shows it, so somebody must hold an entry. */
static int watch_unboxed(nsb_box *box)
{
	if (box->monitor_program < 0)
		box->monitor_program = open(NSB_LIBEXECDIR "/nsbox-monitor", O_PATH | O_CLOEXEC);
	if (box->life[1] < 0 && guard_start(box) < 0)
		return 1;
	box->error = (nsb_error){ 0 };
	box->init = -1;
	if (host_register_unboxed(box) == 0)
		become_monitor(box);
	nsb_log(LOG_WARNING, "the unboxed session %s of %s is not listed: %s", box->session.id, box->session.user,
		box->error.words);
	return 1;
}

/* Takes everything back and says why. */
static int refuse(nsb_box *box, int r, bool app_may_join)
{
	nsb_error why = box->error;
	bool joining = box->joining;

	alarm(0);
	if (app_may_join)
		box->socket = nsb_close(box->socket);
	build_undo(box);
	box->user_lock = nsb_close(box->user_lock);
	/* the monitor need not wait for us any more */
	box->monitor = nsb_close(box->monitor);
	/* the box is others', and the login, if it goes on without one, is by itself */
	memcpy(box->session.id, box->session.login, sizeof(box->session.id));
	box->joining = false;
	box->error = why;
	if (app_may_join) {
		nsb_log(LOG_ERR, "%s %s of %s was taken back: %s (stage %s, %s)", joining ? "login" : "box",
			box->session.login, box->session.user, why.words, nsb_stage_name((int)why.stage),
			nsb_errno_name(r));
		r = 1;
	} else if (answer_short(box, answer_result(box, r)) == 0 && box->request.verb == NSB_VERB_OPEN &&
		   answer_result(box, r) == NSB_RESULT_UNBOXED) {
		r = watch_unboxed(box);
	}
	if (box->life[1] >= 0 && write(box->life[1], &(char){ NSB_LIFE_CLEAN }, 1) < 0)
		return 1; /* the guard is gone */
	return r != 0;
}

/* The effects on the host: stages 6 to 14. The status of the process; no status if it is the monitor by then. */
static int go_on(void *argument)
{
	nsb_box *box = argument;
	int r = make(box);

	if (r < 0)
		return refuse(box, r, false);
	r = answer(box);
	if (r == 0)
		r = commit(box);
	return r == 0 ? 0 : refuse(box, r, true);
}

/* Out of the application's control groups, which may mean: in a child. */
static int leave_and_go_on(nsb_box *box)
{
	NSB_CLOSE int group = -1;
	int r;

	build_enter(box, NSB_STAGE_HOST);
	r = nsb_cgroup_settle(&box->layout, &group, &box->error);
	if (r == 0 && group >= 0)
		r = continue_in(group, go_on, box, &box->error);
	return r < 0 ? refuse(box, r, false) : go_on(box);
}

static int serve(void)
{
	/* static: reachable until the process ends, which frees it; a leak checker then sees only what was lost */
	static nsb_box box = { .socket = SOCKET,
			       .app = -1,
			       .init_program = -1,
			       .monitor_program = -1,
			       .boxes = -1,
			       .lock = -1,
			       .user_lock = -1,
			       .monitor = -1,
			       .listener = -1,
			       .cgroups = { [0 ... NSB_CGROUP_TREES_MAX - 1] = -1 },
			       .cgroups_join = { [0 ... NSB_CGROUP_TREES_MAX - 1] = -1 },
			       .life = { -1, -1 },
			       .init = -1,
			       .status = { -1, -1 },
			       .tree = -1,
			       .upper = -1,
			       .upper_lock = -1,
			       .filter = -1,
			       .memory = -1,
			       .host_root = -1,
			       .userns = -1,
			       .hole = -1,
			       .entered = -1,
			       .owned = { -1, -1, -1 },
			       .root = -1 };
	int r = decide(&box);

	if (r < 0)
		return refuse(&box, r, false);
	if (box.choice.profile == NULL)
		return answer_short(&box, NSB_RESULT_IGNORE) < 0;
	if (box.request.verb == NSB_VERB_CHECK)
		return answer_short(&box, NSB_RESULT_OK) < 0;
	/* ---- effects on the host begin ---- */
	alarm(0);
	return leave_and_go_on(&box);
}

int main(int argc, char **argv)
{
	int type, status = -1;
	socklen_t size = sizeof(type);

	if (argc == 1 && geteuid() == 0 && getsockopt(SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) == 0)
		return serve();
	if (geteuid() == 0)
		status = subcommand_run(argc, argv);
	if (status >= 0)
		return status;
	fprintf(stderr, "nsbox-helper: run by pam_nsbox.so and nsboxctl as root, not by hand; see nsbox-helper(8)\n");
	return 2;
}
