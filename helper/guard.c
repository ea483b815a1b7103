/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper/init-fds.h"

#define GUARD_STACK (64 * 1024) /* bytes, until it is another program */

typedef struct guard {
	nsb_box *box;
	int err;
} guard;

/* On our memory and instead of us, as a child of vfork(2). */
static int guard_main(void *argument)
{
	guard *g = argument;
	char *const arguments[] = { (char *)"nsbox-monitor", (char *)"guard", g->box->session.id, NULL };
	char *const environment[] = { NULL };

	/* the pipe takes the place of the socket */
	if (dup2(g->box->life[0], NSB_INIT_FD_LIFE) >= 0 &&
	    syscall(SYS_close_range, NSB_INIT_FD_LIFE + 1, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0)
		syscall(SYS_execveat, g->box->monitor_program, "", arguments, environment, AT_EMPTY_PATH);
	g->err = errno;
	_exit(127);
}

/* A child of our parent, so that nobody needs to reap it but the host's init. (Ours has ended: launch.c.) */
int guard_start(nsb_box *box)
{
	static char stack[GUARD_STACK] __attribute__((aligned(16)));
	guard g = { .box = box };

	if (pipe2(box->life, O_CLOEXEC) < 0)
		return nsb_error_set(&box->error, errno, "cannot make the life pipe: %s", strerror(errno));
	if (clone(guard_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD, &g) < 0)
		return nsb_error_set(&box->error, errno, "cannot start the guard: %s", strerror(errno));
	if (g.err != 0)
		return nsb_error_set(&box->error, g.err,
				     "cannot start the guard (" NSB_LIBEXECDIR "/nsbox-monitor): %s", strerror(g.err));
	return 0;
}
