/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exhaust WHAT [MOST]: takes as many of something as it gets, at most MOST. Prints "N ERRNO" ("N OK" if MOST was
 * reached), and holds them until its standard input ends. ptys inotify watches keys signals files queues shm pipes
 * ports users mounts Each says below what the kernel counts it by.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attacks/nest.h"

/* A descriptor for each, and RLIMIT_NOFILE for a process: after `share` of them a child goes on. The parent holds what
 * it has as long as the child lives. */
static int pass_on(long i, int share)
{
	pid_t child;

	if (i == 0 || i % share != 0)
		return 0;
	child = fork();
	if (child > 0)
		_exit(waitpid(child, NULL, 0) == child ? 0 : 1);
	for (int fd = 3; child == 0 && fd < share + 64; fd++)
		close(fd);
	return child;
}

/* per instance of devpts: its max=; all instances together: kernel.pty.max less kernel.pty.reserve */
static int one_pty(long i)
{
	(void)i;
	return posix_openpt(O_RDWR | O_NOCTTY) < 0 ? -1 : 0;
}

/* per user: fs.inotify.max_user_instances */
static int one_inotify(long i)
{
	(void)i;
	return inotify_init1(IN_CLOEXEC) < 0 ? -1 : 0;
}

/* per user: fs.inotify.max_user_watches; a file once in each instance */
static int one_watch(long i)
{
	enum { FILES = 4000 };
	static int instance;
	char path[64];

	if (i % FILES == 0 && (instance = inotify_init1(IN_CLOEXEC)) < 0)
		return -1;
	snprintf(path, sizeof(path), "/tmp/nsbox-watch-%ld", i % FILES);
	if (i < FILES)
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	return inotify_add_watch(instance, path, IN_MODIFY) < 0 ? -1 : 0;
}

/* per user: kernel.keys.maxkeys */
static int one_key(long i)
{
	char name[64];

	snprintf(name, sizeof(name), "nsbox-attack-%ld", i);
	return syscall(SYS_add_key, "user", name, "x", 1, -2 /* of this process */) < 0 ? -1 : 0;
}

/* per user: RLIMIT_SIGPENDING */
static int one_signal(long i)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = (int)i });
}

/* per process: RLIMIT_NOFILE */
static int one_file(long i)
{
	(void)i;
	return open("/dev/null", O_RDONLY) < 0 ? -1 : 0;
}

/* bytes per user: RLIMIT_MSGQUEUE; number per IPC namespace */
static int one_queue(long i)
{
	struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
	char name[64];

	snprintf(name, sizeof(name), "/nsbox-attack-%d-%ld", getpid(), i);
	return mq_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600, &attributes) < 0 ? -1 : 0;
}

/* per IPC namespace: kernel.shmmni */
static int one_shm(long i)
{
	(void)i;
	return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) < 0 ? -1 : 0;
}

/* pages per user: fs.pipe-user-pages-soft; from there on a new pipe is small */
static int one_pipe(long i)
{
	int ends[2];

	(void)i;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (fcntl(ends[0], F_GETPIPE_SZ) >= 65536)
		return 0;
	errno = ENOBUFS;
	return -1;
}

/* per network namespace */
static int one_port(long i)
{
	enum { FIRST = 1024 };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(FIRST + i)) };
	int fd;

	errno = EADDRINUSE;
	if (FIRST + i > 65535 || pass_on(i, 4000) < 0)
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* also those of connections that have just ended */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	/* one that somebody has is taken already */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EADDRINUSE ? 0 : -1;
	return listen(fd, 1);
}

/* per user, in each user namespace above: user.max_user_namespaces */
static int one_user(long i)
{
	char path[64];
	pid_t child;
	int fd, error;

	if (pass_on(i, 4000) < 0)
		return -1;
	child = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0);
	if (child < 0)
		return -1;
	if (child == 0)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	fd = open(path, O_RDONLY | O_CLOEXEC); /* pins it */
	error = errno;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	errno = error;
	return fd < 0 ? -1 : 0;
}

/* per mount namespace: fs.mount-max; a tree bound into itself doubles */
static int one_mount(long i)
{
	char path[64];

	if (i == 0) {
		if (nest(0) < 0 || mount("none", "/tmp", "tmpfs", 0, NULL) < 0)
			return -1;
	}
	snprintf(path, sizeof(path), "/tmp/%ld", i);
	mkdir(path, 0700);
	return mount("/tmp", path, NULL, MS_BIND | MS_REC, NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*take)(long);
	} kinds[] = { { "ptys", one_pty },     { "inotify", one_inotify }, { "watches", one_watch },
		      { "keys", one_key },     { "signals", one_signal },  { "files", one_file },
		      { "queues", one_queue }, { "shm", one_shm },	   { "pipes", one_pipe },
		      { "ports", one_port },   { "users", one_user },	   { "mounts", one_mount } };
	long most = argc > 2 ? atol(argv[2]) : LONG_MAX, number = 0;
	struct rlimit limit;
	char byte;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (size_t i = 0; argc > 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[1], kinds[i].name) != 0)
			continue;
		errno = 0;
		while (number < most && kinds[i].take(number) == 0)
			number++;
		printf("%ld %s\n", number, number == most ? "OK" : strerrorname_np(errno));
		fflush(stdout);
		while (read(0, &byte, 1) > 0)
			;
		return 0;
	}
	return 2;
}
