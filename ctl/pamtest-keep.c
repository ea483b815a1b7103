/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl pamtest --keep: what the overlays have taken (helper/overlay-host.c shows it at /run/host/written) is copied
 * to the host. A copy, because memory goes with the box, and because most file systems that a test runs on (an overlay,
 * NFS) could not be the upper directory themselves.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/registry.h"
#include "ctl/pamtest.h"

#define WRITTEN "/run/host/written"
#define TRIES	16

/* 0700, of a name that nobody can foresee. Its descriptor. */
static int make_directory(int parent, char name[32])
{
	for (int i = 0; i < TRIES; i++) {
		char id[NSB_ID_LENGTH + 1];
		int r = nsb_id_make(id);

		if (r < 0)
			return r;
		snprintf(name, 32, "nsbox-pamtest.%s", id);
		if (mkdirat(parent, name, 0700) == 0) {
			int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			return fd < 0 ? -errno : fd;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* The directories of `path` ("/a/b") below `top`, made where they are missing. The descriptor of the last. */
static int make_path(int top, char *path)
{
	NSB_CLOSE int dir = fcntl(top, F_DUPFD_CLOEXEC, 0);
	char *save = NULL;

	for (char *name = strtok_r(path, "/", &save); name != NULL && dir >= 0; name = strtok_r(NULL, "/", &save)) {
		int next = mkdirat(dir, name, 0700) < 0 && errno != EEXIST
				   ? -1
				   : openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		nsb_close(dir);
		dir = next;
	}
	return dir < 0 ? -errno : nsb_steal_fd(&dir);
}

/* One of the overlays: "upper" in it goes to where "on" says. */
static int keep_one(int top, const char *name, nsb_error *error)
{
	char link[PATH_MAX], upper[PATH_MAX], on[PATH_MAX];
	char *const argv[] = { (char *)"cp", (char *)"-a", upper, (char *)".", NULL };
	NSB_CLOSE int place = -1;
	ssize_t n;
	int r;

	snprintf(link, sizeof(link), WRITTEN "/%s/on", name);
	snprintf(upper, sizeof(upper), WRITTEN "/%s/upper/.", name);
	n = readlink(link, on, sizeof(on) - 1);
	if (n < 0)
		return -errno;
	on[n] = '\0';
	place = make_path(top, on);
	if (place < 0)
		return place;
	r = pamtest_run_program(argv, place, -1, error);
	return r > 0 ? nsb_error_set(error, EIO, "cp failed (status %d)", r) : r;
}

/* An upper directory with nothing in it says nothing. */
static bool is_empty(const char *name)
{
	char upper[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;
	int n = 0;

	snprintf(upper, sizeof(upper), WRITTEN "/%s/upper", name);
	dir = opendir(upper);
	while (dir != NULL && n <= 2 && (entry = readdir(dir)) != NULL)
		n++;
	if (dir != NULL)
		closedir(dir);
	return n <= 2;
}

static int keep_all(int top, nsb_error *error)
{
	struct dirent **entries = NULL;
	int n = scandir(WRITTEN, &entries, NULL, versionsort); /* as they were mounted: what is above comes first */
	int r = n < 0 ? -errno : 0;

	for (int i = 0; i < n; i++) {
		if (r == 0 && entries[i]->d_name[0] != '.' && !is_empty(entries[i]->d_name))
			r = keep_one(top, entries[i]->d_name, error);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int pamtest_keep(int parent, const char *path, nsb_error *error)
{
	char name[32];
	NSB_CLOSE int dir = make_directory(parent, name);
	NSB_CLOSE int upper = -1;
	int r = dir;

	if (r >= 0)
		r = mkdirat(dir, "upper", 0700) < 0 ? -errno : 0;
	if (r == 0) {
		upper = openat(dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = upper < 0 ? -errno : keep_all(upper, error);
	}
	if (dir >= 0)
		fprintf(stderr, "nsboxctl: what was changed is in %s/%s/upper; remove it by: rm -r %s/%s\n", path, name,
			path, name);
	return r < 0 ? nsb_error_set(error, r, "--keep: cannot copy to %s: %s", path, strerror(-r)) : 0;
}
