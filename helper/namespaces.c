/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/protocol.h"
#include "helper/idmap.h"
#include "helper/new-mount-api.h"
#include "helper/steps.h"

#define KILL_PATIENCE 1000 /* ms */

ino_t namespaces_own_mount(void)
{
	struct stat st;

	return stat("/proc/self/ns/mnt", &st) < 0 ? 0 : st.st_ino;
}

unsigned long long namespaces_root_mount(pid_t pid)
{
	char path[64];
	NSB_CLOSE int root = -1;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? 0 : nsb_mount_id(root);
}

static const char *clone_advice(int err)
{
	switch (err) {
	case ENOSPC:
		return ": a limit in /proc/sys/user/max_*_namespaces is reached, or namespaces are nested too deep";
	case EPERM:
		return ": the application lacks CAP_SYS_ADMIN";
	case EAGAIN:
		return ": a process limit is reached (ulimit -u, pids.max, kernel.pid_max)";
	case ENOSYS:
		return ": this kernel has no clone3(2)";
	default:
		return "";
	}
}

int namespaces_spawn(nsb_box *box, const nsb_step *step)
{
	/* The cgroup namespace comes later: its root is the group one is in when making it, and the builder is not in
	 * the box's group yet. */
	/* Those of the box's user namespace are there already (userns.c). */
	uint64_t others = CLONE_NEWCGROUP | (network_enters(&box->plan) ? CLONE_NEWNET : 0) |
			  (idmap_wanted(box) ? CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET : 0);
	struct clone_args args = { .flags = CLONE_PIDFD | (box->plan.namespaces & ~others),
				   .pidfd = (uintptr_t)&box->init,
				   .exit_signal = SIGCHLD };
	/* A process is made in a version 2 group, because moving it there costs 5 to 11 ms. Where that tree is beside
	 * the ones of the limits, the session stays in the application's group, which is to be "/" in the box (the
	 * helper has left it). */
	NSB_CLOSE int beside = box->layout.unified_own[0] == '\0'
				       ? -1
				       : open(box->layout.unified_own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int into = beside;
	long pid;

	(void)step;
	for (size_t i = 0; i < box->layout.n_trees; i++)
		if (box->layout.trees[i].version == 2)
			into = box->cgroups[i];
	if (into >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)into;
	}
	box->host_mount_namespace = namespaces_own_mount();
	if (box->host_mount_namespace == 0)
		return nsb_error_set(&box->error, errno, "cannot read /proc/self/ns/mnt: %s", strerror(errno));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, box->status) < 0)
		return nsb_error_set(&box->error, errno, "cannot make a socket pair: %s", strerror(errno));
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return nsb_error_set(&box->error, errno, "cannot make the namespaces: %s%s", strerror(errno),
				     clone_advice(errno));
	if (pid == 0)
		builder_main(box);
	box->init_pid = (pid_t)pid;
	box->status[1] = nsb_close(box->status[1]);
	return 0;
}

void namespaces_kill(nsb_box *box, const nsb_step *step)
{
	(void)step;
	if (box->init_pid <= 0)
		return;
	syscall(SYS_pidfd_send_signal, box->init, SIGKILL, NULL, 0);
	/* Our own child, but not always quick to die: it may hang in a file system that does not answer, or wait for an
	 * application that joined and does not reap. Then the host's init inherits it. */
	if (nsb_wait_readable(box->init, nsb_now() + KILL_PATIENCE) == 0)
		waitpid(box->init_pid, NULL, WNOHANG);
	box->init_pid = 0;
}

int namespaces_assert(nsb_box *box, const nsb_step *step)
{
	struct mount_attr slave = { .propagation = MS_SLAVE };
	ino_t own = namespaces_own_mount();

	(void)step;
	if (own == 0 || own == box->host_mount_namespace || getpid() != 1)
		return nsb_error_set(&box->error, EPERM,
				     "not in a mount and PID namespace of its own: nothing is mounted");
	/* From here on mounts of the host arrive and none of ours leaves. */
	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) < 0)
		return nsb_error_set(&box->error, errno, "cannot cut the mounts off from the host's (MS_SLAVE): %s",
				     strerror(errno));
	box->host_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (box->host_root < 0)
		return -errno;
	return 0;
}

int namespaces_enter_cgroup(nsb_box *box, const nsb_step *step)
{
	(void)step;
	for (size_t i = 0; i < box->layout.n_trees; i++) {
		ssize_t n;

		if (box->layout.trees[i].version == 2)
			continue; /* made there */
		n = write(box->cgroups_join[i], "0", 1);
		if (n != 1)
			return nsb_error_set(&box->error, n < 0 ? errno : EIO,
					     "cannot enter the box's cgroup in %s: %s", box->layout.trees[i].mount,
					     strerror(errno));
	}
	if ((box->plan.namespaces & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return nsb_error_set(&box->error, errno, "cannot make the cgroup namespace: %s", strerror(errno));
	return 0;
}

int namespaces_hostname(nsb_box *box, const nsb_step *step)
{
	if (sethostname(step->data, strlen(step->data)) < 0)
		return nsb_error_set(&box->error, errno, "cannot set the host name %s: %s", step->data,
				     strerror(errno));
	return 0;
}

int namespaces_domainname(nsb_box *box, const nsb_step *step)
{
	if (setdomainname(step->data, strlen(step->data)) < 0)
		return nsb_error_set(&box->error, errno, "cannot set the domain name %s: %s", step->data,
				     strerror(errno));
	return 0;
}

int namespaces_loopback(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo" };

	(void)step;
	/* SIOCSIFFLAGS also gives lo its addresses 127.0.0.1 and ::1, netdevice(7) */
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return nsb_error_set(&box->error, errno, "cannot look at lo: %s", strerror(errno));
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return nsb_error_set(&box->error, errno, "cannot bring lo up: %s", strerror(errno));
	return 0;
}
