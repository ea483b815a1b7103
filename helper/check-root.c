/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be judged of a kernel and of a root without a login: nsboxctl asks this too. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/check.h"
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
