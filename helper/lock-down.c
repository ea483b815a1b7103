/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/lock-down.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd-util.h"

static int become_root(nsb_error *error)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return nsb_error_set(error, errno, "not root: %s", strerror(errno));
	if (getresuid(&r, &e, &s) < 0 || r != 0 || e != 0 || s != 0 || getresgid(&rg, &eg, &sg) < 0 || rg != 0 ||
	    eg != 0 || sg != 0 || getgroups(0, NULL) != 0)
		return nsb_error_set(error, EPERM, "cannot become root with all ids");
	return 0;
}

/* No handler outlives exec, but what is ignored or blocked does. Ignoring discards what is pending (a Ctrl-C of a moment
 * ago), so such a signal is ignored first, then set to default, and only then unblocked. */
static void reset_signals(void)
{
	sigset_t none, pending;

	sigpending(&pending);
	for (int number = 1; number < NSIG; number++) {
		struct sigaction now;

		if (sigaction(number, NULL, &now) < 0)
			continue; /* the C library keeps it to itself */
		if (sigismember(&pending, number) == 1 || number == SIGPIPE || number == SIGXFSZ)
			signal(number, now.sa_handler = SIG_IGN);
		if (now.sa_handler != SIG_DFL && number != SIGPIPE && number != SIGXFSZ)
			signal(number, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The limits that can stop the helper, with what it needs at least. */
static const struct {
	int resource;
	const char *name;
	rlim_t wanted, floor;
} limits[] = {
	{ RLIMIT_CPU, "RLIMIT_CPU (ulimit -t)", RLIM_INFINITY, 10 },
	{ RLIMIT_FSIZE, "RLIMIT_FSIZE (ulimit -f)", RLIM_INFINITY, 64 * 1024 * 1024 },
	{ RLIMIT_DATA, "RLIMIT_DATA (ulimit -d)", RLIM_INFINITY, 64 * 1024 * 1024 },
	{ RLIMIT_STACK, "RLIMIT_STACK (ulimit -s)", 8 * 1024 * 1024, 1024 * 1024 },
	{ RLIMIT_AS, "RLIMIT_AS (ulimit -v)", RLIM_INFINITY, 256 * 1024 * 1024 },
	{ RLIMIT_NOFILE, "RLIMIT_NOFILE (ulimit -n)", 1024, 256 },
	{ RLIMIT_NPROC, "RLIMIT_NPROC (ulimit -u)", RLIM_INFINITY, 0 }, /* does not bind uid 0 */
	{ RLIMIT_CORE, "RLIMIT_CORE (ulimit -c)", 0, 0 },
};

static int raise_limits(nsb_error *error)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit have, want = { limits[i].wanted, limits[i].wanted };

		if (setrlimit(limits[i].resource, &want) == 0)
			continue;
		/* without CAP_SYS_RESOURCE: as far up as the hard limit allows */
		if (getrlimit(limits[i].resource, &have) < 0)
			return nsb_error_set(error, errno, "cannot read %s: %s", limits[i].name, strerror(errno));
		have.rlim_cur = have.rlim_max < limits[i].wanted ? have.rlim_max : limits[i].wanted;
		if (setrlimit(limits[i].resource, &have) < 0 || have.rlim_cur < limits[i].floor)
			return nsb_error_set(error, EMFILE, "%s is %llu, below %llu: log in again with higher limits",
					     limits[i].name, (unsigned long long)have.rlim_max,
					     (unsigned long long)limits[i].floor);
	}
	return 0;
}

static void reset_scheduling(void)
{
	cpu_set_t all;
	struct sched_param ordinary = { 0 };
	int fd;

	memset(&all, 0xff, sizeof(all));
	/* none of these can make the box less safe if they fail, only slower */
	/* by number: musl refuses to */
	syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &ordinary);
	sched_setaffinity(0, sizeof(all), &all);
	setpriority(PRIO_PROCESS, 0, 0);
	syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, 0);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) < 0 && errno != EACCES)
		fprintf(stderr, "nsbox-helper: oom_score_adj: %s\n", strerror(errno));
	nsb_close(fd);
}

static int only_descriptor(int keep, nsb_error *error)
{
	int null;

	if (keep > 3 && syscall(SYS_close_range, 3, keep - 1, 0) < 0)
		return nsb_error_set(error, errno, "close_range: %s", strerror(errno));
	if (syscall(SYS_close_range, keep + 1, ~0u, 0) < 0)
		return nsb_error_set(error, errno, "close_range: %s", strerror(errno));
	null = open("/dev/null", O_RDWR | O_NOCTTY);
	if (null < 0)
		return nsb_error_set(error, errno, "cannot open /dev/null: %s", strerror(errno));
	for (int fd = 0; fd <= 2; fd++)
		if (null != fd && dup2(null, fd) < 0)
			return nsb_error_set(error, errno, "dup2: %s", strerror(errno));
	if (null > 2)
		close(null);
	return 0;
}

int lock_down(int keep, nsb_error *error)
{
	int r;

	/* first of all, because until then whoever shares our real uid may signal and trace us */
	r = become_root(error);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return nsb_error_set(error, errno, "cannot make the helper undumpable: %s", strerror(errno));
	if (setsid() < 0 && getsid(0) != getpid())
		return nsb_error_set(error, errno, "cannot leave the terminal: %s", strerror(errno));
	reset_signals();
	r = raise_limits(error);
	if (r == 0)
		r = only_descriptor(keep, error);
	if (r < 0)
		return r;
	reset_scheduling();
	umask(077);
	if (clearenv() != 0 || chdir("/") < 0)
		return nsb_error_set(error, errno, "cannot go to \"/\": %s", strerror(errno));
	return 0;
}
