/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PAM application that does what it is told: each argument is a command, run in order, one line of output each.
 * It stands for every application that is not sshd, login, su, sudo or cron, with the habits that such programs have.
 *
 *   start SERVICE USER   a handle (up to four; `handle N` chooses)
 *   item NAME VALUE      tty, rhost
 *   putenv TEXT
 *   open, close, acct, end     "open 0": the module's code
 *   getenv NAME          in the PAM environment, and in the process's own
 *   threads N            N threads that sleep
 *   grow MB              memory of small pages, all touched
 *   fork-cost, open-cost ms of this process's own processor time: the shortest of five forks; of five open and close
 *   closefds             all from 3 on, as daemons do
 *   steal                prints "ready", reads a number: this descriptor becomes /dev/null
 *   reuse                /dev/null until descriptor 40
 *   fds                  "fds 0=20620:7:103:4:0 ...": mode, device, device number, inode, flags
 *   fork-fds             the same, of a child that does not exec
 *   fork-close           pam_close_session in a child that does not exec
 *   sigchld WHAT         ignore, block, handler, default
 *   sigchld-seen         how often the handler ran, whether one is pending
 *   no-child             whether there is a child to wait for
 *   chroot DIR
 *   snapshot, compare    all that a guest must leave as it was
 *   run COMMAND          by sh, waited for
 *   ready                prints "ready", waits for a line
 *   kill                 SIGKILL to itself
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static pam_handle_t *handles[4];
static int current;
static volatile sig_atomic_t handled;
static char *picture;

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)data;
	*responses = calloc((size_t)n, sizeof(**responses));
	if (*responses == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++)
		printf("message %s\n", messages[i]->msg);
	return PAM_SUCCESS;
}

static const struct pam_conv conversation = { converse, NULL };

static void tell(const char *what, int result)
{
	printf("%s %d\n", what, result);
}

/* --- what must be as before -------------------------------------------------------------------------------------- */

/* By identity, not by name: in a box /proc/self leads nowhere for a process that has joined. */
static void list_fds(FILE *out, const char *between)
{
	for (int fd = 0; fd < 256; fd++) {
		struct stat st;

		if (fstat(fd, &st) == 0)
			fprintf(out, "%s%d=%o:%lx:%lx:%lu:%d", between, fd, st.st_mode, st.st_dev, st.st_rdev, st.st_ino,
				fcntl(fd, F_GETFD));
	}
}

static void list_signals(FILE *out)
{
	sigset_t set;

	sigprocmask(SIG_SETMASK, NULL, &set);
	for (int i = 1; i < NSIG; i++) {
		struct sigaction action;

		if (sigaction(i, NULL, &action) == 0)
			fprintf(out, "\nsignal %d: %p %x%s", i, (void *)action.sa_handler, (unsigned)action.sa_flags,
				sigismember(&set, i) ? " blocked" : "");
	}
}

static void list_limits(FILE *out)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
			fprintf(out, "\nlimit %d: %llu %llu", i, (unsigned long long)limit.rlim_cur,
				(unsigned long long)limit.rlim_max);
	}
}

static void list_namespaces(FILE *out)
{
	static const char *const names[] = { "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "user", "uts" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64], target[64];
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		length = readlink(path, target, sizeof(target));
		fprintf(out, "\nns %s: %.*s", names[i], length < 0 ? 4 : (int)length, length < 0 ? "none" : target);
	}
}

/* Lines of a file that begin with one of the words; all for NULL. */
static void list_file(FILE *out, const char *path, const char *words)
{
	FILE *file = fopen(path, "re");
	char line[4096];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		size_t length = strcspn(line, ":\n");
		char word[64];

		snprintf(word, sizeof(word), " %.*s ", (int)(length < 60 ? length : 60), line);
		line[strcspn(line, "\n")] = '\0';
		if (words == NULL || strstr(words, word) != NULL)
			fprintf(out, "\n%s %s", path, line);
	}
	if (file != NULL)
		fclose(file);
}

static void list_process(FILE *out)
{
	char directory[4096];
	struct stat st, root;
	int dumpable = prctl(PR_GET_DUMPABLE), death = -1, reaper = -1;
	mode_t mask = umask(0);

	umask(mask);
	prctl(PR_GET_PDEATHSIG, &death);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	if (stat(".", &st) < 0 || stat("/", &root) < 0 || getcwd(directory, sizeof(directory)) == NULL)
		abort();
	fprintf(out, "\ncwd %s %lu:%lu\nroot %lu:%lu\numask %o\ndumpable %d\npdeathsig %d\nsubreaper %d\nnice %d", directory,
		st.st_dev, st.st_ino, root.st_dev, root.st_ino, mask, dumpable, death, reaper, getpriority(PRIO_PROCESS, 0));
	fprintf(out, "\npid %d ppid %d pgid %d sid %d", getpid(), getppid(), getpgrp(), getsid(0));
	for (char **text = environ; *text != NULL; text++)
		fprintf(out, "\nenviron %s", *text);
}

static char *take_picture(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	list_fds(out, "\nfd ");
	list_signals(out);
	list_limits(out);
	list_namespaces(out);
	list_process(out);
	list_file(out, "/proc/self/cgroup", NULL);
	list_file(out, "/proc/self/status",
		  " Uid Gid Groups Threads CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp SigPnd ShdPnd "
		  "Cpus_allowed TracerPid NStgid ");
	list_file(out, "/proc/self/oom_score_adj", NULL);
	list_file(out, "/proc/self/loginuid", NULL);
	fclose(out);
	return text;
}

/* Prints lines of `a` that are not in `b`. */
static int print_missing(const char *sign, const char *a, const char *b)
{
	char *copy = strdup(a), *save = NULL;
	int n = 0;

	for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(b, line);

		while (at != NULL && !((at == b || at[-1] == '\n') && strchr("\n", at[strlen(line)]) != NULL))
			at = strstr(at + 1, line);
		if (at == NULL) {
			printf("%s %s\n", sign, line);
			n++;
		}
	}
	free(copy);
	return n;
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static void *sleeper(void *data)
{
	(void)data;
	pause();
	return NULL;
}

static void make_threads(int n)
{
	pthread_t thread;

	for (int i = 0; i < n; i++)
		if (pthread_create(&thread, NULL, sleeper, NULL) != 0)
			abort();
	tell("threads", n);
}

static void grow(size_t megabytes)
{
	size_t size = megabytes << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	madvise(memory, size, MADV_NOHUGEPAGE);
	memset(memory, 1, size);
	tell("grow", (int)megabytes);
}

/* Of this process, not of its children, in ms: what else the machine does is not in it. */
static double processor_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1000 + (double)ts.tv_nsec / 1e6;
}

static void do_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void do_session(void)
{
	int r = pam_open_session(handles[current], 0);

	if (r == PAM_SUCCESS)
		r = pam_close_session(handles[current], 0);
	if (r != PAM_SUCCESS)
		tell("session", r);
}

static void print_cost(const char *what, void (*action)(void))
{
	double best = 1e9;

	for (int i = 0; i < 5; i++) {
		double start = processor_time(), spent;

		action();
		spent = processor_time() - start;
		best = spent < best ? spent : best;
	}
	printf("%s %.3f\n", what, best);
}

static void steal(void)
{
	char line[64] = "";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	printf("ready\n");
	if (read(0, line, sizeof(line) - 1) <= 0)
		abort();
	tell("steal", dup3(null, atoi(line), O_CLOEXEC));
	close(null);
}

/* Without the log's, whose number libc would go on to use. */
static void close_all(void)
{
	closelog();
	tell("closefds", (int)syscall(SYS_close_range, 3, ~0u, 0));
	openlog("nsbox-app", 0, LOG_AUTHPRIV);
}

static void reuse(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 40);
	tell("reuse", fd);
}

static void print_fds(const char *what)
{
	printf("%s", what);
	list_fds(stdout, " ");
	printf("\n");
}

static void in_child(void (*action)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		printf("fork: %s\n", strerror(errno));
	if (pid == 0) {
		action();
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

static void child_fds(void)
{
	print_fds("fork-fds");
}

static void child_close(void)
{
	tell("fork-close", pam_close_session(handles[current], 0));
}

static void count(int number)
{
	(void)number;
	handled++;
}

static void sigchld(const char *what)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (strcmp(what, "ignore") == 0)
		signal(SIGCHLD, SIG_IGN);
	else if (strcmp(what, "handler") == 0)
		signal(SIGCHLD, count);
	else if (strcmp(what, "block") == 0)
		sigprocmask(SIG_BLOCK, &set, NULL);
	else
		signal(SIGCHLD, SIG_DFL);
	printf("sigchld %s\n", what);
}

static void print_seen(void)
{
	sigset_t set;

	sigpending(&set);
	printf("sigchld-seen %d %d\n", (int)handled, sigismember(&set, SIGCHLD));
}

static void print_no_child(void)
{
	siginfo_t info;
	int r = waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);

	printf("no-child %s\n", r < 0 && errno == ECHILD ? "yes" : "no");
}

static void print_env(const char *name)
{
	const char *pam = pam_getenv(handles[current], name), *own = getenv(name);

	printf("getenv %s %s %s\n", name, pam != NULL ? pam : "-", own != NULL ? own : "-");
}

static void run(const char *command)
{
	pid_t pid;
	int status = -1;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	tell("run", status);
}

static void ready(void)
{
	char line[64];

	printf("ready\n");
	if (read(0, line, sizeof(line)) < 0)
		abort();
}

static int start(const char *service, const char *user)
{
	return pam_start(service, user, &conversation, &handles[current]);
}

static int set_item(const char *name, const char *value)
{
	int type = strcmp(name, "tty") == 0 ? PAM_TTY : strcmp(name, "user") == 0 ? PAM_USER : PAM_RHOST;

	return pam_set_item(handles[current], type, value);
}

static int end(void)
{
	int r = pam_end(handles[current], PAM_SUCCESS);

	handles[current] = NULL;
	return r;
}

static int enter_root(const char *directory)
{
	return chroot(directory) < 0 || chdir("/") < 0 ? errno : 0;
}

static void compare(void)
{
	char *after = take_picture();
	int n = print_missing("lost", picture, after) + print_missing("new", after, picture);

	free(after);
	tell("compare", n);
}

/* Runs one command; how many arguments it took, 0 if there is no such command. */
static int command(char **a)
{
	pam_handle_t *pamh = handles[current];

#define IS(name, n) (strcmp(a[0], name) == 0 && (taken = 1 + (n)) > 0)
	int taken = 0;

	if (IS("start", 2))
		tell("start", start(a[1], a[2]));
	else if (IS("handle", 1))
		current = atoi(a[1]);
	else if (IS("item", 2))
		tell("item", set_item(a[1], a[2]));
	else if (IS("putenv", 1))
		tell("putenv", pam_putenv(pamh, a[1]));
	else if (IS("open", 0))
		tell("open", pam_open_session(pamh, 0));
	else if (IS("close", 0))
		tell("close", pam_close_session(pamh, 0));
	else if (IS("acct", 0))
		tell("acct", pam_acct_mgmt(pamh, 0));
	else if (IS("end", 0))
		tell("end", end());
	else if (IS("getenv", 1))
		print_env(a[1]);
	else if (IS("threads", 1))
		make_threads(atoi(a[1]));
	else if (IS("grow", 1))
		grow((size_t)atoi(a[1]));
	else if (IS("fork-cost", 0))
		print_cost("fork-cost", do_fork);
	else if (IS("open-cost", 0))
		print_cost("open-cost", do_session);
	else if (IS("closefds", 0))
		close_all();
	else if (IS("steal", 0))
		steal();
	else if (IS("reuse", 0))
		reuse();
	else if (IS("fds", 0))
		print_fds("fds");
	else if (IS("fork-fds", 0))
		in_child(child_fds);
	else if (IS("fork-close", 0))
		in_child(child_close);
	else if (IS("sigchld", 1))
		sigchld(a[1]);
	else if (IS("sigchld-seen", 0))
		print_seen();
	else if (IS("no-child", 0))
		print_no_child();
	else if (IS("chroot", 1))
		tell("chroot", enter_root(a[1]));
	else if (IS("snapshot", 0))
		picture = take_picture();
	else if (IS("compare", 0))
		compare();
	else if (IS("run", 1))
		run(a[1]);
	else if (IS("ready", 0))
		ready();
	else if (IS("kill", 0))
		raise(SIGKILL);
	return taken;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* libpam's own syslog(3) opens its socket at some time: before the first picture */
	openlog("nsbox-app", LOG_NDELAY, LOG_AUTHPRIV);
	for (int i = 1, taken; i < argc; i += taken) {
		taken = command(argv + i);
		if (taken == 0) {
			fprintf(stderr, "no command %s\n", argv[i]);
			return 2;
		}
		fflush(stdout);
	}
	return 0;
}
