/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/notice.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "common/plan.h"
#include "common/registry.h"
#include "common/string-util.h"
#include "helper/usage.h"

#define TERMINALS_MAX 16 /* of one box that are written to */
#define PATIENCE      10 /* seconds for syslog and terminals together */
#define LAST_PATIENCE 2	 /* the same for the last words, for which the end of the box waits */

#define GROUP sizeof(((nsb_entry *)NULL)->scope) /* the path of a group, as an entry has it */

/* ---- what is said ---- */

/* Room that is left below a limit of processes; UINT64_MAX without one. */
static uint64_t room(const char *group, const char *limit)
{
	char text[32];
	NSB_CLOSE int fd = open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t max, now;

	if (limit == NULL || fd < 0 || nsb_read_text_at(fd, "pids.current", text, sizeof(text)) < 0)
		return UINT64_MAX;
	max = strtoull(limit, NULL, 10);
	now = strtoull(text, NULL, 10);
	return now < max ? max - now : 0;
}

/* The box's group, and that of the user's boxes above it: one and the same where sessions share the user's slice. */
static const char *find_groups(const nsb_entry *entry, char above[GROUP])
{
	const char *group = entry->scope[0] != '\0' ? entry->scope : entry->cgroups[0];
	const char *slash = strrchr(group, '/');

	if (entry->scope[0] != '\0' && entry->share[0] != '\0')
		slash = group + strlen(group);
	snprintf(above, GROUP, "%.*s", slash != NULL ? (int)(slash - group) : 0, group);
	return group;
}

/* The limit that was hit is the one with less room: older kernels count a failed fork in the box's group even if the
 * user's above it was full. */
static void tell_processes(const nsb_entry *entry, char *words, size_t size)
{
	char above[GROUP];
	const char *group = find_groups(entry, above);
	const char *own = usage_limit(entry, "pids_max"), *all = usage_limit(entry, "user_pids_max");

	if (all != NULL && room(above, all) < room(group, own))
		snprintf(words, size, "process limit %s of all your sessions reached", all);
	else
		snprintf(words, size, "process limit %s reached", own != NULL ? own : all != NULL ? all : "?");
}

/* Bytes as an administrator writes them, where that is a whole number. */
static void format_size(const char *limit, char *buffer, size_t size)
{
	static const char units[] = "KMGT";
	uint64_t bytes = strtoull(limit, NULL, 10);
	int unit = -1;

	while (bytes > 0 && bytes % 1024 == 0 && unit < 3) {
		bytes /= 1024;
		unit++;
	}
	if (limit[strcspn(limit, "%")] == '%' || unit < 0)
		snprintf(buffer, size, "%s", limit);
	else
		snprintf(buffer, size, "%" PRIu64 "%c", bytes, units[unit]);
}

/*
 * The kernel counts "oom" in the group whose limit was reached and in those above it, "oom_kill" in the group of the
 * process (and above): where "oom" never happened, the limit is not to blame. Version 1 does not count it, kernels
 * before 5.2 not for the user's group alone (cgroup-v2.rst, memory.events.local): then it may have been either.
 */
static void tell_memory(const nsb_entry *entry, char *words, size_t size)
{
	char above[GROUP], one[32] = "?", sum[32];
	const char *group = find_groups(entry, above);
	const char *own = usage_limit(entry, "memory_max"), *all = usage_limit(entry, "user_memory_max");
	bool own_hit = usage_count(group, "memory.events", "oom") != 0;
	bool all_hit = all != NULL && usage_count(above, "memory.events.local", "oom") != 0;

	if (own != NULL)
		format_size(own, one, sizeof(one));
	if (all != NULL)
		format_size(all, sum, sizeof(sum));
	if (own_hit || all_hit) {
		bool tell_own = own_hit && (own != NULL || !all_hit), tell_all = all_hit;

		snprintf(words, size, "memory limit %s%s%s%s reached, a process was killed", tell_own ? one : "",
			 tell_own && tell_all ? " or " : "", tell_all ? sum : "",
			 tell_all ? " of all your sessions" : "");
	} else if (usage_count(group, "memory.events", "oom_kill") != 0) {
		snprintf(words, size, "memory ran out, though no limit of yours was reached: a process was killed");
	}
	/* else it was in another box of the user, by the limit of that: not this session's business */
}

static void tell_runtime(const nsb_entry *entry, char *words, size_t size)
{
	(void)entry;
	snprintf(words, size, "the session's time (runtime_max) is over, it ends now");
}

static const struct {
	const char *what;
	void (*tell)(const nsb_entry *entry, char *words, size_t size);
} notices[] = { { "max", tell_processes }, { "oom_kill", tell_memory }, { "runtime", tell_runtime } };

/* ---- where ---- */

/* Waits for at most 0.2 s: a terminal that was stopped by Ctrl-S, or is not read, hears nothing. It is worth while to
 * try again, because somebody who writes at this moment makes a write(2) that must not wait fail as well. */
static void write_terminal(int fd, const char *words)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "\r\nnsbox: %s\r\n", words);
	size_t size = n > 0 && (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;

	for (int i = 0; i < 20 && write(fd, line, size) < 0 && errno == EAGAIN; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
}

/* Field 7 of /proc/PID/stat: the controlling terminal. */
static dev_t terminal_of(pid_t pid)
{
	char path[64], text[1024];
	const char *at;
	unsigned number = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (nsb_read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	at = strrchr(text, ')');
	if (at == NULL || sscanf(at, ") %*c %*d %*d %*d %u", &number) != 1)
		return 0;
	return makedev((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
}

/* The terminal that an application brought: only while it still is the application's own. */
static void tell_own_terminal(const nsb_member *member, const char *words)
{
	char path[80];
	NSB_CLOSE int fd = -1;
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", member->tty[0] == '/' ? "" : "/dev/", member->tty);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && isatty(fd) &&
	    st.st_rdev == terminal_of(member->process.pid))
		write_terminal(fd, words);
}

/* The directory of the box's own terminals, walked below its root without following anything. */
static DIR *open_box_terminals(const nsb_entry *entry)
{
	char path[64];
	NSB_CLOSE int process = nsb_process_open(&entry->init);
	NSB_CLOSE int root = -1;
	NSB_CLOSE int directory = -1;
	struct statfs fs;
	DIR *list;
	int fd;

	if (process < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)entry->init.pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return NULL;
	directory = nsb_path_open(root, "/dev/pts", NSB_PATH_NO_SYMLINKS | NSB_PATH_DIRECTORY, NULL, NULL, NULL);
	if (directory < 0 || fstatfs(directory, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return NULL;
	fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (list == NULL)
		nsb_close(fd);
	return list;
}

static void tell_box_terminals(const nsb_entry *entry, const char *words)
{
	DIR *list = open_box_terminals(entry);
	const struct dirent *name;
	int n = 0;

	while (list != NULL && n < TERMINALS_MAX && (name = readdir(list)) != NULL) {
		NSB_CLOSE int fd = -1;
		struct stat st;

		if (name->d_name[0] < '0' || name->d_name[0] > '9')
			continue;
		fd = openat(dirfd(list), name->d_name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
		/* with devpts=host those of other people are there as well */
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_uid != entry->uid || !isatty(fd))
			continue;
		write_terminal(fd, words);
		n++;
	}
	if (list != NULL)
		closedir(list);
}

/* A path brought along is a terminal of the host; "ssh", "cron" and the like make their own in the box. */
static bool brought_terminal(const nsb_member *member)
{
	return member->tty[0] == '/' || nsb_after_prefix(member->tty, "pts/") != NULL ||
	       nsb_after_prefix(member->tty, "tty") != NULL;
}

/* Every session in the box. */
static void tell_terminals(int boxes, const nsb_entry *entry, const char *words)
{
	NSB_FREE nsb_member *members = NULL;
	bool in_box = false;
	size_t n = 0;

	nsb_registry_members(boxes, entry, &members, &n);
	for (size_t i = 0; i < n; i++)
		if (brought_terminal(&members[i]))
			tell_own_terminal(&members[i], words);
		else
			in_box = true;
	if (in_box)
		tell_box_terminals(entry, words);
}

static int tell(const char *id, const char *what)
{
	NSB_CLOSE int boxes = nsb_registry_open(false, NULL);
	NSB_FREE nsb_entry *entry = malloc(sizeof(*entry));
	char words[192] = "";

	if (entry == NULL || boxes < 0 || nsb_registry_read(boxes, id, entry) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(notices) / sizeof(notices[0]); i++)
		if (strcmp(notices[i].what, what) == 0)
			notices[i].tell(entry, words, sizeof(words));
	if (words[0] == '\0')
		return 2; /* nothing to say */
	nsb_log(LOG_NOTICE, "box %s of %s (%s, profile %s): %s", id, entry->user, entry->service, entry->profile,
		words);
	tell_terminals(boxes, entry, words);
	return 0;
}

int notice_tell(const char *id, const char *what)
{
	bool last = strcmp(what, "runtime") == 0;
	pid_t child = 0;

	if (!nsb_id_valid(id))
		return 2;
	if (!last)
		child = fork();
	if (child != 0)
		return child < 0;
	/* the monitor's: a notice that waits for syslog would hold the life pipe open when the monitor is killed, and
	 * with it the guard back */
	syscall(SYS_close_range, 3, ~0u, 0);
	signal(SIGALRM, SIG_DFL);
	alarm(last ? LAST_PATIENCE : PATIENCE);
	_exit(tell(id, what));
}
