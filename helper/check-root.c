/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be judged of a kernel and of a root without a login: nsboxctl asks this too. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/check.h"
#include "helper/new-mount-api.h"
#include "helper/tree.h"

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
					     prctl(PR_GET_SECCOMP) == 0
						     ? "%s(2) is missing (in Linux since %s)"
						     : "%s(2) is missing (in Linux since %s) or blocked by a seccomp "
						       "filter (of the service; or has the application been in a box "
						       "before? What it took upon itself there stays: one process, "
						       "one session)",
					     calls[i].name, calls[i].since);
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
	"/etc/login.defs",
	"/usr/lib/locale",
	"/usr/lib/x86_64-linux-gnu/gconv",
};

int check_trusted(int root, uid_t other, const char *name, nsb_error *error)
{
	for (size_t i = 0; i < sizeof(trusted_places) / sizeof(trusted_places[0]); i++) {
		nsb_error why = { 0 };
		NSB_CLOSE int fd =
			nsb_path_open_other(root, other, trusted_places[i], NSB_PATH_TRUSTED, NULL, NULL, &why);
		struct stat st;

		if (fd < 0 && fd != -ENOENT)
			return nsb_error_set(error, fd, "root %s: %s", name, why.words);
		if (fd >= 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
			return nsb_error_set(error, EPERM,
					     "root %s: %s is a FIFO or a socket, on which logins would hang: remove it",
					     name, trusted_places[i]);
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

bool check_covered_before(const nsb_plan *plan, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if ((plan->steps[j].op == NSB_OP_MOUNT || plan->steps[j].op == NSB_OP_BIND ||
		     plan->steps[j].op == NSB_OP_HOME_TMPFS || plan->steps[j].op == NSB_OP_HOME_OVERLAY) &&
		    strcmp(plan->steps[j].dst, plan->steps[i].dst) != 0 &&
		    nsb_path_below(plan->steps[i].dst, plan->steps[j].dst))
			return true;
	return false;
}

/* The places of files in /etc (accounts, resolv.conf): a row of the view is bound there, and only this tree can have it. */
static int check_files(const nsb_plan *plan, int root, nsb_error *error)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		const nsb_step *step = &plan->steps[i];
		nsb_error why = { 0 };
		NSB_CLOSE int fd = -1;
		struct stat st;

		if (step->op != NSB_OP_BIND || step->origin.file != NULL || !nsb_path_below(step->dst, "/etc") ||
		    check_covered_before(plan, i))
			continue;
		fd = nsb_path_open(root, step->dst, step->flags & NSB_STEP_OVER_LINK ? NSB_PATH_END_LINK : 0, NULL,
				   NULL, &why);
		if (fd == -ENOENT && !(step->flags & NSB_STEP_OPTIONAL))
			return nsb_error_set(error, ENOENT, "root %s has no %s, which %s needs: touch %s%s", plan->root,
					     step->dst, step->why, plan->root, step->dst);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			return nsb_error_set(error, EISDIR, "root %s: %s is a directory: replace it by a file",
					     plan->root, step->dst);
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

/* In a curated root: a program of the host, in a directory that is shown. */
static bool is_shown(const nsb_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if ((plan->steps[i].op == NSB_OP_BIND || plan->steps[i].op == NSB_OP_ALIAS) &&
		    nsb_path_below(path, plan->steps[i].dst))
			return true;
	return false;
}

static int check_curated_shell(const nsb_plan *plan, int host, const char *shell, nsb_error *error)
{
	NSB_CLOSE int fd = nsb_path_open(host, shell, 0, NULL, NULL, NULL);
	char target[PATH_MAX];

	if (!is_shown(plan, shell) || (fd >= 0 && nsb_path_of(fd, target) == 0 && !is_shown(plan, target)))
		return nsb_error_set(
			error, EACCES,
			"the user's shell %s is not in sight with root = curated: bind_ro its directory or change "
			"the shell",
			shell);
	return check_shell(host, "/", shell, error);
}

int check_tree(const nsb_plan *plan, int tree, const char *shell, nsb_error *error)
{
	int r;

	if (plan->root_kind == NSB_ROOT_HOST)
		return 0;
	if (plan->root_kind == NSB_ROOT_CURATED)
		return shell != NULL ? check_curated_shell(plan, tree, shell, error) : 0;
	r = check_trusted(tree, 0, plan->root, error);
	if (r == 0)
		r = check_mount_points(plan, tree, error);
	if (r == 0)
		r = check_files(plan, tree, error);
	if (r == 0 && shell != NULL)
		r = check_shell(tree, plan->root, shell, error);
	return r;
}

int check_root(const nsb_plan *plan, const char *shell, nsb_error *error)
{
	bool image;
	NSB_CLOSE int tree = tree_open(plan, &image, error);

	if (tree == -EOPNOTSUPP)
		return 0;
	return tree < 0 ? tree : check_tree(plan, tree, shell, error);
}
