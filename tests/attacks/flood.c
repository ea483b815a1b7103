/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flood HOW [N]: more processes than there may be. Prints "full N ERRNO" at the first that is refused, or "ready" where
 * nothing is ever refused, and goes on, deaf to signals, until it is killed.
 *   fork      a bomb: every process forks in a loop
 *   sessions  the same, each process in a session of its own, so that the scheduler's autogroups favour the bomb
 *   threads   threads that wait, then a loop that goes on trying
 *   zombies   children that end and are never waited for
 *   orphans   children that end after their parents: PID 1 has to reap them
 *   namespaces  namespaces of every type, made and left by N processes, in user namespaces of their own
 *   pids      takes N numbers for processes that end at once; "wrapped W, highest H"; ends
 * Outside of a box only with NSBOX_OUTSIDE in the environment: then a limit of its own of 300 keeps the host alive.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long wanted;

static void full(long number)
{
	printf("full %ld %s\n", number, strerrorname_np(errno));
	fflush(stdout);
}

/* Whoever is refused first tells: the one that began gets little time among all the others. */
static void bomb(int sessions)
{
	static struct {
		atomic_long number;
		atomic_flag told;
	} * all;

	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (;;) {
		pid_t child = fork();

		if (child < 0 && !atomic_flag_test_and_set(&all->told))
			full(all->number);
		else if (child > 0)
			all->number++;
		else if (child == 0 && sessions)
			setsid();
	}
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void threads(void)
{
	pthread_attr_t small;
	pthread_t thread;
	long number = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
	while ((errno = pthread_create(&thread, &small, wait_for_ever, NULL)) == 0)
		number++;
	full(number);
	for (;;)
		pthread_create(&thread, &small, wait_for_ever, NULL);
}

static void zombies(void)
{
	long number = 0;
	pid_t child;

	while ((child = fork()) >= 0) {
		if (child == 0)
			_exit(0);
		number++;
	}
	full(number);
	for (;;)
		if (fork() == 0)
			_exit(0);
}

static void orphans(void)
{
	puts("ready");
	fflush(stdout);
	signal(SIGCHLD, SIG_IGN);
	for (;;)
		if (fork() == 0) {
			/* the grandchildren end after this one */
			for (int i = 0; i < 8; i++)
				if (fork() == 0) {
					usleep(100);
					_exit(0);
				}
			_exit(0);
		}
}

/* The kernel takes them down one by one, under locks that every login needs. */
static void namespaces(void)
{
	const int all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	for (;;) {
		pid_t child = fork();

		if (child == 0)
			_exit(unshare(all) < 0);
		if (child > 0)
			waitpid(child, NULL, 0);
	}
}

static void workers(void (*what)(void))
{
	puts("ready");
	fflush(stdout);
	for (long i = 1; i < wanted; i++)
		if (fork() == 0)
			break;
	what();
}

static pid_t take_number(void)
{
	pid_t child = vfork();

	if (child == 0)
		_exit(0);
	return child;
}

static int pids(void)
{
	long wrapped = 0, highest = 0, last = 0;

	for (long i = 0; i < wanted; i++) {
		pid_t child = take_number();

		if (child < 0) {
			i--;
			continue;
		}
		waitpid(child, NULL, 0);
		wrapped += child < last;
		highest = child > highest ? child : highest;
		last = child;
	}
	printf("wrapped %ld, highest %ld\n", wrapped, highest);
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	struct rlimit limit = { 300, 300 };

	wanted = argc > 2 ? atol(argv[2]) : 0;
	if (access("/run/host/container-manager", F_OK) < 0 &&
	    (getenv("NSBOX_OUTSIDE") == NULL || getuid() == 0 || setrlimit(RLIMIT_NPROC, &limit) < 0)) {
		puts("not in a box");
		return 2;
	}
	for (int number = 1; number < NSIG; number++)
		if (number != SIGCHLD)
			signal(number, SIG_IGN);
	if (strcmp(how, "fork") == 0 || strcmp(how, "sessions") == 0)
		bomb(how[0] == 's');
	if (strcmp(how, "threads") == 0)
		threads();
	if (strcmp(how, "zombies") == 0)
		zombies();
	if (strcmp(how, "orphans") == 0)
		orphans();
	if (strcmp(how, "namespaces") == 0)
		workers(namespaces);
	return strcmp(how, "pids") == 0 ? pids() : 2;
}
