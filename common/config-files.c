/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the configuration comes from, and whether it can be trusted.
 *
 * Each fault is one of two kinds, and they must not be mixed up. What root has written or left out makes the
 * configuration wrong: a problem, -EBADMSG. What the caller of su can bring about by limits, memory pressure or signals
 * says nothing about it: the errno itself. blame() decides for what open(2) returns.
 */
#include "common/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"

#define MAIN_FILE   NSB_SYSCONFDIR "/security/nsbox.conf"
#define DROPIN_DIR  NSB_SYSCONFDIR "/security/nsbox.conf.d"
#define VENDOR_FILE NSB_VENDORDIR "/nsbox.conf"

typedef struct loader {
	nsb_config *config; /* NULL until the first file is read */
	uid_t owner;	    /* trusted beside root */
	size_t n_found;	    /* files that are there, good or bad */
	size_t n_before;    /* problems that were there before this run */
	nsb_problems *problems;
	nsb_error *error;
} loader;

/* All functions below that return int: 1 done, 0 it does not exist, -EBADMSG a problem was added, other: the system. */

static size_t count_problems(const loader *l)
{
	return l->problems->n + l->problems->dropped - l->n_before;
}

static int blame(loader *l, const char *path, int err)
{
	switch (err) {
	case ENOTDIR:
	case ENAMETOOLONG:
	case ELOOP:
	case ENXIO: /* a socket */
	case ENODEV:
		nsb_problems_add(l->problems, (nsb_origin){ path, 0 }, "it cannot be opened: %s", strerror(err));
		return -EBADMSG;
	}
	return nsb_error_set(l->error, err, "%s cannot be opened: %s", path, strerror(err));
}

/* A symbolic link is followed only along what root alone can change. The file is then opened by its name, which nobody
 * else can have changed in between; that it is the one that was looked at is checked all the same. */
static int open_link(loader *l, const char *path, int flags, int *ret)
{
	NSB_CLOSE int root = -1, looked_at = -1, fd = -1;
	nsb_error why = { 0 };
	struct stat a, b;

	if (path[0] != '/') {
		nsb_problems_add(l->problems, (nsb_origin){ path, 0 },
				 "a symbolic link must be given by its absolute path");
		return -EBADMSG;
	}
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return blame(l, "/", errno);
	looked_at = nsb_path_open(root, path, NSB_PATH_TRUSTED, NULL, NULL, &why);
	if (looked_at == -ENOENT || looked_at == -ELOOP || looked_at == -EPERM || looked_at == -ENOTDIR) {
		nsb_problems_add(l->problems, (nsb_origin){ path, 0 }, "the symbolic link cannot be followed: %s",
				 why.words);
		return -EBADMSG;
	}
	if (looked_at < 0)
		return blame(l, path, -looked_at);
	fd = open(path, flags & ~O_NOFOLLOW);
	if (fd < 0)
		return blame(l, path, errno);
	if (fstat(looked_at, &a) < 0 || fstat(fd, &b) < 0)
		return blame(l, path, errno);
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return nsb_error_set(l->error, EAGAIN, "%s changed while it was opened", path);
	*ret = nsb_steal_fd(&fd);
	return 1;
}

/* Opens what must be of type S_IFREG or S_IFDIR and changeable by nobody but root. */
static int open_trusted(loader *l, const char *path, mode_t type, int *ret)
{
	const nsb_origin at = { path, 0 };
	/* O_NONBLOCK: a FIFO must not hold up the login. A directory is opened without O_DIRECTORY, which would tell a
	 * symbolic link by ENOTDIR. */
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	NSB_CLOSE int fd = open(path, flags);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		r = errno == ELOOP ? open_link(l, path, flags, &fd) : blame(l, path, errno);
		if (r < 0)
			return r;
	}
	if (fstat(fd, &st) < 0)
		return blame(l, path, errno);
	if ((st.st_mode & S_IFMT) != type) {
		nsb_problems_add(l->problems, at,
				 type == S_IFDIR ? "it is not a directory" : "it is not a regular file");
		return -EBADMSG;
	}
	r = 1;
	if (st.st_uid != 0 && st.st_uid != l->owner) {
		nsb_problems_add(l->problems, at, "it belongs to uid %ju, not to root: whoever owns it could change it",
				 (uintmax_t)st.st_uid);
		r = -EBADMSG;
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		nsb_problems_add(l->problems, at, "group or others may write it (mode %04o): chmod go-w",
				 (unsigned)(st.st_mode & 07777));
		r = -EBADMSG;
	}
	if (r > 0)
		*ret = nsb_steal_fd(&fd);
	return r;
}

static int load_file(loader *l, const char *path)
{
	NSB_CLOSE int fd = -1;
	NSB_FREE char *text = NULL;
	ssize_t size;
	int r;

	r = open_trusted(l, path, S_IFREG, &fd);
	if (r == 0 || (r < 0 && r != -EBADMSG))
		return r;
	l->n_found++;
	if (r < 0)
		return r;
	size = nsb_read_all(fd, NSB_CONFIG_FILE_MAX + 1, &text);
	if (size == -EFBIG) {
		nsb_problems_add(l->problems, (nsb_origin){ path, 0 }, "it is larger than %d bytes",
				 NSB_CONFIG_FILE_MAX);
		return -EBADMSG;
	}
	if (size < 0)
		return nsb_error_set(l->error, (int)size, "%s cannot be read: %s", path, strerror((int)-size));
	r = nsb_config_parse(path, text, (size_t)size, &l->config, l->problems);
	return r < 0 ? nsb_error_set(l->error, r, "no memory for what %s says", path) : 1;
}

typedef struct names {
	char **names;
	size_t n;
} names;

static void names_done(names *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
}

static void close_directory(DIR **directory)
{
	if (*directory != NULL)
		closedir(*directory);
}

static bool is_dropin(const char *name)
{
	size_t length = strlen(name), suffix = strlen(".conf");

	/* hidden files are what editors leave while they write */
	return name[0] != '.' && length > suffix && strcmp(name + length - suffix, ".conf") == 0;
}

static int list_dropins(loader *l, const char *path, names *list)
{
	__attribute__((cleanup(close_directory))) DIR *directory = NULL;
	NSB_CLOSE int fd = -1;
	struct dirent *entry;
	char **grown;
	int r;

	r = open_trusted(l, path, S_IFDIR, &fd);
	if (r <= 0)
		return r;
	directory = fdopendir(fd);
	if (directory == NULL)
		return blame(l, path, errno);
	nsb_steal_fd(&fd);
	while (errno = 0, (entry = readdir(directory)) != NULL) {
		if (!is_dropin(entry->d_name))
			continue;
		if (list->n >= NSB_CONFIG_DROPINS_MAX) {
			nsb_problems_add(l->problems, (nsb_origin){ path, 0 }, "it holds more than %d files",
					 NSB_CONFIG_DROPINS_MAX);
			return -EBADMSG;
		}
		grown = nsb_grow(list->names, list->n, sizeof(*grown));
		if (grown == NULL)
			return blame(l, path, ENOMEM);
		list->names = grown;
		list->names[list->n] = nsb_format("%s/%s", path, entry->d_name);
		if (list->names[list->n] == NULL)
			return blame(l, path, ENOMEM);
		list->n++;
	}
	return errno != 0 ? blame(l, path, errno) : 1;
}

/* C order: plain bytes, whatever the locale */
static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int load_dropins(loader *l, const char *path)
{
	__attribute__((cleanup(names_done))) names list = { 0 };
	int r;

	r = list_dropins(l, path, &list);
	if (r <= 0)
		return r;
	if (list.n > 1)
		qsort(list.names, list.n, sizeof(*list.names), compare_names);
	for (size_t i = 0; i < list.n; i++) {
		/* one that is gone since the directory was read counts as never there */
		r = load_file(l, list.names[i]);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	return 1;
}

static int load_all(loader *l, const char *main_file, const char *dropin_dir, const char *vendor_file)
{
	int r = 0;

	if (dropin_dir != NULL)
		r = load_dropins(l, dropin_dir);
	if (r < 0 && r != -EBADMSG)
		return r;
	r = main_file != NULL ? load_file(l, main_file) : 0;
	if (r == 0 && vendor_file != NULL)
		r = load_file(l, vendor_file);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (l->n_found == 0 && count_problems(l) == 0) {
		nsb_problems_add(
			l->problems, (nsb_origin){ main_file, 0 }, "%s",
			dropin_dir == NULL && vendor_file == NULL
				? "there is no such file"
				: "there is no configuration: neither this file nor a drop-in nor the vendor's "
				  "file exists");
		return -EBADMSG;
	}
	return l->config != NULL ? nsb_config_finish(l->config, l->problems) : -EBADMSG;
}

int nsb_config_load_owned(const char *main_file, const char *dropin_dir, const char *vendor_file, uid_t owner,
			  nsb_config **ret, nsb_problems *problems, nsb_error *error)
{
	loader l = { .owner = owner, .problems = problems, .error = error };
	size_t first = problems->n;
	int r;

	l.n_before = problems->n + problems->dropped;
	r = load_all(&l, main_file, dropin_dir, vendor_file);
	if (r >= 0 && count_problems(&l) == 0) {
		*ret = l.config;
		return 0;
	}
	nsb_config_free(l.config);
	if (r < 0 && r != -EBADMSG)
		return nsb_error_set(error, r, "the configuration cannot be read: %s", strerror(-r));
	if (problems->n == first)
		return nsb_error_set(error, EBADMSG, "the configuration is faulty");
	return nsb_error_set(error, EBADMSG, "%s%s", problems->lines[first],
			     count_problems(&l) > 1 ? " (and more)" : "");
}

int nsb_config_load_from(const char *main_file, const char *dropin_dir, const char *vendor_file, nsb_config **ret,
			 nsb_problems *problems, nsb_error *error)
{
	return nsb_config_load_owned(main_file, dropin_dir, vendor_file, 0, ret, problems, error);
}

int nsb_config_load(const char *file, nsb_config **ret, nsb_problems *problems, nsb_error *error)
{
	if (file != NULL)
		return nsb_config_load_owned(file, NULL, NULL, 0, ret, problems, error);
	return nsb_config_load_owned(MAIN_FILE, DROPIN_DIR, VENDOR_FILE, 0, ret, problems, error);
}
