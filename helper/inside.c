/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/apparmor.h"
#include "helper/idmap.h"
#include "helper/namespaces.h"

/* The file systems in memory that the plan mounts are where it says, for root alone can change that. */
static void recall_mounts(nsb_box *box)
{
	box->n_mounts = 0;
	for (size_t i = 0; i < box->plan.n_steps; i++) {
		const nsb_step *step = &box->plan.steps[i];
		NSB_CLOSE int fd = -1;
		struct statfs fs;

		if (step->op != NSB_OP_MOUNT || strcmp(step->src, "tmpfs") != 0 || box->n_mounts == NSB_BOX_MOUNTS_MAX)
			continue;
		fd = idmap_path(box, step->dst, NSB_PATH_NO_SYMLINKS | NSB_PATH_DIRECTORY, NULL, NULL, NULL);
		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
			box->mounts[box->n_mounts++] =
				(nsb_made_mount){ .dst = step->dst, .id = nsb_mount_id(fd), .fresh_tmpfs = true };
	}
}

static int enter(nsb_box *box)
{
	unsigned long long wanted = namespaces_root_mount(box->init_pid);

	box->host_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (box->host_root < 0 || setns(box->init, CLONE_NEWNS) < 0)
		return nsb_error_set(&box->error, errno, "cannot enter the box's tree: %s", strerror(errno));
	/* setns(2) has moved us to the root of the box */
	box->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (box->root < 0)
		return nsb_error_set(&box->error, errno, "cannot open the box's root: %s", strerror(errno));
	/* /proc is the box's now and does not know us, so the mount is asked */
	if (wanted == 0 || nsb_mount_id(box->root) != wanted || nsb_mount_id(box->host_root) == wanted)
		return nsb_error_set(&box->error, EPERM, "not in the box's tree: nothing is changed");
	box->lived_in = true;
	recall_mounts(box);
	return 0;
}

static void __attribute__((noreturn)) work_inside(nsb_box *box, int (*work)(nsb_box *box), pid_t helper, int out)
{
	int r = prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != helper ? -ESRCH : 0;

	/* A file system that does not answer may keep us longer than the helper: that must not look as if the helper
	 * were there still, to the application or to the monitor, which keeps the box for it. */
	box->socket = nsb_close(box->socket);
	box->monitor = nsb_close(box->monitor);
	if (r == 0)
		r = apparmor_become_builder(&box->error);
	if (r == 0)
		r = enter(box);
	if (r == 0)
		r = work(box);
	box->error.err = -r;
	_exit(send(out, &box->error, sizeof(box->error), MSG_NOSIGNAL) != sizeof(box->error));
}

int inside_run(nsb_box *box, int (*work)(nsb_box *box), int patience)
{
	NSB_CLOSE int pidfd = -1;
	nsb_error theirs;
	int line[2];
	pid_t child, own = getpid();
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) < 0)
		return nsb_error_set(&box->error, errno, "cannot make a socket pair: %s", strerror(errno));
	child = fork();
	if (child == 0)
		work_inside(box, work, own, line[1]);
	close(line[1]);
	if (child > 0)
		pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	n = child > 0 && nsb_wait_readable(line[0], nsb_now() + patience) == 0
		    ? recv(line[0], &theirs, sizeof(theirs), MSG_DONTWAIT)
		    : -1;
	close(line[0]);
	if (child < 0)
		return nsb_error_set(&box->error, EAGAIN, "cannot start a process");
	if (n < 0)
		kill(child, SIGKILL);
	/* one that waits for a file system of the user does not die before that answers */
	if (pidfd >= 0 && nsb_wait_readable(pidfd, nsb_now() + patience) == 0)
		waitpid(child, NULL, WNOHANG);
	if (n != sizeof(theirs))
		return nsb_error_set(&box->error, n < 0 ? ETIMEDOUT : ECHILD,
				     "the work in the box's tree was not done in time");
	if (theirs.err == 0)
		return 0;
	box->error = theirs;
	return -theirs.err;
}
