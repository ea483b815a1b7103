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
#include "helper/capabilities.h"
#include "helper/check-names.h"
#include "helper/new-mount-api.h"

int check_kernel(nsb_error *error)
{
	static const struct {
		const char *name;
		long number;
		const char *since;
	} calls[] = {
		{ "clone3", SYS_clone3, "5.3" },
		{ "pidfd_open", SYS_pidfd_open, "5.3" },
		{ "open_tree", SYS_open_tree, "5.2" },
		{ "move_mount", SYS_move_mount, "5.2" },
		{ "fsopen", SYS_fsopen, "5.2" },
		{ "fsmount", SYS_fsmount, "5.2" },
		{ "mount_setattr", SYS_mount_setattr, "5.12" },
		{ "close_range", SYS_close_range, "5.9" },
		{ "fsconfig", SYS_fsconfig, "5.2" },
		{ "pidfd_send_signal", SYS_pidfd_send_signal, "5.1" },
		{ "statx", SYS_statx, "4.11" },
		{ "execveat", SYS_execveat, "3.19" },
		{ "setns", SYS_setns, "3.0" },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		/* every pointer is bad and every descriptor and size wrong: no call gets as far as doing something */
		if (syscall(calls[i].number, -1, -1L, -1L, -1L, -1L) < 0 && errno == ENOSYS)
			return nsb_error_set(error, ENOSYS,
					     "%s(2) is missing (in Linux since %s) or blocked by a seccomp filter",
					     calls[i].name, calls[i].since);
	}
	return 0;
}

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

/* Places from which the application, as root, loads code and settings once it is in the box. */
static const char *const trusted_places[] = {
	"/",
	"/etc",
	"/bin",
	"/sbin",
	"/lib",
	"/lib64",
	"/usr",
	"/usr/bin",
	"/usr/sbin",
	"/usr/lib",
	"/usr/lib64",
	"/usr/lib/x86_64-linux-gnu",
	"/usr/lib/aarch64-linux-gnu",
	"/etc/ld.so.preload",
	"/etc/ld.so.cache",
	"/etc/ld.so.conf.d",
	"/etc/nsswitch.conf",
	"/etc/passwd",
	"/etc/group",
	"/etc/profile",
	"/etc/environment",
	"/usr/lib/locale",
	"/usr/lib/x86_64-linux-gnu/gconv",
};

static int check_trusted(int root, const char *name, nsb_error *error)
{
	for (size_t i = 0; i < sizeof(trusted_places) / sizeof(trusted_places[0]); i++) {
		nsb_error why = { 0 };
		NSB_CLOSE int fd = nsb_path_open(root, trusted_places[i], NSB_PATH_TRUSTED, NULL, NULL, &why);

		if (fd < 0 && fd != -ENOENT)
			return nsb_error_set(error, fd, "root %s: %s", name, why.words);
	}
	return 0;
}

/* Mount points of the default view that must be in the tree: those that are not made on another mount of the box. */
static int check_mount_points(const nsb_plan *plan, int root, nsb_error *error)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const nsb_step *step = &plan->steps[i];
		nsb_error why = { 0 };
		NSB_CLOSE int fd = -1;

		if (!(step->flags & NSB_STEP_NO_SYMLINKS) || step->dst == NULL)
			continue;
		fd = nsb_path_open(root, step->dst, NSB_PATH_NO_SYMLINKS | NSB_PATH_DIRECTORY, NULL, NULL, &why);
		if (fd == -ENOENT)
			return nsb_error_set(error, ENOENT, "root %s has no %s: mkdir -m 755 %s%s", plan->root,
					     step->dst, plan->root, step->dst);
		if (fd < 0)
			return nsb_error_set(error, fd, "root %s: %s", plan->root, why.words);
	}
	return 0;
}

static int check_shell(int root, const char *name, const char *shell, nsb_error *error)
{
	nsb_error why = { 0 };
	NSB_CLOSE int fd = nsb_path_open(root, shell, 0, NULL, NULL, &why);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		return nsb_error_set(error, fd < 0 ? fd : EACCES,
				     "the user's shell %s is not in the root %s: install it there or change the shell",
				     shell, name);
	return 0;
}

int check_root(const nsb_plan *plan, const char *shell, nsb_error *error)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int root = -1;
	int r;

	if (host < 0)
		return -errno;
	if (plan->root_is_host)
		return 0;
	root = nsb_path_open(host, plan->root, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL, NULL, error);
	if (root < 0)
		return root;
	r = check_trusted(root, plan->root, error);
	if (r == 0)
		r = check_mount_points(plan, root, error);
	if (r == 0 && shell != NULL)
		r = check_shell(root, plan->root, shell, error);
	return r;
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

/* Whether an earlier step mounts something above the place: what is there is seen only when that is done. */
static bool covered_before(const nsb_plan *plan, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if ((plan->steps[j].op == NSB_OP_MOUNT || plan->steps[j].op == NSB_OP_BIND) &&
		    strcmp(plan->steps[j].dst, plan->steps[i].dst) != 0 &&
		    nsb_path_below(plan->steps[i].dst, plan->steps[j].dst))
			return true;
	return false;
}

/* Mount points that the profile's own lines need in the tree. Found here, they refuse the login in the account hook;
 * found later, sshd would stay connected without a session. */
static int check_targets(nsb_box *box)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int root = nsb_path_open(host, box->plan.root, NSB_PATH_DIRECTORY, NULL, NULL, &box->error);

	if (root < 0)
		return root;
	for (size_t i = 0; i < box->plan.n_steps; i++) {
		const nsb_step *step = &box->plan.steps[i];
		nsb_error why = { 0 };
		NSB_CLOSE int fd = -1;

		if ((step->op != NSB_OP_BIND && step->op != NSB_OP_MOUNT) || step->origin.file == NULL ||
		    (step->flags & NSB_STEP_OPTIONAL) || covered_before(&box->plan, i))
			continue;
		fd = nsb_path_open(root, step->dst, 0, NULL, NULL, &why);
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

static const char *planned_limit(const nsb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].op == NSB_OP_CGROUP)
			return plan->steps[i].data;
	return "max";
}

int check_box(nsb_box *box)
{
	int r = capabilities_check(&box->error);

	if (r == 0)
		r = check_not_chrooted(&box->error);
	if (r == 0)
		r = open_programs(box);
	if (r == 0)
		r = nsb_cgroup_find(planned_limit(&box->plan), &box->tree, &box->error);
	if (r == 0)
		r = check_root(&box->plan, box->session.shell, &box->error);
	if (r == 0)
		r = check_sources(box);
	if (r == 0)
		r = check_targets(box);
	if (r == 0)
		r = check_terminal(box);
	if (r == 0)
		r = check_names(box);
	return r;
}
