/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * network = loopback: three quarters of what clone3(2) of a box costs is its network namespace. So a child makes that beside
 * us, while we prepare the host's part, and the builder enters it. The child has our table of descriptors (CLONE_FILES): what
 * it opens is ours, and its exit status is the number. Where that fails, clone3(2) makes the namespace.
 *
 * Not for a network with links, which are put into the namespace of PID 1 by its pid, nor for a box with a user namespace,
 * which owns its network namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/idmap.h"
#include "helper/namespaces.h"
#include "helper/steps.h"

#define NUMBER_MAX 255 /* of an exit status; 0 is /dev/null, and says that it failed */

static bool has_loopback_only(const nsb_box *box)
{
	bool loopback = false;

	for (size_t i = 0; i < box->plan.n_steps; i++) {
		if (box->plan.steps[i].op == NSB_OP_NETWORK)
			return false;
		loopback |= box->plan.steps[i].op == NSB_OP_LOOPBACK;
	}
	return loopback && (box->plan.namespaces & CLONE_NEWNET) && !idmap_wanted(box);
}

static void __attribute__((noreturn)) make(pid_t helper)
{
	int fd;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != helper || unshare(CLONE_NEWNET) < 0 ||
	    namespaces_raise_loopback() < 0)
		_exit(0);
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_exit(fd > 0 && fd <= NUMBER_MAX ? fd : 0);
}

void network_ahead_begin(nsb_box *box)
{
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	pid_t helper = getpid();
	long pid;

	if (!has_loopback_only(box))
		return;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		make(helper);
	box->network_maker = pid > 0 ? (pid_t)pid : 0;
}

int network_ahead_take(nsb_box *box)
{
	int status;
	pid_t maker = box->network_maker;

	box->network_maker = 0;
	if (maker <= 0)
		return -1;
	while (waitpid(maker, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) > 0 ? WEXITSTATUS(status) : -1;
}
