/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two overlays over one upper directory destroy what is in it, and the kernel only warns. So whoever makes a box locks
 * the directory first, and its monitor, which the helper becomes, keeps the lock to its end.
 *
 * The lock is one of an open file description (F_OFD_SETLK, fcntl(2)): it stays over exec, and asking whether it is taken
 * takes nothing.
 */
#include "helper/upper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/share.h"
#include "helper/steps.h"

#define ENDING	     1000 /* ms that a box needs to end, beside stop_timeout */
#define PATIENCE_MAX 5000 /* ms: well before the helper's deadline */
#define LOOK	     20	  /* ms */

static const struct {
	const char *name;
	mode_t mode;
} parts[] = {
	{ "upper", 0755 }, /* its mode is that of "/" in the box */
	{ "work", 0700 },
};

/* The directory above `path`, which root alone can change, and the name in it. */
static int open_above(const char *path, const char **ret_name, nsb_error *error)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char above[PATH_MAX];
	nsb_error why = { 0 };
	char *slash;
	int fd;

	snprintf(above, sizeof(above), "%s", path);
	slash = strrchr(above, '/');
	*ret_name = path + (slash - above) + 1;
	*slash = '\0';
	if (host < 0)
		return -errno;
	fd = nsb_path_open(host, above[0] == '\0' ? "/" : above, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL, NULL,
			   &why);
	if (fd == -ENOENT)
		return nsb_error_set(error, fd, "overlay: there is no %s for %s: mkdir -m 755 %s", above, *ret_name,
				     above);
	return fd < 0 ? nsb_error_set(error, fd, "overlay: %s", why.words) : fd;
}

static int open_part(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int check_owner(int fd, const char *path, nsb_error *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || (st.st_mode & 077) != 0)
		return nsb_error_set(
			error, EPERM,
			"overlay: %s belongs to uid %u with mode %04o: it must be root's alone: chown root, "
			"chmod 700",
			path, st.st_uid, st.st_mode & 07777);
	return 0;
}

static int check_file_system(int fd, const char *path, nsb_error *error)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} unfit[] = { { OVERLAYFS_SUPER_MAGIC, "overlayfs" },
		      { NFS_SUPER_MAGIC, "NFS" },
		      { FUSE_SUPER_MAGIC, "FUSE" },
		      { MSDOS_SUPER_MAGIC, "FAT" },
		      { RAMFS_MAGIC, "ramfs" },
		      { SMB2_SUPER_MAGIC, "SMB" },
		      { CIFS_SUPER_MAGIC, "SMB" },
		      { SQUASHFS_MAGIC, "squashfs" } };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++)
		if ((unsigned long)fs.f_type == unfit[i].magic)
			return nsb_error_set(
				error, EOPNOTSUPP,
				"overlay: %s is on %s, which cannot keep the writes of an overlay: use ext4, xfs "
				"or btrfs",
				path, unfit[i].name);
	return 0;
}

static int lock(int fd, int command)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, command, &all) < 0)
		return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
	return command == F_OFD_GETLK && all.l_type != F_UNLCK ? -EBUSY : 0;
}

/* The same with patience: after a logout the box needs its time to end, and whoever comes back at once is to get in. `joins`:
 * one that is there, or is being made, may be the one that this login joins. */
static int wait_lock(nsb_box *box, int fd, int command, bool joins)
{
	int64_t patience = box->plan.stop_timeout + ENDING;
	int64_t deadline = nsb_now() + (patience < PATIENCE_MAX ? patience : PATIENCE_MAX);
	int r;

	while ((r = lock(fd, command)) == -EBUSY && nsb_now() < deadline) {
		if (joins && share_joinable(box))
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = LOOK * 1000000L }, NULL);
	}
	return r;
}

/* Not a fault of the box: with on_error = allow a second session would be one without a box. */
static int taken(nsb_box *box, const char *path)
{
	box->forbidden = true;
	if (box->plan.share)
		return nsb_error_set(
			&box->error, EBUSY,
			"overlay: another box has %s, which this session cannot share (another user's or profile's, "
			"made before the configuration was changed, or one for terminals of another kind: devpts): end "
			"it, or write %%u or %%s into overlay",
			path);
	return nsb_error_set(
		&box->error, EBUSY,
		"overlay: another box has %s: end it, or write share = user so that the sessions of a user share "
		"one box, or a name of its own (%%u) into overlay",
		path);
}

/* Whether the box that has the lock is another user's, as that one has written into it. */
static bool is_others(int fd, uid_t uid)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 && strtoul(text, NULL, 10) != uid;
}

static const nsb_step *find_step(const nsb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].op == NSB_OP_UPPER)
			return &plan->steps[i];
	return NULL;
}

/* Not there, or a directory of root's. */
static int check_part(int dir, const char *path, size_t i, nsb_error *error)
{
	struct stat st;

	if (fstatat(dir, parts[i].name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0)
		return nsb_error_set(error, EPERM, "overlay: %s/%s is not a directory of root's: remove it", path,
				     parts[i].name);
	return 0;
}

static int not_plain(const char *path, nsb_error *error)
{
	return nsb_error_set(error, EPERM, "overlay: %s/lock is no plain file: remove it", path);
}

int upper_check(nsb_box *box)
{
	const nsb_step *step = find_step(&box->plan);
	const char *name;
	NSB_CLOSE int above = -1;
	NSB_CLOSE int dir = -1;
	NSB_CLOSE int file = -1;
	struct stat st;
	int r;

	if (step == NULL)
		return 0;
	above = open_above(step->dst, &name, &box->error);
	if (above < 0)
		return above;
	dir = open_part(above, name);
	if (dir < 0 && errno != ENOENT)
		return nsb_error_set(&box->error, errno, "overlay: %s: %s", step->dst, strerror(errno));
	r = check_file_system(dir >= 0 ? dir : above, step->dst, &box->error);
	if (r == 0 && dir >= 0)
		r = check_owner(dir, step->dst, &box->error);
	for (size_t i = 0; r == 0 && dir >= 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = check_part(dir, step->dst, i, &box->error);
	if (r < 0 || dir < 0)
		return r;
	file = openat(dir, "lock", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file < 0)
		return errno == ENOENT
			       ? 0
			       : nsb_error_set(&box->error, errno, "overlay: %s/lock: %s", step->dst, strerror(errno));
	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return not_plain(step->dst, &box->error);
	r = wait_lock(box, file, F_OFD_GETLK, box->plan.share && !is_others(file, box->session.uid));
	return r == -EBUSY ? taken(box, step->dst) : 0;
}

static int make_part(int dir, const char *path, size_t i, nsb_error *error)
{
	NSB_CLOSE int fd = -1;
	bool made = mkdirat(dir, parts[i].name, 0700) == 0;

	if (!made && errno != EEXIST)
		return nsb_error_set(error, errno, "cannot make %s/%s: %s", path, parts[i].name, strerror(errno));
	fd = open_part(dir, parts[i].name);
	if (fd < 0)
		return nsb_error_set(error, errno, "cannot open %s/%s: %s", path, parts[i].name, strerror(errno));
	/* the mode only of a new one: later it is what the box made of its "/" */
	if (made && fchmod(fd, parts[i].mode) < 0)
		return -errno;
	return check_part(dir, path, i, error);
}

static int open_directory(nsb_box *box, const nsb_step *step)
{
	const char *name;
	NSB_CLOSE int above = open_above(step->dst, &name, &box->error);

	if (above < 0)
		return above;
	if (mkdirat(above, name, 0700) == 0)
		box->upper_made = true;
	else if (errno != EEXIST)
		return nsb_error_set(&box->error, errno, "cannot make %s: %s", step->dst, strerror(errno));
	box->upper = open_part(above, name);
	if (box->upper < 0)
		return nsb_error_set(&box->error, errno, "cannot open %s: %s", step->dst, strerror(errno));
	return check_owner(box->upper, step->dst, &box->error);
}

static int take_lock(nsb_box *box, const nsb_step *step)
{
	char owner[16];
	struct stat st;
	int n, r;

	box->upper_lock = openat(box->upper, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (box->upper_lock < 0)
		return nsb_error_set(&box->error, errno, "cannot open %s/lock: %s", step->dst, strerror(errno));
	r = wait_lock(box, box->upper_lock, F_OFD_SETLK, false);
	if (r == 0 && fstat(box->upper_lock, &st) < 0)
		r = -errno;
	if (r < 0)
		return r == -EBUSY ? taken(box, step->dst)
				   : nsb_error_set(&box->error, r, "cannot lock %s/lock: %s", step->dst, strerror(-r));
	if (!S_ISREG(st.st_mode))
		return not_plain(step->dst, &box->error);
	/* a login that was taken back meanwhile has removed what it had made: nobody else sees this lock */
	if (st.st_nlink == 0)
		return nsb_error_set(&box->error, ESTALE,
				     "overlay: %s was removed while it was waited for: log in again", step->dst);
	box->upper_locked = true;
	/* Always as long and never cut off: a disk that is full keeps out nobody who was in before. */
	n = snprintf(owner, sizeof(owner), "%010u\n", box->session.uid);
	if (pwrite(box->upper_lock, owner, (size_t)n, 0) != n)
		return nsb_error_set(&box->error, errno, "cannot write %s/lock: %s", step->dst, strerror(errno));
	return 0;
}

int upper_prepare(nsb_box *box, const nsb_step *step)
{
	int r = open_directory(box, step);

	if (r == 0)
		r = take_lock(box, step);
	for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = make_part(box->upper, step->dst, i, &box->error);
	return r;
}

void upper_undo(nsb_box *box, const nsb_step *step)
{
	const char *name;
	nsb_error ignored = { 0 };
	NSB_CLOSE int above = -1;

	/* One that was there stays as it is; of a new one nothing but what the box has written, which was nobody's. One
	 * that another login has locked before us is that one's. */
	if (box->upper_made && box->upper_locked) {
		above = open_above(step->dst, &name, &ignored);
		unlinkat(box->upper, "work/work", AT_REMOVEDIR);
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			unlinkat(box->upper, parts[i].name, AT_REMOVEDIR);
		unlinkat(box->upper, "lock", 0);
		if (above >= 0)
			unlinkat(above, name, AT_REMOVEDIR);
	}
	box->upper_made = box->upper_locked = false;
	box->upper = nsb_close(box->upper);
	box->upper_lock = nsb_close(box->upper_lock);
}
