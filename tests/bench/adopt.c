/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an application could not be spared if its box stood ready and only had to be handed over: the question to whoever keeps it, the
 * join, and what the application takes upon itself. By bare calls, in a new process each time, because there is no way back from a
 * filter. The box is the floor's; making and ending it are not counted.
 *
 * Arguments: those of the floor, and a file with the filter of system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/floor.h"

#define KEPT (1ULL << CAP_CHOWN | 1ULL << CAP_KILL | 1ULL << CAP_SETGID | 1ULL << CAP_SETUID) /* of the bounding set */

typedef struct handed {
	char byte;
	struct iovec data;
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr head;
	} fds;
	struct msghdr message;
} handed;

static handed *prepare(handed *h)
{
	*h = (handed){ .data = { &h->byte, 1 } };
	h->message = (struct msghdr){ .msg_iov = &h->data,
				      .msg_iovlen = 1,
				      .msg_control = h->fds.bytes,
				      .msg_controllen = sizeof(h->fds.bytes) };
	return h;
}

static int failed(const char *what)
{
	fprintf(stderr, "adopt: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Hands out the one box when it is asked. */
static int keep(const floor_box *f, int socket)
{
	const int fds[2] = { f->pidfd, f->tasks >= 0 ? f->tasks : f->pidfd };
	handed h;

	if (read(socket, &h.byte, 1) != 1)
		return 1;
	prepare(&h);
	h.fds.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(fds)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&h.fds.head), fds, sizeof(fds));
	return sendmsg(socket, &h.message, 0) == 1 ? 0 : failed("sendmsg");
}

static int bound(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (!(KEPT & 1ULL << capability) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return failed("bounding set");
	return 0;
}

/* What the module does between the answer of the helper and its own return. */
static int adopt(const floor_box *f, int socket, const struct sock_fprog *filter)
{
	int own[FLOOR_WAYS_BACK], fds[2];
	handed h;

	timer_start(f->time);
	if (write(socket, "?", 1) != 1 || recvmsg(socket, &prepare(&h)->message, MSG_CMSG_CLOEXEC) != 1)
		return failed("asking");
	memcpy(fds, CMSG_DATA(&h.fds.head), sizeof(fds));
	timer_step(f->time, "ask");
	if (floor_save(own) != 0)
		return 1;
	timer_step(f->time, "save");
	if (f->tasks >= 0 && write(fds[1], "0", 1) != 1)
		return failed("entering the control group");
	timer_step(f->time, "enter group");
	if (syscall(SYS_setns, fds[0], FLOOR_NAMESPACES) < 0 || chdir("/") < 0)
		return failed("setns");
	timer_step(f->time, "join");
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "adopt") < 0 && errno != ENOSYS && errno != EPERM)
		return failed("keyring");
	timer_step(f->time, "keyring");
	if (bound() != 0)
		return 1;
	timer_step(f->time, "bounding set");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) < 0)
		return failed("filter");
	timer_step(f->time, "filter");
	return 0;
}

static int wait_for(pid_t pid)
{
	int status;

	return pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0;
}

static int hand_over(floor_box *f, const struct sock_fprog *filter)
{
	int sockets[2], r;
	pid_t keeper, application;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return failed("socketpair");
	keeper = fork();
	if (keeper == 0)
		_exit(keep(f, sockets[0]));
	application = fork();
	if (application == 0)
		_exit(adopt(f, sockets[1], filter));
	close(sockets[0]);
	close(sockets[1]);
	r = wait_for(application);
	return wait_for(keeper) || r;
}

static int read_filter(const char *path, struct sock_fprog *ret)
{
	static struct sock_filter program[BPF_MAXINSNS];
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, program, sizeof(program));

	if (path == NULL) {
		fprintf(stderr, "usage: contestant adopt PROGRAM GROUP|- FILTER\n");
		return 1;
	}
	if (n < 0)
		return failed(path);
	close(fd);
	*ret = (struct sock_fprog){ .len = (unsigned short)((size_t)n / sizeof(program[0])), .filter = program };
	return 0;
}

int adopt_round(timer *t, char **arguments)
{
	struct sock_fprog filter;
	timer adopted;
	floor_box f;
	int r = floor_begin(&f, arguments);

	if (r == 0)
		r = read_filter(arguments[2], &filter);
	if (r == 0)
		r = floor_make(&f);
	if (r == 0)
		r = hand_over(&f, &filter);
	if (r != 0)
		return r;
	adopted = *f.time;
	r = floor_end(&f);
	*t = adopted;
	floor_done(&f);
	return r;
}
