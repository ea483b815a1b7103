/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/device-match.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/kernel-target.h"
#include "common/path-util.h"

typedef struct search {
	device_found found;
	void *data;
} search;

static int look_into(const search *s, int dir, const char *path, const char *rest);

static bool is_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* One name that matches. `rest`: what follows behind it in the pattern, NULL at the end. */
static int take(const search *s, int dir, const char *above, const char *name, const char *rest)
{
	NSB_CLOSE int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char path[PATH_MAX];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/%s", above, name);

	if (fd < 0 || fstat(fd, &st) < 0 || n < 0 || (size_t)n >= sizeof(path) || nsb_dev_is_own(path))
		return 0;
	if (rest == NULL)
		return is_device(&st) ? s->found(s->data, path, fd, &st) : 0;
	/* what others put into a directory of theirs is no device of the host's */
	return S_ISDIR(st.st_mode) && nsb_stat_trusted(&st) ? look_into(s, fd, path, rest) : 0;
}

static int list(const search *s, int dir, const char *path, const char *word, const char *rest)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (entries == NULL) {
		nsb_close(fd);
		return -errno;
	}
	while (r == 0 && (entry = readdir(entries)) != NULL)
		if (entry->d_name[0] != '.' && fnmatch(word, entry->d_name, FNM_PERIOD | FNM_NOESCAPE) == 0)
			r = take(s, dir, path, entry->d_name, rest);
	closedir(entries);
	return r;
}

static int look_into(const search *s, int dir, const char *path, const char *rest)
{
	size_t length = strcspn(rest, "/");
	char word[NAME_MAX + 1];

	if (length > NAME_MAX)
		return 0;
	memcpy(word, rest, length);
	word[length] = '\0';
	rest = rest[length] == '/' ? rest + length + 1 : NULL;
	return nsb_dev_is_glob(word) ? list(s, dir, path, word, rest) : take(s, dir, path, word, rest);
}

int device_match(int root, const char *pattern, device_found found, void *data, nsb_error *error)
{
	const search s = { found, data };
	bool glob = nsb_dev_is_glob(pattern);
	nsb_error why = { 0 };
	NSB_CLOSE int fd =
		nsb_path_open(root, glob ? "/dev" : pattern, glob ? NSB_PATH_DIRECTORY : 0, NULL, NULL, &why);
	struct stat st;

	if (fd == -ENOENT)
		return nsb_error_set(error, fd, "there is no device %s", pattern);
	if (fd < 0)
		return nsb_error_set(error, fd, "%s", why.words);
	if (glob)
		return look_into(&s, fd, "/dev", pattern + strlen("/dev/"));
	if (fstat(fd, &st) < 0 || !is_device(&st))
		return nsb_error_set(error, ENODEV, "%s is not a device", pattern);
	return found(data, pattern, fd, &st);
}
