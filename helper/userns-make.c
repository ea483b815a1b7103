/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A user namespace and what it owns. A short-lived child makes them, so that they are there before the builder is: they live
 * by their descriptors. It becomes root of the new namespace before it makes the others, because what is made with them (the
 * directory of message queues) belongs to who makes it.
 */
#include "helper/userns-make.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/idmap.h"
#include "common/protocol.h"
#include "helper/new-mount-api.h"

#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif

#define PATIENCE 2000 /* ms for the child */

const userns_owned_kind userns_owned[USERNS_OWNED] = { { CLONE_NEWUTS, "uts" },
						       { CLONE_NEWIPC, "ipc" },
						       { CLONE_NEWNET, "net" } };

static const char *advice(int err)
{
	switch (err) {
	case ENOSPC:
		return ": a limit in /proc/sys/user/max_*_namespaces (user.max_user_namespaces) is reached, or is 0";
	case EUSERS:
		return ": user namespaces are nested too deep";
	case EPERM:
		return ": a security module or kernel.unprivileged_userns_clone forbids user namespaces, or the "
		       "application lacks "
		       "CAP_SYS_ADMIN";
	case EINVAL:
		return ": this kernel has no user namespaces (CONFIG_USER_NS)";
	case EAGAIN:
		return ": a process limit is reached (ulimit -u, pids.max, kernel.pid_max)";
	default:
		return "";
	}
}

/* ---- the child ---- */

/* Becomes root of the namespace, makes the others, and waits until they are held. */
static void __attribute__((noreturn)) child_main(int line, uint64_t owned)
{
	char go;
	int err = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || read(line, &go, 1) != 1)
		_exit(1);
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 ||
	    (owned != 0 && unshare((int)owned) < 0))
		err = errno;
	/* the parent keeps the other end open as long as it needs us */
	if (send(line, &err, sizeof(err), MSG_NOSIGNAL) == sizeof(err) && read(line, &go, 1) < 0)
		_exit(1);
	_exit(0);
}

/* ---- the parent ---- */

static int write_map(pid_t pid, const char *name, const char *text, nsb_error *error)
{
	char path[64];
	NSB_CLOSE int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : write(fd, text, strlen(text));
	if (n == (ssize_t)strlen(text))
		return 0;
	return nsb_error_set(
		error, n < 0 ? errno : EIO, "cannot write the %s of the box: %s%s", name, strerror(errno),
		errno == EPERM ? ": the application needs CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID and CAP_SETFCAP" : "");
}

int userns_prove_map(const char *path, const char *wanted, nsb_error *error)
{
	char text[2 * NSB_IDMAP_TEXT_MAX + NSB_IDMAP_LINES_MAX * 36], line[64];
	ssize_t n = nsb_read_text_at(AT_FDCWD, path, text, sizeof(text));
	unsigned inside, outside, count;
	const char *at = wanted;
	char *save = NULL;

	for (char *got = n < 0 ? NULL : strtok_r(text, "\n", &save); got != NULL; got = strtok_r(NULL, "\n", &save)) {
		if (sscanf(got, "%u %u %u", &inside, &outside, &count) != 3)
			break;
		snprintf(line, sizeof(line), "%u %u %u\n", inside, outside, count);
		if (strncmp(at, line, strlen(line)) != 0)
			break;
		at += strlen(line);
	}
	return n >= 0 && *at == '\0' ? 0 : nsb_error_set(error, EPERM, "%s is not the map that was planned", path);
}

static int prove_child(pid_t pid, const char *name, const char *wanted, nsb_error *error)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return userns_prove_map(path, wanted, error);
}

static int open_namespace(pid_t pid, const char *name, nsb_error *error)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? nsb_error_set(error, errno, "cannot open %s: %s", path, strerror(errno)) : fd;
}

static int furnish(pid_t pid, int line, const userns_wish *w, nsb_error *error)
{
	int err = 0;
	int r = write_map(pid, "gid_map", w->gids, error);

	if (r == 0)
		r = write_map(pid, "uid_map", w->uids, error);
	if (r == 0)
		r = prove_child(pid, "uid_map", w->uids, error);
	if (r == 0)
		r = prove_child(pid, "gid_map", w->gids, error);
	if (r < 0)
		return r;
	if (send(line, "g", 1, MSG_NOSIGNAL) != 1 || nsb_wait_readable(line, nsb_now() + PATIENCE) < 0 ||
	    recv(line, &err, sizeof(err), MSG_DONTWAIT) != sizeof(err))
		return nsb_error_set(error, ECHILD, "the process that makes the box's namespaces ended");
	if (err != 0)
		return nsb_error_set(error, err, "cannot make the box's namespaces: %s%s", strerror(err), advice(err));
	r = *w->ret_user = open_namespace(pid, "user", error);
	for (size_t i = 0; r >= 0 && i < USERNS_OWNED; i++)
		if (w->owned & userns_owned[i].flag)
			r = w->ret_owned[i] = open_namespace(pid, userns_owned[i].proc, error);
	return r < 0 ? r : 0;
}

int userns_new(const userns_wish *w, nsb_error *error)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	NSB_CLOSE int ours = -1;
	int line[2], r;
	long pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0)
		return nsb_error_set(error, errno, "cannot make a socket pair: %s", strerror(errno));
	ours = line[0];
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		close(line[0]);
		child_main(line[1], w->owned);
	}
	close(line[1]);
	if (pid < 0)
		return nsb_error_set(error, errno, "user_namespace = keep-id: cannot make a user namespace: %s%s",
				     strerror(errno), advice(errno));
	r = furnish((pid_t)pid, ours, w, error);
	ours = nsb_close(ours);
	kill((pid_t)pid, SIGKILL);
	while (waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

int userns_map_mount(int mount, int user, unsigned recursive)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user };

	return sys_mount_setattr(mount, "", AT_EMPTY_PATH | recursive, &attributes, sizeof(attributes)) < 0 ? -errno
													    : 0;
}
