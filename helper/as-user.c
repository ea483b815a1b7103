/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/as-user.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "helper/capabilities.h"

typedef union room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
} room;

static int set_ids(nsb_box *box)
{
	const nsb_session *session = &box->session;
	NSB_FREE gid_t *groups = calloc(session->n_groups + 1, sizeof(*groups));

	if (groups == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < session->n_groups; i++)
		groups[i] = session->groups[i].gid;
	if (setgroups(session->n_groups, groups) < 0 || setresgid(session->gid, session->gid, session->gid) < 0 ||
	    prctl(PR_SET_KEEPCAPS, 1) < 0 || setresuid(session->uid, session->uid, session->uid) < 0)
		return nsb_error_set(&box->error, errno, "cannot take the ids of %s: %s", session->user,
				     strerror(errno));
	/* a change of ids may have undone it, prctl(2) */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return 0;
}

static int prove_ids(nsb_box *box)
{
	const nsb_session *session = &box->session;
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) < 0 || r != session->uid || e != session->uid || s != session->uid ||
	    getresgid(&rg, &eg, &sg) < 0 || rg != session->gid || eg != session->gid || sg != session->gid ||
	    getgroups(0, NULL) != (int)session->n_groups)
		return nsb_error_set(&box->error, EPERM, "the ids are not those of %s", session->user);
	return 0;
}

/* The result, with the descriptor if it is one. */
static int answer(int line, const nsb_error *error, int fd)
{
	struct iovec part = { (void *)error, sizeof(*error) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	room control;

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(fd));
	}
	return sendmsg(line, &message, MSG_NOSIGNAL) == sizeof(*error) ? 0 : -1;
}

static void __attribute__((noreturn))
work_as_user(nsb_box *box, bool mounts, int (*work)(nsb_box *box, const void *data), const void *data, int line)
{
	int r = set_ids(box);

	if (r == 0)
		r = capabilities_keep_mount(mounts, &box->error);
	if (r == 0)
		r = prove_ids(box);
	if (r == 0)
		r = work(box, data);
	box->error.err = r < 0 ? -r : 0;
	_exit(answer(line, &box->error, r) < 0);
}

static int receive(int line, nsb_error *ret)
{
	struct iovec part = { ret, sizeof(*ret) };
	room control;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	struct cmsghdr *head;
	ssize_t n;
	int fd;

	do
		n = recvmsg(line, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*ret))
		return -ECHILD;
	if (ret->err != 0)
		return -ret->err;
	head = CMSG_FIRSTHDR(&message);
	if (head == NULL || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
		return -ECHILD;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

int as_user_open(nsb_box *box, bool mounts, int (*work)(nsb_box *box, const void *data), const void *data)
{
	nsb_error theirs = { 0 };
	int line[2], fd;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) < 0)
		return nsb_error_set(&box->error, errno, "cannot make a socket pair: %s", strerror(errno));
	child = fork();
	if (child == 0)
		work_as_user(box, mounts, work, data, line[1]);
	close(line[1]);
	fd = child > 0 ? receive(line[0], &theirs) : -EAGAIN;
	close(line[0]);
	if (child < 0)
		return nsb_error_set(&box->error, EAGAIN, "cannot start a process with the ids of %s",
				     box->session.user);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	if (fd == -ECHILD)
		return nsb_error_set(&box->error, ECHILD, "the process with the ids of %s was killed",
				     box->session.user);
	if (fd < 0 && theirs.words[0] != '\0')
		return nsb_error_set(&box->error, fd, "%s", theirs.words);
	return fd;
}
