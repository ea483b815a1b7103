/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper is a grandchild of the application. Between them stands a process that ends at once, so that the helper is
 * nobody's child that an application could wait for by accident (login's wait(NULL), cron's wait loop). The one between
 * is made with exit signal 0: the application, which may handle, block or ignore SIGCHLD, does not hear of it
 * (clone(2): such a child is seen by waitid(__WALL) only, and only as long as it does not exec).
 *
 * Both are made like vfork(2): they share the application's memory, which is paused, so a large application costs no
 * more than a small one.
 */
#include "pam_nsbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"

#define STACK_SIZE    (64 * 1024) /* for each of the two */
#define HELPER_SOCKET 3

typedef struct launch {
	int socket;
	char *stack; /* of the grandchild: its upper end */
	int err;     /* set by either child: memory is shared */
} launch;

static int grandchild(void *argument)
{
	launch *l = argument;
	char *const arguments[] = { (char *)"nsbox-helper", NULL };
	char *const environment[] = { NULL };

	if (l->socket == HELPER_SOCKET ? fcntl(HELPER_SOCKET, F_SETFD, 0) < 0 : dup2(l->socket, HELPER_SOCKET) < 0)
		l->err = errno;
	else
		l->err = execve(NSB_LIBEXECDIR "/nsbox-helper", arguments, environment) < 0 ? errno : 0;
	_exit(127);
}

static int child(void *argument)
{
	launch *l = argument;

	/* By number: glibc's wrappers would change the ids of the application's other threads, of which they believe
	 * this process to be one. For su and sudo the real uid is the caller's, who could signal this process and what
	 * it starts; from here on not. */
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		l->err = errno;
	else if (syscall(SYS_setsid) < 0)
		l->err = errno; /* Ctrl-C and Ctrl-Z of the terminal would reach the helper */
	else if (clone(grandchild, l->stack, CLONE_VM | CLONE_VFORK | SIGCHLD, l) < 0)
		l->err = errno;
	_exit(0);
}

/* Starts the helper with `socket`. 0 or negative errno. */
static int start(int socket)
{
	launch l = { .socket = socket };
	sigset_t all, before;
	siginfo_t ended;
	char *stacks =
		mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	int pid, r = 0;

	if (stacks == MAP_FAILED)
		return -errno;
	l.stack = stacks + STACK_SIZE;
	/* no handler of the application may run in a child that shares its memory */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone(child, stacks + 2 * STACK_SIZE, CLONE_VM | CLONE_VFORK, &l);
	if (pid < 0)
		r = -errno;
	else
		while (waitid(P_PID, (id_t)pid, &ended, WEXITED | __WALL) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(stacks, 2 * STACK_SIZE);
	return r < 0 ? r : -l.err;
}

int launch_helper(const nsb_request *request, nsb_answer *ret_answer, int *ret_socket, nsb_error *error)
{
	int64_t deadline = nsb_now() + NSB_MODULE_DEADLINE;
	NSB_CLOSE int ours = -1;
	NSB_CLOSE int theirs = -1;
	int pair[2], r;

	error->stage = NSB_STAGE_LAUNCH;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return nsb_error_set(error, errno, "cannot make a socket pair: %s", strerror(errno));
	ours = pair[0];
	theirs = pair[1];
	r = start(theirs);
	if (r < 0)
		return nsb_error_set(error, r, "cannot run " NSB_LIBEXECDIR "/nsbox-helper: %s", strerror(-r));
	/* so that the helper's end is the only one, and its death the end of the line */
	theirs = nsb_close(theirs);
	r = nsb_request_send(ours, request);
	/* EPIPE: it refused before it read the question; its answer is waiting */
	if (r < 0 && r != -EPIPE)
		return nsb_error_set(error, r, "cannot ask nsbox-helper: %s", strerror(-r));
	r = nsb_answer_receive(ours, deadline, ret_answer);
	/* It answered, and ended with our question unread: unix(7) reports that once, before the answer that is waiting. */
	if (r == -ECONNRESET)
		r = nsb_answer_receive(ours, deadline, ret_answer);
	if (r == -EPIPE || r == -ECONNRESET)
		return nsb_error_set(error, r, "nsbox-helper ended without an answer (see its own lines in syslog)");
	if (r < 0)
		return nsb_error_set(error, r, "no valid answer of nsbox-helper: %s", strerror(-r));
	*ret_socket = nsb_steal_fd(&ours);
	return 0;
}
