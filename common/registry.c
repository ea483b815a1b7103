/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/registry-internal.h"
#include "common/registry-text.h"

/* A half-made entry: "." and the id, so that it sorts and reads as one. */
#define TEMPORARY_MAX (NSB_ID_LENGTH + 8)
#define PLAN_MAX      (4 << 20) /* bytes */

bool nsb_id_valid(const char *id)
{
	return strlen(id) == NSB_ID_LENGTH && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") == NSB_ID_LENGTH;
}

int nsb_id_make(char *buffer)
{
	/* 32 letters: no 0 1 l o, so that an id survives being read out; a multiple of 2, so no letter is favoured */
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned char random[NSB_ID_LENGTH];
	ssize_t n = getrandom(random, sizeof(random), GRND_NONBLOCK);

	if (n != sizeof(random))
		return n < 0 ? -errno : -EIO;
	for (size_t i = 0; i < NSB_ID_LENGTH; i++)
		buffer[i] = letters[random[i] % (sizeof(letters) - 1)];
	buffer[NSB_ID_LENGTH] = '\0';
	return 0;
}

/* Opens (and with `create` makes) one private directory of root; `whole`: its path for people. */
static int open_private(int parent, const char *path, const char *whole, bool create, nsb_error *error)
{
	NSB_CLOSE int fd = -1;
	struct stat st;

	if (create && mkdirat(parent, path, 0700) < 0 && errno != EEXIST)
		return nsb_error_set(error, errno, "cannot make the directory %s: %s", whole, strerror(errno));
	fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return nsb_error_set(error, errno, "cannot open the directory %s: %s", whole, strerror(errno));
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return nsb_error_set(error, EPERM, "%s must be root's with mode 0700: remove it, it is made again",
				     whole);
	return nsb_steal_fd(&fd);
}

int nsb_registry_directory(const char *name, bool create, nsb_error *error)
{
	NSB_CLOSE int run = open_private(AT_FDCWD, NSB_RUNDIR, NSB_RUNDIR, create, error);
	char whole[PATH_MAX];

	if (run < 0)
		return run;
	snprintf(whole, sizeof(whole), NSB_RUNDIR "/%s", name);
	return open_private(run, name, whole, create, error);
}

int nsb_registry_open(bool create, nsb_error *error)
{
	return nsb_registry_directory("boxes", create, error);
}

static int lock_file(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &whole) < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	return 0;
}

int nsb_registry_replace(int dir, const char *name, const char *text, size_t size)
{
	char temporary[NSB_ID_LENGTH + 8];
	NSB_CLOSE int fd = -1;
	int r;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = nsb_write_all(fd, text, size);
	if (r == 0 && renameat(dir, temporary, dir, name) < 0)
		r = -errno;
	return r;
}

static int write_state(int dir, const nsb_entry *entry)
{
	NSB_FREE char *text = NULL;
	size_t size;
	int r = nsb_entry_format(entry, &text, &size);

	return r < 0 ? r : nsb_registry_replace(dir, "state", text, size);
}

static int remove_directory(int boxes, const char *name)
{
	static const char *const files[] = { "control", "network.new", "network", "plan.new", "plan", "state.new", "state", "lock" };
	NSB_CLOSE int dir = openat(boxes, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	r = nsb_registry_remove_members(dir);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (unlinkat(dir, files[i], 0) < 0 && errno != ENOENT)
			return -errno;
	if (unlinkat(boxes, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int nsb_registry_create(int boxes, const nsb_entry *entry, int *ret_lock, nsb_error *error)
{
	char temporary[TEMPORARY_MAX];
	NSB_CLOSE int dir = -1;
	NSB_CLOSE int lock = -1;
	int r = 0;

	snprintf(temporary, sizeof(temporary), ".%s", entry->id);
	if (mkdirat(boxes, temporary, 0700) < 0)
		return nsb_error_set(error, errno, "cannot make a registry entry in %s/boxes: %s", NSB_RUNDIR,
				     strerror(errno));
	dir = openat(boxes, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0)
		lock = openat(dir, "lock", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (lock < 0)
		r = -errno;
	if (r == 0)
		r = lock_file(lock);
	if (r == 0)
		r = write_state(dir, entry);
	/* RENAME_NOREPLACE is not needed: rename(2) onto a directory that is not empty fails, and no entry is empty */
	if (r == 0 && renameat(boxes, temporary, boxes, entry->id) < 0)
		r = errno == ENOTEMPTY ? -EEXIST : -errno;
	if (r < 0) {
		lock = nsb_close(lock);
		remove_directory(boxes, temporary);
		return nsb_error_set(error, r, "cannot make the registry entry %s/boxes/%s: %s", NSB_RUNDIR, entry->id,
				     strerror(-r));
	}
	*ret_lock = nsb_steal_fd(&lock);
	return 0;
}

int nsb_registry_write(int boxes, const nsb_entry *entry, nsb_error *error)
{
	NSB_CLOSE int dir = openat(boxes, entry->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = dir < 0 ? -errno : write_state(dir, entry);

	if (r < 0)
		return nsb_error_set(error, r, "cannot write the registry entry %s/boxes/%s: %s", NSB_RUNDIR, entry->id,
				     strerror(-r));
	return 0;
}

int nsb_registry_read(int boxes, const char *id, nsb_entry *ret)
{
	NSB_FREE char *text = NULL;
	NSB_CLOSE int dir = openat(boxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	NSB_CLOSE int fd = -1;
	ssize_t n;

	if (dir < 0)
		return -errno;
	fd = openat(dir, "state", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	n = fd < 0 ? -errno : nsb_read_all(fd, NSB_ENTRY_TEXT_MAX, &text);
	return n < 0 ? (int)n : nsb_entry_parse(text, (size_t)n, ret);
}

int nsb_registry_lock(int boxes, const char *id, int *ret_lock)
{
	NSB_CLOSE int dir = openat(boxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	NSB_CLOSE int lock = -1;
	struct stat st;
	int r;

	if (dir < 0)
		return -errno;
	lock = openat(dir, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock < 0)
		return -errno;
	r = lock_file(lock);
	if (r < 0)
		return r;
	/* whoever had it may have removed the entry between our open and our lock */
	if (fstat(lock, &st) < 0 || st.st_nlink == 0)
		return -ENOENT;
	*ret_lock = nsb_steal_fd(&lock);
	return 0;
}

pid_t nsb_registry_holder(int boxes, const char *id)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	NSB_CLOSE int dir = openat(boxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	NSB_CLOSE int lock = -1;

	if (dir < 0)
		return -errno;
	lock = openat(dir, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock < 0 || fcntl(lock, F_GETLK, &whole) < 0)
		return -errno;
	return whole.l_type == F_UNLCK ? 0 : whole.l_pid;
}

int nsb_registry_remove(int boxes, const char *id)
{
	return remove_directory(boxes, id);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

int nsb_registry_list(int boxes, char (**ret)[NSB_ID_LENGTH + 8], size_t *ret_n)
{
	NSB_FREE char(*list)[NSB_ID_LENGTH + 8] = NULL;
	/* a descriptor of its own: readdir's position would be shared with `boxes` */
	int fd = openat(boxes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t n = 0, room = 0;
	int r = 0;

	if (dir == NULL) {
		r = -errno;
		nsb_close(fd);
		return r;
	}
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		const char *id = entry->d_name + (entry->d_name[0] == '.');

		if (!nsb_id_valid(id))
			continue;
		if (n == room) {
			void *more = realloc(list, (room = room * 2 + 16) * sizeof(*list));

			if (more == NULL) {
				closedir(dir);
				return -ENOMEM;
			}
			list = more;
		}
		snprintf(list[n++], sizeof(*list), "%.*s", (int)sizeof(*list) - 1, entry->d_name);
	}
	r = -errno;
	closedir(dir);
	if (r < 0)
		return r;
	if (n > 0)
		qsort(list, n, sizeof(*list), compare_names);
	*ret = nsb_steal_pointer(&list);
	*ret_n = n;
	return 0;
}

uint64_t nsb_process_start(pid_t pid)
{
	char path[64], text[1024];
	const char *at;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = nsb_read_text_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return 0;
	/* the command name may hold blanks and ")": fields are counted from the last ")", which ends field 2 */
	at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

int nsb_process_open(const nsb_process *process)
{
	NSB_CLOSE int fd = -1;

	if (process->pid <= 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	if (fd < 0)
		return -errno;
	/* with the pidfd open the pid cannot be used again, so what is read now is about this process */
	if (nsb_process_start(process->pid) != process->start)
		return -ESRCH;
	return nsb_steal_fd(&fd);
}

/* ---- the plan of a box ---- */

int nsb_registry_write_plan(int boxes, const char *id, const char *text, nsb_error *error)
{
	NSB_CLOSE int dir = openat(boxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = dir < 0 ? -errno : nsb_registry_replace(dir, "plan", text, strlen(text));

	return r < 0 ? nsb_error_set(error, r, "cannot write the plan of %s/boxes/%s: %s", NSB_RUNDIR, id, strerror(-r))
		     : 0;
}

int nsb_registry_read_plan(int boxes, const char *id, char **ret)
{
	NSB_CLOSE int dir = openat(boxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	NSB_CLOSE int fd = dir < 0 ? -1 : openat(dir, "plan", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : nsb_read_all(fd, PLAN_MAX, ret);

	return n < 0 ? (int)n : 0;
}

/* ---- the group of nsbox.service ---- */

int nsb_registry_set_base(const char *path, nsb_error *error)
{
	NSB_CLOSE int run = open_private(AT_FDCWD, NSB_RUNDIR, NSB_RUNDIR, true, error);
	NSB_CLOSE int fd = -1;
	int r;

	if (run < 0)
		return run;
	fd = openat(run, "cgroup.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : nsb_write_all(fd, path, strlen(path));
	if (r == 0 && renameat(run, "cgroup.new", run, "cgroup") < 0)
		r = -errno;
	return r < 0 ? nsb_error_set(error, r, "cannot write " NSB_RUNDIR "/cgroup: %s", strerror(-r)) : 0;
}

int nsb_registry_base(char *buffer, size_t size)
{
	ssize_t n = nsb_read_text_at(AT_FDCWD, NSB_RUNDIR "/cgroup", buffer, size);

	if (n < 0)
		return (int)n;
	return n > 1 && buffer[0] == '/' && strstr(buffer, "/..") == NULL ? 0 : -EBADMSG;
}
