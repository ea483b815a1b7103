/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry of boxes and its text. NSB_RUNDIR is "nsbox" here, below a directory of the test's own. Linked with
 * --wrap=fcntl,--wrap=fcntl64, which can do something right before a lock is taken. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/protocol.h"
#include "common/registry-text.h"
#include "common/registry.h"
#include "common/string-util.h"

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

static const char *removed_before_lock; /* this entry, once */

static int wrapped_fcntl(int fd, int command, void *argument);

int __wrap_fcntl(int fd, int command, ...)
{
	va_list args;
	void *argument;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return wrapped_fcntl(fd, command, argument);
}

int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	void *argument;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return wrapped_fcntl(fd, command, argument);
}

static char base[] = "/tmp/nsbox-test-registry-XXXXXX";
static int boxes;
static nsb_entry entry;

static int wrapped_fcntl(int fd, int command, void *argument)
{
	const char *id = removed_before_lock;

	if (command == F_SETLK && id != NULL) {
		removed_before_lock = NULL;
		if (nsb_registry_remove(boxes, id) < 0)
			abort();
	}
	return __real_fcntl(fd, command, argument);
}

static void fill_entry(void)
{
	entry = (nsb_entry){
		.version = 1, /* it has all types of lines; the differences of 2 have tests of their own */
		.id = "k3j5h7g9fx",
		.state = NSB_STATE_READY,
		.user = "DOM\\al ice",
		.profile = "students",
		.service = "sshd",
		.tty = "/dev/pts/3",
		.rhost = "2001:db8::1",
		.hostname = "box-a",
		.uid = 4294967294U,
		.started = 1700000000,
		.stop_timeout = 2000,
		.namespaces = 0x2c020000,
		.inodes = { 4026531838, 4026531839, 1, 2, UINT64_MAX, 0 },
		.init = { 4711, 123456789 },
		.monitor = { 4710, 123456780 },
		.members = { { 815, 77 }, { 4242, 99 } },
		.n_members = 2,
		.cgroups = { "/sys/fs/cgroup/pids/nsbox/k3j5h7g9fx", "/sys/fs/cgroup/uni fied/x" },
		.n_cgroups = 2,
		.scope = "/sys/fs/cgroup/user.slice/user-2001.slice/session-3.scope",
		.limits = { "pids_max 2048", "io_max /dev/sda rbps=1000000 wbps=5" },
		.n_limits = 2,
		.ut_id = "aZ09",
	};
}

static int make_base(void **state)
{
	nsb_error error = { 0 };

	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	if (mkdtemp(base) == NULL || chdir(base) < 0)
		return -1;
	fill_entry();
	boxes = nsb_registry_open(true, &error);
	return boxes >= 0 ? 0 : -1;
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	close(boxes);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return chdir("/") < 0 ? -1 : system(command);
}

/* Field by field: the bytes between them mean nothing. */
static void assert_same_entry(const nsb_entry *a, const nsb_entry *b)
{
	assert_string_equal(a->id, b->id);
	assert_string_equal(a->state, b->state);
	assert_string_equal(a->user, b->user);
	assert_string_equal(a->profile, b->profile);
	assert_string_equal(a->service, b->service);
	assert_string_equal(a->tty, b->tty);
	assert_string_equal(a->rhost, b->rhost);
	assert_string_equal(a->hostname, b->hostname);
	assert_string_equal(a->ut_id, b->ut_id);
	assert_true(a->uid == b->uid && a->started == b->started && a->stop_timeout == b->stop_timeout);
	assert_true(a->namespaces == b->namespaces);
	assert_memory_equal(a->inodes, b->inodes, sizeof(a->inodes));
	assert_true(a->init.pid == b->init.pid && a->init.start == b->init.start);
	assert_true(a->monitor.pid == b->monitor.pid && a->monitor.start == b->monitor.start);
	assert_int_equal(a->n_members, b->n_members);
	for (size_t i = 0; i < a->n_members; i++)
		assert_true(a->members[i].pid == b->members[i].pid && a->members[i].start == b->members[i].start);
	assert_int_equal(a->n_cgroups, b->n_cgroups);
	for (size_t i = 0; i < a->n_cgroups; i++)
		assert_string_equal(a->cgroups[i], b->cgroups[i]);
	assert_string_equal(a->scope, b->scope);
	assert_int_equal(a->n_limits, b->n_limits);
	for (size_t i = 0; i < a->n_limits; i++)
		assert_string_equal(a->limits[i], b->limits[i]);
}

static void make_entry(const char *id, const char *state, int *ret_lock)
{
	nsb_entry other = entry;

	snprintf(other.id, sizeof(other.id), "%s", id);
	snprintf(other.state, sizeof(other.state), "%s", state);
	assert_int_equal(nsb_registry_create(boxes, &other, ret_lock, NULL), 0);
}

/* --- a process that holds a lock --- */

typedef struct holder {
	pid_t pid;
	int end; /* closing it ends the holder */
} holder;

/* Runs `hold` in a child, which keeps what it got until the holder is ended. */
static holder start_holder(const char *id, int (*hold)(const char *id))
{
	int ready[2], stay[2];
	holder h;
	char word;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(stay), 0);
	h.pid = fork();
	if (h.pid == 0) {
		close(stay[1]);
		close(ready[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (hold(id) < 0 || write(ready[1], "r", 1) != 1)
			_exit(1);
		_exit((int)read(stay[0], &word, 1));
	}
	close(ready[1]);
	close(stay[0]);
	h.end = stay[1];
	assert_int_equal(read(ready[0], &word, 1), 1);
	close(ready[0]);
	return h;
}

static void end_holder(holder h)
{
	int status;

	close(h.end);
	assert_int_equal(waitpid(h.pid, &status, 0), h.pid);
	assert_int_equal(status, 0);
}

/* For one of several: those that were started later have its pipe as well. */
static void kill_holder(holder h)
{
	assert_int_equal(kill(h.pid, SIGKILL), 0);
	assert_int_equal(waitpid(h.pid, NULL, 0), h.pid);
	close(h.end);
}

static int hold_new(const char *id)
{
	nsb_entry other = entry;
	int lock;

	snprintf(other.id, sizeof(other.id), "%s", id);
	return nsb_registry_create(boxes, &other, &lock, NULL);
}

static int hold_old(const char *id)
{
	int lock;

	return nsb_registry_lock(boxes, id, &lock);
}

/* --- the directory --- */

static void open_without_create(void **state)
{
	nsb_error error = { 0 };
	int fd;

	(void)state;
	fd = nsb_registry_open(false, &error);
	assert_true(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	close(fd);
	assert_int_equal(rmdir("nsbox/boxes"), 0);
	assert_int_equal(nsb_registry_open(false, &error), -ENOENT);
	assert_int_equal(rmdir("nsbox"), 0);
	assert_int_equal(nsb_registry_open(false, &error), -ENOENT);
	fd = nsb_registry_open(true, NULL);
	assert_true(fd >= 0);
	close(fd);
}

static void directory_modes(void **state)
{
	static const struct {
		const char *path;
		mode_t mode;
		bool good;
	} rows[] = {
		{ "nsbox", 0700, true },	{ "nsbox", 0750, false },	{ "nsbox", 0701, false },
		{ "nsbox", 0702, false },	{ "nsbox/boxes", 0755, false }, { "nsbox/boxes", 0720, false },
		{ "nsbox/boxes", 01700, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_error error = { 0 };
		int fd;

		assert_int_equal(chmod(rows[i].path, rows[i].mode), 0);
		fd = nsb_registry_open(true, &error);
		if (rows[i].good) {
			assert_true(fd >= 0);
			close(fd);
		} else {
			assert_int_equal(fd, -EPERM);
			assert_non_null(strstr(error.words, "0700"));
		}
		assert_int_equal(chmod(rows[i].path, 0700), 0);
	}
}

/* What an umask leaves of 0700 must not stop the next run; a wide umask must not widen it. */
static void directory_umask(void **state)
{
	struct stat st;
	mode_t before = umask(0);
	int fd;

	(void)state;
	assert_int_equal(rmdir("nsbox/boxes"), 0);
	assert_int_equal(rmdir("nsbox"), 0);
	fd = nsb_registry_open(true, NULL);
	umask(before);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	close(fd);
}

/* Names that somebody made in advance. */
static void directory_taken(void **state)
{
	(void)state;
	assert_int_equal(rmdir("nsbox/boxes"), 0);
	assert_int_equal(symlink("/tmp", "nsbox/boxes"), 0);
	assert_true(nsb_registry_open(true, NULL) < 0);
	assert_int_equal(unlink("nsbox/boxes"), 0);
	assert_int_equal(close(open("nsbox/boxes", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(nsb_registry_open(true, NULL), -ENOTDIR);
	assert_int_equal(unlink("nsbox/boxes"), 0);
	assert_int_equal(rmdir("nsbox"), 0);
	assert_int_equal(symlink(".", "nsbox"), 0);
	assert_true(nsb_registry_open(true, NULL) < 0);
	if (geteuid() == 0) {
		assert_int_equal(unlink("nsbox"), 0);
		assert_int_equal(mkdir("nsbox", 0700), 0);
		assert_int_equal(chown("nsbox", 1234, 0), 0);
		assert_int_equal(nsb_registry_open(true, NULL), -EPERM);
	}
}

/* --- entries --- */

static void create_and_read(void **state)
{
	struct stat st;
	nsb_entry got;
	int lock;

	(void)state;
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	assert_int_equal(nsb_registry_read(boxes, entry.id, &got), 0);
	assert_same_entry(&entry, &got);
	/* the monitor inherits it by exec */
	assert_int_equal(fcntl(lock, F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(fstatat(boxes, "k3j5h7g9fx", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(boxes, "k3j5h7g9fx/state", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstatat(boxes, "k3j5h7g9fx/state.new", &st, 0), -1);
	assert_int_equal(fstatat(boxes, ".k3j5h7g9fx", &st, 0), -1);
	close(lock);
}

static void create_twice(void **state)
{
	nsb_entry got;
	int lock, other;

	(void)state;
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	snprintf(entry.user, sizeof(entry.user), "mallory");
	assert_int_equal(nsb_registry_create(boxes, &entry, &other, NULL), -EEXIST);
	assert_int_equal(nsb_registry_read(boxes, entry.id, &got), 0);
	assert_string_equal(got.user, "DOM\\al ice");
	close(lock);
}

static void write_again(void **state)
{
	nsb_entry got;
	int lock;

	(void)state;
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	snprintf(entry.state, sizeof(entry.state), NSB_STATE_DYING);
	entry.n_members = 0;
	memset(entry.members, 0, sizeof(entry.members));
	assert_int_equal(nsb_registry_write(boxes, &entry, NULL), 0);
	assert_int_equal(nsb_registry_read(boxes, entry.id, &got), 0);
	assert_same_entry(&entry, &got);
	/* a half-written one of a writer that was killed is in nobody's way */
	assert_int_equal(close(openat(boxes, "k3j5h7g9fx/state.new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(nsb_registry_write(boxes, &entry, NULL), 0);
	assert_int_equal(nsb_registry_remove(boxes, entry.id), 0);
	assert_int_equal(nsb_registry_write(boxes, &entry, NULL), -ENOENT);
	close(lock);
}

static void holders(void **state)
{
	holder h = start_holder("aaaaaaaaaa", hold_new);
	int lock = -1;

	(void)state;
	assert_int_equal(nsb_registry_holder(boxes, "aaaaaaaaaa"), h.pid);
	assert_int_equal(nsb_registry_lock(boxes, "aaaaaaaaaa", &lock), -EAGAIN);
	assert_int_equal(lock, -1);
	end_holder(h);
	assert_int_equal(nsb_registry_holder(boxes, "aaaaaaaaaa"), 0);
	assert_int_equal(nsb_registry_lock(boxes, "aaaaaaaaaa", &lock), 0);
	assert_true(fcntl(lock, F_GETFD) & FD_CLOEXEC);
	close(lock);
	/* the one who took over is a holder like the first */
	h = start_holder("aaaaaaaaaa", hold_old);
	assert_int_equal(nsb_registry_holder(boxes, "aaaaaaaaaa"), h.pid);
	assert_int_equal(nsb_registry_lock(boxes, "aaaaaaaaaa", &lock), -EAGAIN);
	end_holder(h);
	assert_int_equal(nsb_registry_lock(boxes, "nosuchboxx", &lock), -ENOENT);
	assert_int_equal(nsb_registry_holder(boxes, "nosuchboxx"), -ENOENT);
}

/* Killed: the lock goes with the process, however it ended. */
static void killed_holder(void **state)
{
	holder h = start_holder("aaaaaaaaaa", hold_new);
	int lock;

	(void)state;
	kill_holder(h);
	assert_int_equal(nsb_registry_lock(boxes, "aaaaaaaaaa", &lock), 0);
	close(lock);
}

/* A child of the holder does not hold: it is not flock(2). */
static void fork_does_not_inherit(void **state)
{
	pid_t child;
	int lock, taken;

	(void)state;
	make_entry("aaaaaaaaaa", NSB_STATE_READY, &lock);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	close(lock);
	assert_int_equal(nsb_registry_lock(boxes, "aaaaaaaaaa", &taken), 0);
	close(taken);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Removed between open and lock by the one who had it: not an entry any more. */
static void removed_meanwhile(void **state)
{
	int lock, other = -1;

	(void)state;
	make_entry("aaaaaaaaaa", NSB_STATE_READY, &lock);
	close(lock);
	removed_before_lock = "aaaaaaaaaa";
	assert_int_equal(nsb_registry_lock(boxes, "aaaaaaaaaa", &other), -ENOENT);
	assert_null(removed_before_lock);
	assert_int_equal(other, -1);
}

/* Many take and remove at once: each entry is taken by one only. */
static void race(void **state)
{
	enum { N = 100, TAKERS = 4 };
	char id[NSB_ID_LENGTH + 1];
	int taken[2], sum = 0, lock;
	char one;

	(void)state;
	assert_int_equal(pipe(taken), 0);
	for (int i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "race%06d", i);
		make_entry(id, NSB_STATE_READY, &lock);
		close(lock);
	}
	for (int t = 0; t < TAKERS; t++)
		if (fork() == 0) {
			for (int i = 0; i < N; i++) {
				snprintf(id, sizeof(id), "race%06d", i);
				if (nsb_registry_lock(boxes, id, &lock) < 0)
					continue;
				if (nsb_registry_remove(boxes, id) < 0 || write(taken[1], "t", 1) != 1)
					_exit(1);
				close(lock);
			}
			_exit(0);
		}
	for (int t = 0; t < TAKERS; t++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	close(taken[1]);
	while (read(taken[0], &one, 1) == 1)
		sum++;
	close(taken[0]);
	assert_int_equal(sum, N);
}

/* While one process replaces the state, another one never reads half of it. */
static void replaced_whole(void **state)
{
	nsb_entry other = entry, got;
	pid_t writer;
	int lock;

	(void)state;
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	snprintf(other.user, sizeof(other.user), "%0200d", 7);
	other.n_members = NSB_ENTRY_MEMBERS_MAX;
	writer = fork();
	if (writer == 0)
		for (;;)
			if (nsb_registry_write(boxes, &other, NULL) < 0 || nsb_registry_write(boxes, &entry, NULL) < 0)
				_exit(1);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(nsb_registry_read(boxes, entry.id, &got), 0);
		assert_true(strcmp(got.user, entry.user) == 0 || strcmp(got.user, other.user) == 0);
	}
	assert_int_equal(waitpid(writer, NULL, WNOHANG), 0);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	close(lock);
}

static void list(void **state)
{
	char(*ids)[NSB_ID_LENGTH + 8];
	size_t n;
	int lock;

	(void)state;
	assert_int_equal(nsb_registry_list(boxes, &ids, &n), 0);
	assert_int_equal(n, 0);
	free(ids);
	for (int i = 40; i > 0; i--) {
		char id[NSB_ID_LENGTH + 1];

		snprintf(id, sizeof(id), "list%06d", i);
		make_entry(id, NSB_STATE_READY, &lock);
		close(lock);
	}
	/* half-made, and what is none of ours */
	assert_int_equal(mkdirat(boxes, ".zzzzzzzzzz", 0700), 0);
	assert_int_equal(mkdirat(boxes, "UPPERCASES", 0700), 0);
	assert_int_equal(mkdirat(boxes, "short", 0700), 0);
	assert_int_equal(mkdirat(boxes, "elevencharss", 0700), 0);
	assert_int_equal(mkdirat(boxes, "..zzzzzzzzzz", 0700), 0);
	for (int twice = 0; twice < 2; twice++) { /* the position of `boxes` is not moved */
		assert_int_equal(nsb_registry_list(boxes, &ids, &n), 0);
		assert_int_equal(n, 41);
		assert_string_equal(ids[0], ".zzzzzzzzzz");
		assert_string_equal(ids[1], "list000001");
		assert_string_equal(ids[40], "list000040");
		free(ids);
	}
}

/* What a maker leaves that was killed at each point before the rename. */
static void half_made(void **state)
{
	static const char *const files[] = { NULL, "lock", "state.new", "state" };
	char path[64];
	int lock;

	(void)state;
	assert_int_equal(mkdirat(boxes, ".bbbbbbbbbb", 0700), 0);
	for (size_t i = 0; i < 4; i++) {
		nsb_entry got;

		if (files[i] != NULL) {
			snprintf(path, sizeof(path), ".bbbbbbbbbb/%s", files[i]);
			assert_int_equal(close(openat(boxes, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
		}
		assert_true(nsb_registry_read(boxes, ".bbbbbbbbbb", &got) < 0);
		/* the same id is refused as long as it lies there, and nothing of it is touched */
		snprintf(entry.id, sizeof(entry.id), "bbbbbbbbbb");
		assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), -EEXIST);
		assert_int_equal(nsb_registry_lock(boxes, ".bbbbbbbbbb", &lock), files[i] == NULL ? -ENOENT : 0);
		if (files[i] != NULL)
			close(lock);
	}
	assert_int_equal(nsb_registry_remove(boxes, ".bbbbbbbbbb"), 0);
	assert_int_equal(faccessat(boxes, ".bbbbbbbbbb", F_OK, 0), -1);
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	close(lock);
}

static void remove_entry(void **state)
{
	int lock;

	(void)state;
	make_entry("aaaaaaaaaa", NSB_STATE_READY, &lock);
	close(lock);
	assert_int_equal(nsb_registry_remove(boxes, "aaaaaaaaaa"), 0);
	assert_int_equal(nsb_registry_remove(boxes, "aaaaaaaaaa"), 0); /* gone is no error */
	/* what is not ours stays */
	make_entry("aaaaaaaaaa", NSB_STATE_READY, &lock);
	close(lock);
	assert_int_equal(mkdirat(boxes, "aaaaaaaaaa/other", 0700), 0);
	assert_int_equal(nsb_registry_remove(boxes, "aaaaaaaaaa"), -ENOTEMPTY);
	assert_int_equal(unlinkat(boxes, "aaaaaaaaaa/other", AT_REMOVEDIR), 0);
	assert_int_equal(nsb_registry_remove(boxes, "aaaaaaaaaa"), 0);
	/* no symbolic link is followed */
	assert_int_equal(mkdir("elsewhere", 0700), 0);
	assert_int_equal(close(open("elsewhere/state", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(symlinkat("../../elsewhere", boxes, "cccccccccc"), 0);
	assert_true(nsb_registry_remove(boxes, "cccccccccc") < 0);
	assert_int_equal(access("elsewhere/state", F_OK), 0);
}

/* A full disk or a bad value: nothing of the attempt remains. */
static void create_fails(void **state)
{
	nsb_error error = { 0 };
	char(*ids)[NSB_ID_LENGTH + 8];
	size_t n;
	int lock = -1;

	(void)state;
	snprintf(entry.user, sizeof(entry.user), "a\nb");
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, &error), -EINVAL);
	assert_true(error.words[0] != '\0');
	assert_int_equal(lock, -1);
	assert_int_equal(nsb_registry_list(boxes, &ids, &n), 0);
	assert_int_equal(n, 0);
	free(ids);
}

/* --- how many sessions a user has --- */

static int hold_user(const char *uid)
{
	int lock;

	return nsb_registry_lock_user(boxes, (uid_t)strtoul(uid, NULL, 10), nsb_now() + 1000, &lock);
}

static void lock_user(void **state)
{
	holder h = start_holder("2001", hold_user);
	int64_t before = nsb_now();
	int lock = -1, other;
	struct stat st;

	(void)state;
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, before + 60, &lock), -ETIMEDOUT);
	assert_true(nsb_now() - before >= 60 && nsb_now() - before < 1500);
	assert_int_equal(lock, -1);
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, before - 1000, &lock), -ETIMEDOUT);
	/* other users do not wait, whatever their number */
	assert_int_equal(nsb_registry_lock_user(boxes, 2000, before - 1000, &lock), 0);
	assert_true(fcntl(lock, F_GETFD) & FD_CLOEXEC);
	close(lock);
	assert_int_equal(nsb_registry_lock_user(boxes, 0, before - 1000, &lock), 0);
	close(lock);
	assert_int_equal(nsb_registry_lock_user(boxes, 4294967294U, before - 1000, &lock), 0);
	close(lock);
	end_holder(h);
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, before - 1000, &lock), 0);
	/* of the open file: not even the same process gets it twice, and closing another descriptor keeps it */
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, before - 1000, &other), -ETIMEDOUT);
	assert_int_equal(nsb_registry_lock_user(boxes, 2002, before - 1000, &other), 0);
	close(other);
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, before - 1000, &other), -ETIMEDOUT);
	close(lock);
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, before - 1000, &lock), 0);
	close(lock);
	assert_int_equal(stat("nsbox/users", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 0);
}

/* Whoever waits gets it as soon as it is free. */
static void lock_user_waits(void **state)
{
	holder h = start_holder("2001", hold_user);
	pid_t ender = fork();
	int lock;

	(void)state;
	if (ender == 0) {
		usleep(50000);
		kill(h.pid, SIGKILL);
		_exit(0);
	}
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, nsb_now() + 20000, &lock), 0);
	close(lock);
	assert_int_equal(waitpid(ender, NULL, 0), ender);
	assert_int_equal(waitpid(h.pid, NULL, 0), h.pid);
	close(h.end);
}

static void lock_user_link(void **state)
{
	int lock;

	(void)state;
	assert_int_equal(symlink("/etc/passwd", "nsbox/users"), 0);
	assert_int_equal(nsb_registry_lock_user(boxes, 2001, 0, &lock), -ELOOP);
}

static void assert_count(uid_t uid, size_t expected)
{
	size_t n = 4711;

	assert_int_equal(nsb_registry_count(boxes, uid, &n), 0);
	assert_int_equal(n, expected);
}

static void count_sessions(void **state)
{
	static const struct {
		const char *id, *state;
		uid_t uid;
	} rows[] = { { "aaaaaaaaaa", NSB_STATE_READY, 2001 },	{ "bbbbbbbbbb", NSB_STATE_STARTING, 2001 },
		     { "cccccccccc", NSB_STATE_UNBOXED, 2001 }, { "dddddddddd", NSB_STATE_DYING, 2001 },
		     { "eeeeeeeeee", NSB_STATE_READY, 2002 },	{ "ffffffffff", NSB_STATE_ENDING, 2001 } };
	holder h[6];
	int lock;

	(void)state;
	assert_count(2001, 0);
	for (size_t i = 0; i < 6; i++) {
		snprintf(entry.state, sizeof(entry.state), "%s", rows[i].state);
		entry.uid = rows[i].uid;
		h[i] = start_holder(rows[i].id, hold_new);
	}
	/* of a dying one nothing is left that the user could use */
	assert_count(2001, 4);
	assert_count(2002, 1);
	assert_count(0, 0);
	kill_holder(h[0]); /* left over, and to be swept */
	assert_count(2001, 3);
	/* half-made ones, damaged ones, those of another version, and what is none */
	entry.uid = 2001;
	make_entry("gggggggggg", NSB_STATE_READY, &lock);
	close(lock);
	assert_int_equal(renameat(boxes, "gggggggggg", boxes, ".gggggggggg"), 0);
	assert_int_equal(mkdirat(boxes, "hhhhhhhhhh", 0700), 0);
	lock = openat(boxes, "bbbbbbbbbb/state", O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(nsb_write_all(lock, "nsbox 99999\nend\n", 16), 0);
	close(lock);
	assert_count(2001, 2);
	for (size_t i = 1; i < 6; i++)
		kill_holder(h[i]);
	assert_count(2001, 0);
}

/* --- the group of nsbox.service --- */

static void base_path(void **state)
{
	char path[64], longest[64];
	struct stat st;

	(void)state;
	assert_int_equal(nsb_registry_base(path, sizeof(path)), -ENOENT);
	assert_int_equal(nsb_registry_set_base("/nsbox.slice/nsbox.service", NULL), 0);
	assert_int_equal(nsb_registry_base(path, sizeof(path)), 0);
	assert_string_equal(path, "/nsbox.slice/nsbox.service");
	assert_int_equal(nsb_registry_set_base("/a", NULL), 0); /* shorter: nothing of the old one stays */
	assert_int_equal(nsb_registry_base(path, sizeof(path)), 0);
	assert_string_equal(path, "/a");
	assert_int_equal(stat("nsbox/cgroup", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat("nsbox/cgroup.new", &st), -1);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[63] = '\0';
	assert_int_equal(nsb_registry_set_base(longest, NULL), 0);
	assert_int_equal(nsb_registry_base(path, sizeof(path)), 0);
	assert_int_equal(nsb_registry_base(path, sizeof(path) - 1), -EFBIG);
}

static void base_path_bad(void **state)
{
	static const char *const bad[] = { "", "/", "nsbox.slice", "/a/../b", "/..", "/a/.." };
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(nsb_registry_set_base(bad[i], NULL), 0);
		assert_int_equal(nsb_registry_base(path, sizeof(path)), -EBADMSG);
	}
	assert_int_equal(unlink("nsbox/cgroup"), 0);
	assert_int_equal(symlink("/etc/hostname", "nsbox/cgroup"), 0);
	assert_int_equal(nsb_registry_base(path, sizeof(path)), -ELOOP);
}

/* The service is started before anybody logs in; names made in advance are not followed. */
static void base_path_first(void **state)
{
	nsb_error error = { 0 };
	char path[64];

	(void)state;
	assert_int_equal(rmdir("nsbox/boxes"), 0);
	assert_int_equal(rmdir("nsbox"), 0);
	assert_int_equal(nsb_registry_set_base("/a", &error), 0);
	assert_int_equal(nsb_registry_base(path, sizeof(path)), 0);
	assert_int_equal(symlink("/etc/hostname", "nsbox/cgroup.new"), 0);
	assert_int_equal(nsb_registry_set_base("/b", &error), -ELOOP);
	assert_non_null(strstr(error.words, "nsbox/cgroup"));
	assert_int_equal(chmod("nsbox", 0755), 0);
	assert_int_equal(nsb_registry_set_base("/b", NULL), -EPERM);
}

/* --- damaged files --- */

static char *text_of(const nsb_entry *of, size_t *ret_size)
{
	char *text;

	assert_int_equal(nsb_entry_format(of, &text, ret_size), 0);
	assert_int_equal(strlen(text), *ret_size);
	return text;
}

static void put_state(const char *text, size_t size)
{
	int fd = openat(boxes, "k3j5h7g9fx/state", O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(nsb_write_all(fd, text, size), 0);
	close(fd);
}

static void damaged_files(void **state)
{
	size_t size;
	char *text = text_of(&entry, &size);
	nsb_entry got = { .uid = 7 };
	int lock;

	(void)state;
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	for (size_t length = 0; length < size; length++) {
		put_state(text, length);
		assert_int_equal(nsb_registry_read(boxes, entry.id, &got), -EBADMSG);
	}
	assert_int_equal(got.uid, 7); /* written only on success */
	put_state("nsbox 99999\nend\n", 16);
	assert_int_equal(nsb_registry_read(boxes, entry.id, &got), -EPROTO);
	text = realloc(text, NSB_ENTRY_TEXT_MAX + 1);
	memset(text, 'x', NSB_ENTRY_TEXT_MAX + 1);
	put_state(text, NSB_ENTRY_TEXT_MAX + 1);
	assert_true(nsb_registry_read(boxes, entry.id, &got) < 0);
	assert_int_equal(unlinkat(boxes, "k3j5h7g9fx/state", 0), 0);
	assert_int_equal(nsb_registry_read(boxes, entry.id, &got), -ENOENT);
	assert_int_equal(symlinkat("/etc/passwd", boxes, "k3j5h7g9fx/state"), 0);
	assert_int_equal(nsb_registry_read(boxes, entry.id, &got), -ELOOP);
	assert_int_equal(nsb_registry_read(boxes, "nosuchboxx", &got), -ENOENT);
	free(text);
	close(lock);
}

/* --- the text --- */

/* Parses the text of `entry` with `from` replaced by `to`. */
static int parse_with(const char *from, const char *to)
{
	char changed[NSB_ENTRY_TEXT_MAX];
	size_t size;
	char *text = text_of(&entry, &size), *at = strstr(text, from);
	nsb_entry got;
	int n;

	assert_non_null(at);
	n = snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	assert_in_range(n, 1, sizeof(changed) - 1);
	free(text);
	return nsb_entry_parse(changed, (size_t)n, &got);
}

static void text_round_trip(void **state)
{
	nsb_entry full, got, empty = { .version = 1, .id = "aaaaaaaaaa" };
	size_t size;
	char *text = text_of(&entry, &size);

	(void)state;
	assert_int_equal(nsb_entry_parse(text, size, &got), 0);
	assert_same_entry(&entry, &got);
	free(text);
	text = text_of(&empty, &size);
	assert_int_equal(nsb_entry_parse(text, size, &got), 0);
	assert_same_entry(&empty, &got);
	free(text);
	/* everything as long as it may be: must fit into the file */
	full = entry;
	memset(full.user, 'u', sizeof(full.user) - 1);
	memset(full.rhost, 'r', sizeof(full.rhost) - 1);
	full.n_members = NSB_ENTRY_MEMBERS_MAX;
	for (size_t i = 0; i < full.n_members; i++)
		full.members[i] = (nsb_process){ INT32_MAX, UINT64_MAX };
	full.n_cgroups = NSB_ENTRY_CGROUPS_MAX;
	for (size_t i = 0; i < full.n_cgroups; i++) {
		memset(full.cgroups[i], 0, sizeof(full.cgroups[i]));
		memset(full.cgroups[i], '/', sizeof(full.cgroups[i]) - 1);
	}
	memset(full.scope, '/', sizeof(full.scope) - 1);
	full.n_limits = NSB_ENTRY_LIMITS_MAX;
	for (size_t i = 0; i < full.n_limits; i++) {
		memset(full.limits[i], 0, sizeof(full.limits[i]));
		memset(full.limits[i], 'l', sizeof(full.limits[i]) - 1);
	}
	memset(full.profile, 'p', sizeof(full.profile) - 1);
	memset(full.service, 's', sizeof(full.service) - 1);
	memset(full.tty, 't', sizeof(full.tty) - 1);
	memset(full.hostname, 'h', sizeof(full.hostname) - 1);
	for (size_t i = 0; i < sizeof(full.inodes) / sizeof(full.inodes[0]); i++)
		full.inodes[i] = UINT64_MAX;
	text = text_of(&full, &size);
	assert_true(size < NSB_ENTRY_TEXT_MAX);
	assert_int_equal(nsb_entry_parse(text, size, &got), 0);
	assert_same_entry(&full, &got);
	free(text);
}

static void text_control_characters(void **state)
{
	static const char bad[] = "\n\t\r\x1b\x01\x7f";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) - 1; i++) {
		char *text;
		size_t size;

		fill_entry();
		entry.rhost[2] = bad[i];
		assert_int_equal(nsb_entry_format(&entry, &text, &size), -EINVAL);
		fill_entry();
		entry.cgroups[1][3] = bad[i];
		assert_int_equal(nsb_entry_format(&entry, &text, &size), -EINVAL);
		fill_entry();
		entry.limits[1][3] = bad[i];
		assert_int_equal(nsb_entry_format(&entry, &text, &size), -EINVAL);
		fill_entry();
		entry.scope[3] = bad[i];
		assert_int_equal(nsb_entry_format(&entry, &text, &size), -EINVAL);
	}
}

static void text_faults(void **state)
{
	static const struct {
		const char *from, *to;
	} bad[] = {
		{ "nsbox 1\n", "" },
		{ "nsbox 1\n", "nsbox 1x\n" },
		{ "nsbox 1\n", "nsbox 1 \n" },
		{ "nsbox 1\n", "nsbox  1\n" },
		{ "nsbox 1\n", "nsbox +1\n" },
		{ "nsbox 1\n", "nsbox\n" },
		{ "nsbox 1\n", "\nnsbox 1\n" },
		{ "nsbox 1\n", "nsbox 1\n\n" },
		{ "nsbox 1\n", "nsbox 1\r\n" },
		{ "end\n", "" },
		{ "end\n", "end" },
		{ "end\n", "end\nend\n" },
		{ "end\n", "end\nuid 1\n" },
		{ "end\n", "end\n\n" },
		{ "id k3j5h7g9fx\n", "" },
		{ "id k3j5h7g9fx", "id k3j5h7g9f" },
		{ "id k3j5h7g9fx", "id k3j5h7g9fxx" },
		{ "id k3j5h7g9fx", "id K3J5H7G9FX" },
		{ "id k3j5h7g9fx", "id ../../../x" },
		{ "id k3j5h7g9fx\n", "id k3j5h7g9fx\nid aaaaaaaaaa\n" },
		{ "uid 4294967294\n", "uid 4294967294\nuid 0\n" },
		{ "uid 4294967294\n", "" },
		{ "uid 4294967294", "uid" },
		{ "uid 4294967294", "uid " },
		{ "uid 4294967294", "uid -1" },
		{ "uid 4294967294", "uid 07" },
		{ "uid 4294967294", "uid 4294967294 " },
		{ "uid 4294967294", "uid 1x" },
		{ "uid 4294967294", "uid 4294967296" },
		{ "uid 4294967294", "uod 4294967294" },
		{ "started 1700000000", "started 18446744073709551616" },
		{ "started 1700000000\nstop_timeout 2000\n", "stop_timeout 2000\nstarted 1700000000\n" },
		{ "init 4711 123456789", "init 4711" },
		{ "init 4711 123456789", "init 4711 123456789 3" },
		{ "init 4711 123456789", "init 4711 123456789 " },
		{ "init 4711", "init 2147483648" },
		{ "init 4711", "init -1" },
		{ "inodes 4026531838", "inodes" },
		{ "inodes 4026531838", "inodes 1 4026531838" },
		{ "cgroups /sys/fs/cgroup/pids", "cgroups sys" },
		{ "cgroups /sys/fs/cgroup/pids/nsbox/k3j5h7g9fx", "cgroups " },
		{ "cgroups /sys", "cgroups /\t" },
		{ "scope /sys/fs/cgroup/user.slice/user-2001.slice/session-3.scope\n", "" },
		{ "scope /sys", "scope /\x7f" },
		{ "limits pids_max 2048\n", "limits\n" },
		{ "limits pids_max 2048", "limits pids_max\x1b 2048" },
		{ "limits pids_max 2048\n", "scope /a\nlimits pids_max 2048\n" },
		{ "ut_id aZ09", "ut_id aZ09x" },
		{ "al ice", "al\rice" },
		{ "al ice", "al\x1bice" },
	};
	int wrong = 0;

	(void)state;
	assert_int_equal(parse_with("", ""), 0);
	assert_int_equal(parse_with("uid 4294967294", "uid 0"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse_with(bad[i].from, bad[i].to) != -EBADMSG) {
			print_error("taken: %s for %s\n", bad[i].to, bad[i].from);
			wrong++;
		}
	assert_int_equal(wrong, 0);
	assert_int_equal(parse_with("nsbox 1\n", "nsbox 2\n"), -EBADMSG);
	assert_int_equal(parse_with("nsbox 1\n", "nsbox 4\n"), -EPROTO);
	assert_int_equal(parse_with("nsbox 1\n", "nsbox 0\n"), -EPROTO);
}

static void text_too_many(void **state)
{
	static const struct {
		const char *line;
		size_t max;
	} rows[] = { { "members 815 77\n", NSB_ENTRY_MEMBERS_MAX },
		     { "cgroups /sys/fs/cgroup/uni fied/x\n", NSB_ENTRY_CGROUPS_MAX },
		     { "limits pids_max 2048\n", NSB_ENTRY_LIMITS_MAX } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t n = rows[i].max - 2; n <= rows[i].max + 1; n++) {
			static char lines[NSB_ENTRY_TEXT_MAX];

			/* the text has two of each: one is replaced by n - 1 */
			lines[0] = '\0';
			for (size_t j = 1; j < n; j++)
				strcat(lines, rows[i].line);
			assert_int_equal(parse_with(rows[i].line, lines), n <= rows[i].max ? 0 : -EBADMSG);
		}
}

static void version_2(void **state)
{
	static const struct {
		const char *from, *to;
	} bad[] = {
		{ "share user\n", "" },
		{ "share user", "share a word that is too long" },
		{ "terminals own\n", "" },
		{ "terminals own", "terminals \x1b" },
		{ "monitor ", "members 815 77\nmonitor " },
		{ "started ", "ut_id aZ09\nstarted " },
		{ "nsbox 2\n", "nsbox 1\n" },
	};
	nsb_entry got;
	size_t size;
	char *text;

	(void)state;
	entry.version = 2;
	snprintf(entry.share, sizeof(entry.share), NSB_ENTRY_SHARED);
	snprintf(entry.terminals, sizeof(entry.terminals), "own");
	text = text_of(&entry, &size);
	/* they are version 1's, and nobody writes them any more */
	assert_null(strstr(text, "members"));
	assert_null(strstr(text, "ut_id"));
	assert_int_equal(nsb_entry_parse(text, size, &got), 0);
	free(text);
	assert_int_equal(got.version, 2);
	assert_int_equal(got.n_members, 0);
	assert_string_equal(got.share, "user");
	assert_string_equal(got.terminals, "own");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_with(bad[i].from, bad[i].to), -EBADMSG);
	entry.version = 0;
	assert_int_equal(nsb_entry_format(&entry, &text, &size), -EINVAL);
	entry.version = NSB_ENTRY_VERSION + 1;
	assert_int_equal(nsb_entry_format(&entry, &text, &size), -EINVAL);
}

/* What a box may do is there since version 3, in full. */
static void version_3(void **state)
{
	nsb_entry got;
	size_t size;
	char *text;

	(void)state;
	entry.version = 3;
	entry.capabilities = 1ULL << 40 | 5;
	entry.confine = 3;
	snprintf(entry.seccomp, sizeof(entry.seccomp), "strict nested");
	entry.subids = 2010185728;
	text = text_of(&entry, &size);
	assert_int_equal(nsb_entry_parse(text, size, &got), 0);
	free(text);
	assert_int_equal(got.version, 3);
	assert_true(got.capabilities == entry.capabilities);
	assert_int_equal(got.confine, 3);
	assert_string_equal(got.seccomp, "strict nested");
	assert_int_equal(got.subids, 2010185728);
	assert_int_equal(parse_with("capabilities 1099511627781\n", ""), -EBADMSG);
	assert_int_equal(parse_with("nsbox 3\n", "nsbox 2\n"), -EBADMSG);
	entry.version = 2;
	snprintf(entry.share, sizeof(entry.share), NSB_ENTRY_SHARED);
	text = text_of(&entry, &size);
	assert_null(strstr(text, "capabilities"));
	free(text);
}

/* --- logins --- */

static nsb_member member_of(const char *session, int64_t started)
{
	nsb_member member = { .process = { 815, 77 },
			      .service = "sshd",
			      .tty = "ssh",
			      .rhost = "2001:db8::1",
			      .started = started,
			      .ut_id = "aZ09" };

	snprintf(member.session, sizeof(member.session), "%s", session);
	return member;
}

static void assert_same_member(const nsb_member *a, const nsb_member *b)
{
	assert_string_equal(a->session, b->session);
	assert_true(a->process.pid == b->process.pid && a->process.start == b->process.start);
	assert_string_equal(a->service, b->service);
	assert_string_equal(a->tty, b->tty);
	assert_string_equal(a->rhost, b->rhost);
	assert_int_equal(a->started, b->started);
	assert_string_equal(a->ut_id, b->ut_id);
}

static void members(void **state)
{
	nsb_member one = member_of("bbbbbbbbbb", 1700000000), other = member_of("aaaaaaaaaa", 1700000001), got, *list;
	nsb_error error = { 0 };
	struct stat st;
	size_t n;
	int lock;

	(void)state;
	entry.version = 2;
	assert_int_equal(nsb_registry_add_member(boxes, entry.id, &one, &error), -ENOENT);
	assert_non_null(strstr(error.words, entry.id));
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	assert_int_equal(nsb_registry_members(boxes, &entry, &list, &n), 0);
	assert_int_equal(n, 0);
	free(list);
	assert_int_equal(nsb_registry_add_member(boxes, entry.id, &other, NULL), 0);
	assert_int_equal(nsb_registry_add_member(boxes, entry.id, &one, NULL), 0);
	assert_int_equal(fstatat(boxes, "k3j5h7g9fx/members/bbbbbbbbbb", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(nsb_registry_members(boxes, &entry, &list, &n), 0);
	assert_int_equal(n, 2);
	assert_same_member(&list[0], &one); /* older */
	assert_same_member(&list[1], &other);
	free(list);
	/* replaced as a whole */
	one.ut_id[0] = '\0';
	assert_int_equal(nsb_registry_add_member(boxes, entry.id, &one, NULL), 0);
	assert_int_equal(nsb_registry_read_member(boxes, entry.id, one.session, &got), 0);
	assert_same_member(&got, &one);
	assert_int_equal(nsb_registry_read_member(boxes, entry.id, "cccccccccc", &got), -ENOENT);
	assert_int_equal(nsb_registry_read_member(boxes, entry.id, "../../state", &got), -EINVAL);
	assert_int_equal(nsb_registry_remove_member(boxes, entry.id, one.session), 0);
	assert_int_equal(nsb_registry_remove_member(boxes, entry.id, one.session), 0);
	assert_int_equal(nsb_registry_remove_member(boxes, entry.id, "../state"), -EINVAL);
	assert_int_equal(nsb_registry_remove_member(boxes, "nosuchboxx", one.session), 0);
	assert_int_equal(nsb_registry_read_member(boxes, entry.id, one.session, &got), -ENOENT);
	/* a half-written one of a helper that was killed goes with the entry, as do the socket and the plan */
	assert_int_equal(
		close(openat(boxes, "k3j5h7g9fx/members/dddddddddd.new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(close(openat(boxes, "k3j5h7g9fx/control", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	assert_int_equal(nsb_registry_write_plan(boxes, entry.id, "a plan\n", NULL), 0);
	assert_int_equal(nsb_registry_remove(boxes, entry.id), 0);
	assert_int_equal(fstatat(boxes, "k3j5h7g9fx", &st, 0), -1);
	close(lock);
}

/* What is in the file must be about the login that its name says, and whole. */
static void damaged_members(void **state)
{
	nsb_member one = member_of("bbbbbbbbbb", 1700000000), got, *list;
	size_t n, size;
	char *text;
	int lock;

	(void)state;
	entry.version = 2;
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	assert_int_equal(nsb_registry_add_member(boxes, entry.id, &one, NULL), 0);
	assert_int_equal(renameat(boxes, "k3j5h7g9fx/members/bbbbbbbbbb", boxes, "k3j5h7g9fx/members/cccccccccc"), 0);
	assert_int_equal(nsb_registry_read_member(boxes, entry.id, "cccccccccc", &got), -EBADMSG);
	assert_int_equal(nsb_registry_members(boxes, &entry, &list, &n), 0);
	assert_int_equal(n, 0);
	free(list);
	assert_int_equal(nsb_member_format(&one, &text, &size), 0);
	for (size_t length = 0; length < size; length++)
		assert_int_equal(nsb_member_parse(text, length, &got), -EBADMSG);
	assert_int_equal(nsb_member_parse(text, size, &got), 0);
	text[6] = '1'; /* no version 1 of these */
	assert_int_equal(nsb_member_parse(text, size, &got), -EPROTO);
	free(text);
	one.tty[0] = '\n';
	assert_int_equal(nsb_member_format(&one, &text, &size), -EINVAL);
	close(lock);
}

/* Boxes of version 2 live on after an update, and their logins are written as that version wrote them. */
static void members_of_version_2(void **state)
{
	nsb_member one = member_of("bbbbbbbbbb", 1700000000), got;
	size_t size;
	char *text;

	(void)state;
	assert_int_equal(nsb_member_format(&one, &text, &size), 0);
	assert_int_equal(strncmp(text, "nsbox 3\n", 8), 0);
	text[6] = '2';
	assert_int_equal(nsb_member_parse(text, size, &got), 0);
	assert_string_equal(got.session, one.session);
	text[6] = '4';
	assert_int_equal(nsb_member_parse(text, size, &got), -EPROTO);
	free(text);
}

/* Version 1 has its one login in the entry. */
static void members_of_version_1(void **state)
{
	nsb_member *list;
	size_t n;

	(void)state;
	assert_int_equal(nsb_registry_members(boxes, &entry, &list, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list->session, entry.id);
	assert_true(list->process.pid == 815 && list->process.start == 77);
	assert_string_equal(list->service, entry.service);
	assert_string_equal(list->rhost, entry.rhost);
	assert_string_equal(list->ut_id, "aZ09");
	free(list);
	entry.n_members = 0; /* it was being made */
	assert_int_equal(nsb_registry_members(boxes, &entry, &list, &n), 0);
	assert_int_equal(n, 0);
	free(list);
}

static void plans(void **state)
{
	static char large[200000];
	char *got;
	int lock;

	(void)state;
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	assert_int_equal(nsb_registry_read_plan(boxes, entry.id, &got), -ENOENT);
	memset(large, 'x', sizeof(large) - 1);
	assert_int_equal(nsb_registry_write_plan(boxes, entry.id, large, NULL), 0);
	assert_int_equal(nsb_registry_read_plan(boxes, entry.id, &got), 0);
	assert_string_equal(got, large);
	free(got);
	close(lock);
}

/* The record of a network is replaced as a whole, read as it was written, and goes with the entry. */
static void networks(void **state)
{
	static nsb_network_record record, got;
	nsb_error error = { 0 };
	int lock, fd;

	(void)state;
	record = (nsb_network_record){ .kind = NSB_NETWORK_VETH,
				       .link = "nsb-k3j5h7g9fx",
				       .host_mac = { 2, 0, 0, 0, 0, 1 },
				       .box_mac = { 2, 0, 0, 0, 0, 2 },
				       .allow = { "host:53" },
				       .n_allow = 1 };
	memcpy(record.id, entry.id, sizeof(record.id));
	assert_true(nsb_address_parse("10.213.0.5", &record.address[0]));
	/* no entry, then none in it */
	assert_int_equal(nsb_registry_write_network(boxes, &record, &error), -ENOENT);
	assert_non_null(strstr(error.words, entry.id));
	assert_int_equal(nsb_registry_create(boxes, &entry, &lock, NULL), 0);
	assert_int_equal(nsb_registry_read_network(boxes, entry.id, &got), -ENOENT);
	assert_int_equal(nsb_registry_remove_network(boxes, entry.id), 0);
	for (record.rate = 0; record.rate < 2; record.rate++) {
		assert_int_equal(nsb_registry_write_network(boxes, &record, NULL), 0);
		assert_int_equal(nsb_registry_read_network(boxes, entry.id, &got), 0);
		assert_string_equal(got.allow[0], "host:53");
		assert_true(got.rate == record.rate && strcmp(got.id, entry.id) == 0);
	}
	fd = nsb_registry_open_network(boxes, entry.id);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(nsb_registry_open_network(boxes, "../../x"), -EINVAL);
	assert_int_equal(nsb_registry_remove_network(boxes, entry.id), 0);
	assert_int_equal(nsb_registry_read_network(boxes, entry.id, &got), -ENOENT);
	/* what cannot be read back is not written */
	strcpy(record.allow[0], "host;");
	assert_int_equal(nsb_registry_write_network(boxes, &record, NULL), -EINVAL);
	assert_int_equal(nsb_registry_read_network(boxes, entry.id, &got), -ENOENT);
	strcpy(record.allow[0], "any");
	assert_int_equal(nsb_registry_write_network(boxes, &record, NULL), 0);
	close(lock);
	assert_int_equal(nsb_registry_remove(boxes, entry.id), 0);
}

static void text_with_nul(void **state)
{
	size_t size;
	char *text = text_of(&entry, &size);
	nsb_entry got;

	(void)state;
	*strstr(text, "sshd") = '\0';
	assert_int_equal(nsb_entry_parse(text, size, &got), -EBADMSG);
	free(text);
}

/* --- ids and processes --- */

static void ids(void **state)
{
	static const char *const bad[] = { "",		 "aaaaaaaaa",  "aaaaaaaaaaa", "Aaaaaaaaaa",
					   "aaaaaaaaa.", "aaaa/aaaaa", "aaaaaaaaa\n" };
	char id[NSB_ID_LENGTH + 1], other[NSB_ID_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(nsb_id_valid(bad[i]));
	assert_true(nsb_id_valid("abcxyz0189"));
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(nsb_id_make(id), 0);
		assert_true(nsb_id_valid(id));
		assert_null(strpbrk(id, "01lo")); /* survives being read out */
		assert_int_equal(nsb_id_make(other), 0);
		assert_string_not_equal(id, other);
	}
}

static void process_start(void **state)
{
	uint64_t own = nsb_process_start(getpid());
	pid_t child;
	int status;

	(void)state;
	assert_true(own > 0);
	assert_true(nsb_process_start(1) <= own);
	/* a name that looks like the fields behind it */
	prctl(PR_SET_NAME, ") R 1 (x) 9 9");
	assert_true(nsb_process_start(getpid()) == own);
	prctl(PR_SET_NAME, "test_registry");
	child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(nsb_process_start(child) == 0);
	assert_true(nsb_process_start(-1) == 0);
}

static void process_open(void **state)
{
	nsb_process self = { getpid(), nsb_process_start(getpid()) }, other = self;
	pid_t child;
	int fd = nsb_process_open(&self);

	(void)state;
	assert_true(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	close(fd);
	other.start++; /* the pid is another one's now */
	assert_int_equal(nsb_process_open(&other), -ESRCH);
	other.pid = 0;
	assert_int_equal(nsb_process_open(&other), -ESRCH);
	other.pid = -1;
	assert_int_equal(nsb_process_open(&other), -ESRCH);
	child = fork();
	if (child == 0)
		_exit(0);
	other = (nsb_process){ child, nsb_process_start(child) };
	waitpid(child, NULL, 0);
	assert_int_equal(nsb_process_open(&other), -ESRCH);
	/* what a vanished process's start reads as must match nobody */
	other.start = 0;
	assert_int_equal(nsb_process_open(&other), -ESRCH);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(open_without_create),
		TEST(directory_modes),
		TEST(directory_umask),
		TEST(directory_taken),
		TEST(create_and_read),
		TEST(create_twice),
		TEST(write_again),
		TEST(holders),
		TEST(killed_holder),
		TEST(fork_does_not_inherit),
		TEST(removed_meanwhile),
		TEST(race),
		TEST(replaced_whole),
		TEST(list),
		TEST(half_made),
		TEST(remove_entry),
		TEST(create_fails),
		TEST(lock_user),
		TEST(lock_user_waits),
		TEST(lock_user_link),
		TEST(count_sessions),
		TEST(base_path),
		TEST(base_path_bad),
		TEST(base_path_first),
		TEST(damaged_files),
		TEST(text_round_trip),
		TEST(text_control_characters),
		TEST(text_faults),
		TEST(text_too_many),
		TEST(text_with_nul),
		TEST(version_2),
		TEST(version_3),
		TEST(members),
		TEST(damaged_members),
		TEST(members_of_version_2),
		TEST(members_of_version_1),
		TEST(plans),
		TEST(networks),
		cmocka_unit_test(ids),
		cmocka_unit_test(process_start),
		cmocka_unit_test(process_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
