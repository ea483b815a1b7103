/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/default-view.h"
#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "helper/bus.h"
#include "helper/capabilities.h"
#include "helper/check-limits.h"
#include "helper/check-names.h"
#include "helper/device-match.h"
#include "helper/filter.h"
#include "helper/idmap.h"
#include "helper/network.h"
#include "helper/share.h"
#include "helper/steps.h"
#include "helper/tree.h"
#include "helper/upper.h"

/* The application's root must be that of its mount namespace: joining and leaving set it to that (setns(2)), which
 * would let a chrooted application out. This process has the application's root; entering its own mount namespace
 * again moves it to the namespace's. */
static int check_not_chrooted(nsb_error *error)
{
	NSB_CLOSE int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	NSB_CLOSE int before = open("/", O_PATH | O_CLOEXEC);
	NSB_CLOSE int after = -1;
	struct stat a, b;

	if (own < 0 || before < 0)
		return nsb_error_set(error, errno, "cannot open /proc/self/ns/mnt (is /proc mounted?): %s",
				     strerror(errno));
	if (setns(own, CLONE_NEWNS) < 0)
		return nsb_error_set(error, errno, "cannot enter the mount namespace: %s", strerror(errno));
	after = open("/", O_PATH | O_CLOEXEC);
	if (after < 0 || fstat(before, &a) < 0 || fstat(after, &b) < 0)
		return -errno;
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino || nsb_mount_id(before) != nsb_mount_id(after))
		return nsb_error_set(error, EPERM, "the application is chrooted: its sessions cannot be boxed");
	return 0;
}

static int open_programs(nsb_box *box)
{
	const struct {
		const char *path;
		int *fd;
	} programs[] = { { NSB_LIBEXECDIR "/nsbox-init", &box->init_program },
			 { NSB_LIBEXECDIR "/nsbox-monitor", &box->monitor_program } };

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		struct stat st;

		*programs[i].fd = open(programs[i].path, O_PATH | O_CLOEXEC);
		if (*programs[i].fd < 0)
			return nsb_error_set(&box->error, errno, "cannot open %s: %s: install nsbox again",
					     programs[i].path, strerror(errno));
		if (fstat(*programs[i].fd, &st) < 0 || !S_ISREG(st.st_mode) || !nsb_stat_trusted(&st) ||
		    (st.st_mode & S_IXUSR) == 0)
			return nsb_error_set(&box->error, EPERM, "%s is not a program that only root can change",
					     programs[i].path);
	}
	return 0;
}

/* Sources that must exist, each with the place in the configuration that wants it. */
static int check_sources(nsb_box *box)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < box->plan.n_steps; i++) {
		const nsb_step *step = &box->plan.steps[i];
		nsb_error why = { 0 };
		NSB_CLOSE int fd = -1;

		if (step->op != NSB_OP_BIND || (step->flags & NSB_STEP_SOURCE_IN_BOX))
			continue;
		fd = nsb_path_open(host, step->src, 0, NULL, NULL, &why);
		if (fd == -EACCES && (step->flags & NSB_STEP_HOME))
			continue; /* not for root: the builder comes with the user's rights */
		if (fd >= 0 || ((fd == -ENOENT || fd == -ELOOP) && (step->flags & NSB_STEP_OPTIONAL)))
			continue;
		if (step->origin.file != NULL)
			return nsb_error_set(&box->error, fd, "%s:%u: cannot bind %s: %s", step->origin.file,
					     step->origin.line, step->src,
					     fd == -ENOENT ? "it does not exist" : why.words);
		return nsb_error_set(&box->error, fd, "cannot bind %s: %s", step->src, why.words);
	}
	return 0;
}

static int ignore_device(void *data, const char *path, int fd, const struct stat *st)
{
	(void)data;
	(void)path;
	(void)fd;
	(void)st;
	return 0;
}

/* Devices that are named without a glob must be there. */
static int check_devices(nsb_box *box)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < box->plan.n_steps; i++) {
		const nsb_step *step = &box->plan.steps[i];
		nsb_error why = { 0 };
		int r = step->op == NSB_OP_DEVICE ? device_match(host, step->src, ignore_device, NULL, &why) : 0;

		if (r < 0)
			return nsb_error_set(&box->error, r, "%s:%u: dev: %s", step->origin.file, step->origin.line,
					     why.words[0] != '\0' ? why.words : strerror(-r));
	}
	return 0;
}

/* A file of /proc that the profile puts something over. The box's /proc is not there yet, but is of the same kernel. */
static int check_proc_target(nsb_box *box, int host, const nsb_step *step)
{
	NSB_CLOSE int fd = nsb_path_open(host, step->dst, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	return nsb_error_set(&box->error, fd < 0 ? fd : EINVAL,
			     "%s:%u: %s %s: only files that this kernel's /proc has can be targets there",
			     step->origin.file, step->origin.line, step->dst,
			     fd < 0 ? "does not exist" : "is not a file");
}

/* Mount points that the profile's own lines need in the tree. Found here, they refuse the login in the account hook;
 * found later, sshd would stay connected without a session. */
static int check_targets(nsb_box *box)
{
	/* what is missing in a curated root is made; of some layers nothing is known yet */
	bool known = box->tree >= 0 && box->plan.root_kind != NSB_ROOT_CURATED;
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < box->plan.n_steps; i++) {
		const nsb_step *step = &box->plan.steps[i];
		nsb_error why = { 0 };
		NSB_CLOSE int fd = -1;

		if ((step->op != NSB_OP_BIND && step->op != NSB_OP_MOUNT) || step->origin.file == NULL ||
		    (step->flags & NSB_STEP_OPTIONAL) || check_covered_before(&box->plan, i))
			continue;
		if (nsb_path_below(step->dst, "/proc")) {
			int r = check_proc_target(box, host, step);

			if (r < 0)
				return r;
			continue;
		}
		if (!known)
			continue;
		fd = nsb_path_open(box->tree, step->dst, 0, NULL, NULL, &why);
		if (fd == -ENOENT)
			return nsb_error_set(&box->error, fd,
					     "%s:%u: %s is missing in the root %s: make it (mkdir -p, or an empty "
					     "file for a file)",
					     step->origin.file, step->origin.line, step->dst, box->plan.root);
	}
	return 0;
}

/* A terminal that is a path must be there before it is bound. */
static int check_terminal(nsb_box *box)
{
	struct stat st;

	if (box->plan.terminal == NULL || box->settings.devpts == NSB_DEVPTS_PRIVATE)
		return 0;
	if (stat(box->plan.terminal, &st) < 0)
		return nsb_error_set(&box->error, errno, "the terminal %s of the application: %s", box->plan.terminal,
				     strerror(errno));
	if (!S_ISCHR(st.st_mode))
		return nsb_error_set(&box->error, ENOTTY, "the terminal %s of the application is no terminal",
				     box->plan.terminal);
	return 0;
}

/* Under systemd: whether the application leads the logind session in whose scope it is. Then that scope is the box's
 * group; whoever else is in it (su, sudo, cron) leaves it alone. */
static int find_scope(nsb_box *box)
{
	nsb_cgroup_layout *layout = &box->layout;
	const char *own = layout->trees[0].own, *name = strrchr(own, '/');
	NSB_FREE char *output = NULL;
	char pid[16], *group;
	char *const arguments[] = { (char *)"nsbox-bus", (char *)"leader", pid, NULL };
	int r;

	if (!layout->delegated || box->request.verb != NSB_VERB_OPEN || name == NULL ||
	    nsb_after_prefix(name, "/session-") == NULL)
		return 0;
	snprintf(pid, sizeof(pid), "%d", (int)box->session.app_pid);
	r = bus_run(arguments, box->deadline, &output, &box->error);
	if (r < 0)
		return r;
	if (r == NSB_BUS_NOT_FOUND)
		return 0;
	group = strchr(output, '\n');
	own = nsb_after_prefix(own, layout->trees[0].mount);
	if (group == NULL || group - output > NAME_MAX || own == NULL)
		return nsb_error_set(&box->error, EPROTO, "nsbox-bus answered what is no unit");
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	/* moved out of it meanwhile: then it is nobody's business of ours */
	if (strcmp(own, group) == 0)
		snprintf(layout->scope_unit, sizeof(layout->scope_unit), "%.*s", NAME_MAX, output);
	return 0;
}

/* Asked here as well as when it counts, so that the account hook refuses. */
static int check_sessions(nsb_box *box)
{
	NSB_CLOSE int boxes = -1;

	if (box->plan.n_steps == 0 || box->plan.steps[0].op != NSB_OP_SESSIONS)
		return 0;
	boxes = nsb_registry_open(false, NULL);
	return boxes == -ENOENT ? 0 : boxes < 0 ? boxes : host_sessions_check(box, boxes, box->plan.steps[0].data);
}

static int open_tree(nsb_box *box)
{
	box->tree = tree_open(&box->plan, &box->tree_is_image, &box->error);
	return box->tree >= 0 || box->tree == -EOPNOTSUPP ? 0 : box->tree;
}

int check_box(nsb_box *box)
{
	int r = capabilities_check(&box->error);

	if (r == 0)
		r = check_not_chrooted(&box->error);
	if (r == 0)
		r = open_programs(box);
	if (r == 0)
		r = filter_check(&box->plan, &box->error);
	if (r == 0)
		r = check_limits(&box->plan, &box->layout, &box->error);
	if (r == 0)
		r = find_scope(box);
	if (r == 0)
		r = check_sessions(box);
	if (r == 0)
		r = share_check(box);
	if (r == 0)
		r = upper_check(box);
	if (r == 0)
		r = network_check(box);
	if (r == 0)
		r = open_tree(box);
	if (r == 0 && box->tree >= 0)
		r = check_tree(&box->plan, box->tree, box->session.shell, &box->error);
	if (r == 0)
		r = idmap_check(box);
	if (r == 0)
		r = check_sources(box);
	if (r == 0)
		r = check_targets(box);
	if (r == 0)
		r = check_devices(box);
	if (r == 0)
		r = check_terminal(box);
	if (r == 0)
		r = resolver_check(box);
	if (r == 0)
		r = network_enter_check(box);
	if (r == 0)
		r = account_files_check(box);
	if (r == 0)
		r = check_names(box);
	return r;
}
