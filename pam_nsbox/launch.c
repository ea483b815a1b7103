/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper is a grandchild of the application. Between them stands a process that ends at once, so that the helper is
 * nobody's child that an application could wait for by accident (login's wait(NULL), cron's wait loop). The one between
 * is made with exit signal 0: the application, which may handle, block or ignore SIGCHLD, does not hear of it
 * (clone(2): such a child is seen by waitid(__WALL) only, and only as long as it does not exec).
 *
 * Both share the application's memory, so a large application costs no more than a small one. The grandchild is made
 * like vfork(2); the one between is not, because whoever calls su or sudo shares its real uid for its first instants: a
 * SIGSTOP sent then takes effect when it is root's already, and would hold the application for ever. So the application
 * waits for it with a deadline and keeps sending SIGCONT.
 */
#include "pam_nsbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"

#define STACK_SIZE    (64 * 1024) /* for each of the two */
#define HELPER_SOCKET 3
#define NUDGE	      10 /* ms between two SIGCONT */
#define MAPPING	      (2 * STACK_SIZE + sizeof(launch))

/* Shared by the three. In the mapping of the stacks, not on the application's stack: a child that outlives the deadline
 * must not write into what is something else by then. */
typedef struct launch {
	int socket;
	pid_t application;
	char *grandchild_stack; /* its upper end */
	volatile int err;	/* set by either child */
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
	 * this process to be one. For su and sudo the real uid is the caller's, who may signal this process; after
	 * setresuid not. If he stopped it before and now kills the application, it must not stay: PDEATHSIG, which a
	 * change of the effective gid clears, but not one of the real uid. */
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		l->err = errno;
	else if (syscall(SYS_getppid) != l->application)
		_exit(1); /* gone before that */
	else if (syscall(SYS_setresuid, 0, 0, 0) < 0)
		l->err = errno;
	else if (syscall(SYS_setsid) < 0)
		l->err = errno; /* Ctrl-C and Ctrl-Z of the terminal would reach the helper */
	else if (clone(grandchild, l->grandchild_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, l) < 0)
		l->err = errno;
	_exit(0);
}

/* Waits until the one between has ended. 0, or -ETIMEDOUT: it was killed at the deadline. */
static int wait_for_child(int pidfd, pid_t pid, int64_t deadline)
{
	siginfo_t ended;
	int64_t now;
	int r;

	while ((now = nsb_now()) < deadline && (r = nsb_wait_readable(pidfd, now + NUDGE)) == -ETIMEDOUT)
		syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
	if (now >= deadline)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PID, (id_t)pid, &ended, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	return now >= deadline ? -ETIMEDOUT : 0;
}

static void unmap(char **stacks)
{
	if (*stacks != NULL)
		munmap(*stacks, MAPPING);
}

/* Starts the helper with `socket`. 0 or negative errno. *ret_stacks: what is to be unmapped when there is time for it. */
static int start(int socket, int64_t deadline, char **ret_stacks)
{
	sigset_t all, before;
	NSB_CLOSE int pidfd = -1;
	launch *l;
	int pid, r;
	char *stacks = mmap(NULL, MAPPING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stacks == MAP_FAILED)
		return -errno;
	l = (launch *)(void *)(stacks + 2 * STACK_SIZE);
	*l = (launch){ .socket = socket, .application = getpid(), .grandchild_stack = stacks + STACK_SIZE };
	/* no handler of the application may run in a child that shares its memory */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone(child, stacks + 2 * STACK_SIZE, CLONE_VM | CLONE_PIDFD, l, &pidfd);
	r = pid < 0 ? -errno : wait_for_child(pidfd, pid, deadline);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		r = -l->err;
	/* At the deadline the grandchild may still stand before its exec, on its stack: that memory is given up. */
	if (r != -ETIMEDOUT)
		*ret_stacks = stacks;
	return r;
}

int launch_helper(const nsb_request *request, nsb_answer *ret_answer, int *ret_socket, nsb_error *error)
{
	int64_t deadline = nsb_now() + NSB_MODULE_DEADLINE;
	NSB_CLOSE int ours = -1;
	NSB_CLOSE int theirs = -1;
	__attribute__((cleanup(unmap))) char *stacks = NULL;
	int pair[2], r;

	error->stage = NSB_STAGE_LAUNCH;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return nsb_error_set(error, errno, "cannot make a socket pair: %s", strerror(errno));
	ours = pair[0];
	theirs = pair[1];
	r = start(theirs, deadline, &stacks);
	if (r < 0)
		return nsb_error_set(error, r, "cannot run " NSB_LIBEXECDIR "/nsbox-helper: %s", strerror(-r));
	/* so that the helper's end is the only one, and its death the end of the line */
	theirs = nsb_close(theirs);
	r = nsb_request_send(ours, request);
	/* EPIPE: it refused before it read the question; its answer is waiting */
	if (r < 0 && r != -EPIPE)
		return nsb_error_set(error, r, "cannot ask nsbox-helper: %s", strerror(-r));
	/* while the helper works: a munmap(2) takes 0.1 ms, as long as both processors have seen the memory */
	unmap(&stacks);
	stacks = NULL;
	r = nsb_answer_receive(ours, deadline, ret_answer);
	/* It answered, and ended with our question unread: unix(7) reports that once, before the answer that is
	 * waiting. */
	if (r == -ECONNRESET)
		r = nsb_answer_receive(ours, deadline, ret_answer);
	if (r == -EPIPE || r == -ECONNRESET)
		return nsb_error_set(error, r, "nsbox-helper ended without an answer (see its own lines in syslog)");
	if (r < 0)
		return nsb_error_set(error, r, "no valid answer of nsbox-helper: %s%s", strerror(-r),
				     r == -EPROTO ? " (do module and helper have the same version?)" : "");
	*ret_socket = nsb_steal_fd(&ours);
	return 0;
}
