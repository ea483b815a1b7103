/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a default box is by bare calls, and nothing else: no configuration, no checks, no record, no monitor; a process makes it, joins it,
 * leaves it and ends it. What pam_nsbox takes beside this is what there is to save. The mounts are those of the plan
 * (tests/golden/cases/ssh-default.plan), by the classic calls.
 *
 * Arguments: PROGRAM, which is PID 1 (floor-init), and the directory of a control group, or "-".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/floor.h"

#define STAGING "/tmp" /* where the new root grows */
#define READY	3      /* the descriptor that PID 1 writes to */
#define QUIET	(MS_NOSUID | MS_NODEV)

static int failed(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- PID 1, until it runs its program ---- */

static int up_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &lo);

	close(fd);
	return r;
}

static int clone_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("/", STAGING, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -1;
	return chdir(STAGING);
}

static int detach(void)
{
	static const char *const places[] = { "proc", "sys", "dev", "run" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		while (umount2(places[i], MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
	return errno == EINVAL ? 0 : -1;
}

static int mount_views(void)
{
	static const struct {
		const char *type, *place, *data;
		unsigned long flags;
		mode_t mode; /* of the directory, where it has to be made */
	} views[] = {
		{ "tmpfs", "run", "mode=0755,size=10%", QUIET, 0 },
		{ "tmpfs", "run/user", "mode=0755,size=10%", QUIET, 0755 },
		{ "sysfs", "sys", NULL, QUIET | MS_NOEXEC | MS_RDONLY, 0 },
		{ "tmpfs", "dev", "mode=0755,size=1%", MS_NOSUID | MS_NOEXEC, 0 },
		{ "devpts", "dev/pts", "newinstance,gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, 0755 },
		{ "tmpfs", "dev/shm", "mode=1777,size=10%", QUIET, 0755 },
		{ "mqueue", "dev/mqueue", NULL, QUIET | MS_NOEXEC, 0755 },
		{ "tmpfs", "tmp", "mode=1777,size=10%", QUIET, 0 },
		{ "tmpfs", "var/tmp", "mode=1777,size=10%", QUIET, 0 },
	};

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if ((views[i].mode != 0 && mkdir(views[i].place, views[i].mode) < 0) ||
		    mount("none", views[i].place, views[i].type, views[i].flags, views[i].data) < 0)
			return -1;
	return 0;
}

static int make_nodes(void)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = { { "dev/null", 1, 3 },    { "dev/zero", 1, 5 }, { "dev/full", 1, 7 }, { "dev/random", 1, 8 },
		      { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },  { "dev/ptmx", 5, 2 } };

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (mknod(nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			return -1;
	return symlink("/proc/self/fd", "dev/fd");
}

static int mount_proc(void)
{
	static const char *const masked[] = { "proc/kcore", "proc/keys", "proc/timer_list" };
	static const char *const read_only[] = { "proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus", "proc/fs" };
	const unsigned long flags = QUIET | MS_NOEXEC;

	if (mount("proc", "proc", "proc", flags, NULL) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++)
		if (mount("dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			return -1;
	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
		if (access(read_only[i], F_OK) == 0 &&
		    (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) < 0 ||
		     mount(NULL, read_only[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL) < 0))
			return -1;
	return 0;
}

static int pivot(void)
{
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return -1;
	return sethostname("floor", 5) < 0 ? -1 : chdir("/");
}

static void __attribute__((noreturn)) be_init(floor_box *f)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} steps[] = { { "loopback", up_loopback }, { "root", clone_root },  { "detach", detach },
		      { "mounts", mount_views },   { "nodes", make_nodes }, { "proc", mount_proc },
		      { "pivot", pivot } };
	char *const arguments[] = { (char *)"floor-init", NULL };
	struct stat here;

	timer_step(f->time, "clone3");
	/* before the first mount: one in the host's own namespace would break it */
	if (stat("/proc/self/ns/mnt", &here) < 0 || here.st_ino == f->host.st_ino)
		_exit(failed("not in a new mount namespace"));
	if (f->tasks >= 0 && write(f->tasks, "0", 1) != 1)
		_exit(failed("entering the control group"));
	timer_step(f->time, "enter group");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i].run() < 0)
			_exit(failed(steps[i].name));
		timer_step(f->time, steps[i].name);
	}
	if (dup2(f->ready[1], READY) < 0)
		_exit(failed("dup2"));
	syscall(SYS_execveat, f->program_fd, "", arguments, NULL, AT_EMPTY_PATH);
	_exit(failed(f->program));
}

/* ---- who makes it ---- */

static int make_group(floor_box *f)
{
	char path[192];
	int limit;

	f->tasks = -1;
	if (strcmp(f->group_above, "-") == 0)
		return 0;
	snprintf(f->group, sizeof(f->group), "%s/floor-%d", f->group_above, getpid());
	if (mkdir(f->group, 0755) < 0)
		return failed(f->group);
	snprintf(path, sizeof(path), "%s/pids.max", f->group);
	limit = open(path, O_WRONLY | O_CLOEXEC);
	if (limit >= 0 && write(limit, "2048", 4) != 4)
		return failed(path);
	close(limit);
	snprintf(path, sizeof(path), "%s/tasks", f->group);
	f->tasks = open(path, O_WRONLY | O_CLOEXEC);
	if (f->tasks < 0) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", f->group);
		f->tasks = open(path, O_WRONLY | O_CLOEXEC);
	}
	return f->tasks < 0 ? failed(path) : 0;
}

static pid_t spawn(floor_box *f)
{
	struct clone_args arguments = { .flags = FLOOR_NAMESPACES | CLONE_PIDFD,
					.pidfd = (uint64_t)(uintptr_t)&f->pidfd,
					.exit_signal = SIGCHLD };

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

int floor_save(int own[FLOOR_WAYS_BACK])
{
	static const char *const names[FLOOR_WAYS_BACK] = { "cgroup", "ipc", "mnt", "net", "pid", "uts" };

	for (size_t i = 0; i < FLOOR_WAYS_BACK; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		own[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (own[i] < 0)
			return failed(path);
	}
	return 0;
}

/* The namespaces of the box, and back: each by its own descriptor, because all at once is possible by a pidfd only. */
static int visit(floor_box *f)
{
	int own[FLOOR_WAYS_BACK], root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (floor_save(own) != 0)
		return 1;
	timer_step(f->time, "save");
	if (syscall(SYS_setns, f->pidfd, FLOOR_NAMESPACES) < 0)
		return failed("setns");
	timer_step(f->time, "join");
	for (size_t i = 0; i < FLOOR_WAYS_BACK; i++) {
		if (syscall(SYS_setns, own[i], 0) < 0)
			return failed("setns back");
		close(own[i]);
	}
	if (fchdir(root) < 0 || chroot(".") < 0)
		return failed("chroot");
	close(root);
	timer_step(f->time, "leave");
	return 0;
}

int floor_end(floor_box *f)
{
	int status;

	if (kill(f->init, SIGKILL) < 0 || waitpid(f->init, &status, 0) < 0)
		return failed("ending PID 1");
	timer_step(f->time, "end");
	close(f->pidfd);
	if (f->tasks < 0)
		return 0;
	close(f->tasks);
	while (rmdir(f->group) < 0)
		if (errno != EBUSY)
			return failed(f->group);
	timer_step(f->time, "remove group");
	return 0;
}

int floor_make(floor_box *f)
{
	char byte;

	timer_start(f->time);
	if (make_group(f) != 0)
		return 1;
	timer_step(f->time, "make group");
	if (pipe2(f->ready, O_CLOEXEC) < 0)
		return failed("pipe");
	f->init = spawn(f);
	if (f->init == 0)
		be_init(f);
	close(f->ready[1]);
	if (f->init < 0 || read(f->ready[0], &byte, 1) != 1)
		return failed("PID 1");
	close(f->ready[0]);
	timer_step(f->time, "exec");
	return 0;
}

int floor_begin(floor_box *f, char **arguments)
{
	int low;

	*f = (floor_box){ .program = arguments[0], .group_above = arguments[0] == NULL ? NULL : arguments[1] };
	if (f->group_above == NULL) {
		fprintf(stderr, "usage: contestant floor PROGRAM GROUP|-\n");
		return 1;
	}
	if (stat("/proc/self/ns/mnt", &f->host) < 0)
		return failed("/proc/self/ns/mnt");
	low = open(f->program, O_PATH | O_CLOEXEC);
	if (low < 0)
		return failed(f->program);
	f->program_fd = fcntl(low, F_DUPFD_CLOEXEC, READY + 1); /* PID 1 has READY */
	close(low);
	f->time = mmap(NULL, sizeof(*f->time), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return f->program_fd < 0 || f->time == MAP_FAILED ? failed(f->program) : 0;
}

void floor_done(floor_box *f)
{
	munmap(f->time, sizeof(*f->time));
	close(f->program_fd);
}

int floor_round(timer *t, char **arguments)
{
	floor_box f;
	int r = floor_begin(&f, arguments);

	if (r == 0)
		r = floor_make(&f);
	if (r == 0)
		r = visit(&f);
	if (r == 0)
		r = floor_end(&f);
	if (r != 0)
		return r;
	*t = *f.time;
	floor_done(&f);
	return 0;
}
