/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "ctl/mkroot.h"

#define WORK_PREFIX ".nsboxctl-mkroot."

/* --- look --- */

static int split(mkroot_place *place, char parent[PATH_MAX], const char *path, nsb_error *error)
{
	const char *slash;
	int r = nsb_path_normalize(path, place->path, sizeof(place->path));

	if (r < 0)
		return nsb_error_set(error, r, "%s: give the directory without \"..\" and of a sane length", path);
	slash = strrchr(place->path, '/');
	if (slash[1] == '\0')
		return nsb_error_set(error, EINVAL, "/ is the host's own root: name a new directory");
	if (strlen(slash + 1) > NAME_MAX || (size_t)(slash - place->path) + 64 > PATH_MAX)
		return nsb_error_set(error, ENAMETOOLONG, "%s is too long a name", place->path);
	strcpy(place->name, slash + 1); /* NOLINT: measured above */
	snprintf(parent, PATH_MAX, "%.*s", slash == place->path ? 1 : (int)(slash - place->path), place->path);
	return 0;
}

/* 0: it has nothing but "." and "..". */
static int check_empty(int directory, const char *path, nsb_error *error)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int r = 0;

	if (stream == NULL) {
		r = nsb_error_set(error, errno, "cannot read %s: %s", path, strerror(errno));
		nsb_close(copy);
		return r;
	}
	while (r == 0 && (entry = readdir(stream)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = nsb_error_set(error, ENOTEMPTY,
					  "%s is not empty: a root is made where nothing is, or in an empty directory",
					  path);
	closedir(stream);
	return r;
}

static int check_target(const mkroot_place *place, nsb_error *error)
{
	NSB_CLOSE int fd = openat(place->parent, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return nsb_error_set(error, errno, "cannot look at %s: %s", place->path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return nsb_error_set(error, ENOTDIR, "%s exists and is not a directory: name another one", place->path);
	if (nsb_mount_id(fd) != nsb_mount_id(place->parent))
		return nsb_error_set(error, EBUSY, "%s is a mount point: name a directory in it", place->path);
	return check_empty(fd, place->path, error);
}

int mkroot_place_find(mkroot_place *ret, const char *path, nsb_error *error)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	nsb_error why = { 0 };
	char parent[PATH_MAX];
	int r;

	*ret = (mkroot_place){ .parent = -1, .work = -1, .tree = -1 };
	if (host < 0)
		return -errno;
	r = split(ret, parent, path, error);
	if (r < 0)
		return r;
	ret->parent = nsb_path_open(host, parent, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL, NULL, &why);
	if (ret->parent == -ENOENT)
		return nsb_error_set(error, ENOENT, "there is no %s: mkdir -p %s", parent, parent);
	if (ret->parent < 0)
		return nsb_error_set(error, ret->parent, "%s", why.words);
	return check_target(ret, error);
}

/* --- make --- */

static int make_work(mkroot_place *place)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		uint64_t number;

		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return -EIO;
		snprintf(place->work_name, sizeof(place->work_name), WORK_PREFIX "%08x", (unsigned)number);
		if (mkdirat(place->parent, place->work_name, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	place->work_name[0] = '\0';
	return -errno;
}

static int open_directory(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int mkroot_place_begin(mkroot_place *place, nsb_error *error)
{
	const char *slash = strrchr(place->path, '/');
	int r = make_work(place);

	if (r < 0)
		return nsb_error_set(error, r, "cannot make a directory beside %s: %s", place->path, strerror(-r));
	/* -- from here on something is there that must not remain -- */
	place->work = open_directory(place->parent, place->work_name);
	if (place->work < 0)
		return nsb_error_set(error, place->work, "cannot open the directory of work: %s",
				     strerror(-place->work));
	if (mkdirat(place->work, MKROOT_TREE, 0755) < 0)
		return nsb_error_set(error, errno, "cannot make the new tree: %s", strerror(errno));
	place->tree = open_directory(place->work, MKROOT_TREE);
	if (place->tree < 0 || fchmod(place->tree, 0755) < 0)
		return nsb_error_set(error, errno, "cannot open the new tree: %s", strerror(errno));
	snprintf(place->tree_path, sizeof(place->tree_path), "%.*s/%s/" MKROOT_TREE, (int)(slash - place->path),
		 place->path, place->work_name);
	return 0;
}

int mkroot_place_finish(mkroot_place *place, nsb_error *error)
{
	if (fchown(place->tree, 0, 0) < 0 || fchmod(place->tree, 0755) < 0)
		return nsb_error_set(error, errno, "cannot give the tree to root: %s", strerror(errno));
	/* rename(2): an empty directory is replaced, anything else that has come there meanwhile is not */
	if (renameat(place->work, MKROOT_TREE, place->parent, place->name) < 0)
		return nsb_error_set(error, errno, "the tree is ready, but cannot be moved to %s: %s", place->path,
				     strerror(errno));
	return 0;
}

/* --- remove --- */

static int remove_all(int directory, dev_t device);

static int remove_one(int at, const char *name, dev_t device)
{
	NSB_CLOSE int fd = -1;
	struct stat st;
	int r;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	fd = open_directory(at, name);
	if (fd < 0)
		return fd;
	/* nothing of ours mounts here; what somebody else has mounted is not ours to empty */
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != device)
		return -EBUSY;
	r = remove_all(fd, device);
	if (r < 0)
		return r;
	return unlinkat(at, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Goes on after what it could not remove, so that as little as possible remains. The depth is bounded: nsbox-unpack
 * takes no deep archive. */
static int remove_all(int directory, dev_t device)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), first = 0;
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	bool removed;

	if (stream == NULL) {
		nsb_close(copy);
		return -errno;
	}
	do { /* again until nothing is found: what a directory shows while it shrinks is not said to be all */
		removed = false;
		while ((entry = readdir(stream)) != NULL) {
			int r;

			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			r = remove_one(directory, entry->d_name, device);
			removed = removed || r == 0;
			first = r < 0 && first == 0 ? r : first;
		}
		rewinddir(stream);
	} while (removed && first == 0);
	closedir(stream);
	return first;
}

static int remove_work(const mkroot_place *place)
{
	struct stat st;
	int r = 0;

	if (place->work >= 0)
		r = fstat(place->work, &st) < 0 ? -errno : remove_all(place->work, st.st_dev);
	if (r == 0 && unlinkat(place->parent, place->work_name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int mkroot_place_done(mkroot_place *place, nsb_error *error)
{
	int r = place->work_name[0] != '\0' ? remove_work(place) : 0;

	place->work_name[0] = '\0';
	place->work = nsb_close(place->work);
	place->tree = nsb_close(place->tree);
	place->parent = nsb_close(place->parent);
	if (r < 0)
		return nsb_error_set(error, r, "cannot remove all of %s: %s", place->tree_path, strerror(-r));
	return 0;
}
