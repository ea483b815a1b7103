/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl pamtest: files of the host that are put into the copy. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/command.h"
#include "ctl/pamtest.h"

#define PAM_DIRECTORY "/etc/pam.d"

/* Takes fd and dst, which may be NULL for want of memory. */
static int add(pamtest_sources *list, int fd, mode_t mode, char *dst)
{
	pamtest_source *more = nsb_grow(list->items, list->n, sizeof(*more));

	if (more != NULL)
		list->items = more;
	if (more == NULL || dst == NULL) {
		nsb_close(fd);
		free(dst);
		return -ENOMEM;
	}
	more[list->n++] = (pamtest_source){ .fd = fd, .mode = mode, .dst = dst };
	return 0;
}

/* For reading, without waiting for a FIFO. -errno with a sentence; `option`: for that. */
static int open_source(int dir, const char *name, const char *option, struct stat *ret, nsb_error *error)
{
	NSB_CLOSE int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) < 0)
		return nsb_error_set(error, errno, "%s: %s: %s", option, name, strerror(errno));
	return nsb_steal_fd(&fd);
}

static int add_entry(pamtest_sources *list, int dir, const char *name, nsb_error *error)
{
	struct stat st;
	NSB_CLOSE int fd = open_source(dir, name, "--pam-dir", &st, error);

	if (fd < 0)
		return fd;
	/* libpam reads plain files only */
	return S_ISREG(st.st_mode) ? add(list, nsb_steal_fd(&fd), 0644, nsb_format(PAM_DIRECTORY "/%s", name)) : 0;
}

int pamtest_open_pam_dir(const char *path, pamtest_sources *list, nsb_error *error)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	size_t before = list->n;
	int r = 0;

	if (directory == NULL)
		return nsb_error_set(error, errno, "--pam-dir: %s: %s", path, strerror(errno));
	while (r == 0 && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			r = add_entry(list, dirfd(directory), entry->d_name, error);
	closedir(directory);
	if (r == 0 && list->n == before)
		return nsb_error_set(error, ENOENT,
				     "--pam-dir: %s: there is no file in it, and a PAM service is a file", path);
	return r;
}

int pamtest_open_module(const char *path, pamtest_sources *list, nsb_error *error)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	struct stat st;
	NSB_CLOSE int fd = open_source(AT_FDCWD, path, "--module", &st, error);
	char magic[4];

	if (fd < 0)
		return fd;
	if (!S_ISREG(st.st_mode) || pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
	    memcmp(magic, "\177ELF", sizeof(magic)) != 0)
		return nsb_error_set(error, ENOEXEC, "--module: %s is no shared object (ELF), as modules are", path);
	return add(list, nsb_steal_fd(&fd), 0644, nsb_format("%s/%s", NSB_PAMDIR, name));
}

/* Absolute, without "." and ".." and not "/". */
static bool is_target(const char *path)
{
	if (path[0] != '/' || path[strspn(path, "/")] == '\0')
		return false;
	for (const char *at = path; *at != '\0';) {
		size_t length;

		at += strspn(at, "/");
		length = strcspn(at, "/");
		if ((length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		at += length;
	}
	return true;
}

int pamtest_open_file(const char *word, pamtest_sources *list, nsb_error *error)
{
	const char *colon = strrchr(word, ':');
	NSB_FREE char *source = NULL;
	struct stat st;
	NSB_CLOSE int fd = -1;

	if (colon == NULL || colon == word || !is_target(colon + 1))
		return nsb_error_set(error, EINVAL,
				     "--file %s: write SOURCE:TARGET, and TARGET as an absolute path without \"..\"",
				     word);
	source = strndup(word, (size_t)(colon - word));
	if (source == NULL)
		return -ENOMEM;
	fd = open_source(AT_FDCWD, source, "--file", &st, error);
	if (fd < 0)
		return fd;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return nsb_error_set(error, EINVAL, "--file: %s is neither a file nor a directory", source);
	/* it becomes root's, and what is somebody else's set-user-ID program must not act as root then */
	return add(list, nsb_steal_fd(&fd), st.st_mode & (st.st_uid == 0 ? 07777 : 0777), strdup(colon + 1));
}

void pamtest_sources_done(pamtest_sources *list)
{
	for (size_t i = 0; i < list->n; i++) {
		nsb_close(list->items[i].fd);
		free(list->items[i].dst);
	}
	free(list->items);
	*list = (pamtest_sources){ 0 };
}

/* ---- in the copy ---- */

static void __attribute__((noreturn)) program_main(char *const argv[], int cwd, int source)
{
	int null = open("/dev/null", O_RDWR);

	if ((cwd >= 0 && fchdir(cwd) < 0) || (source >= 0 && fcntl(source, F_SETFD, 0) < 0) || null < 0 ||
	    dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(COMMAND_PROBLEM);
	umask(022);
	execvp(argv[0], argv);
	fprintf(stderr, "nsboxctl: %s: %s\n", argv[0], strerror(errno));
	_exit(COMMAND_NOT_FOUND);
}

int pamtest_run_program(char *const argv[], int cwd, int source, nsb_error *error)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (child == 0)
		program_main(argv, cwd, source);
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			child = -1;
	if (child < 0)
		return nsb_error_set(error, errno, "cannot run %s in the copy: %s", argv[0], strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : COMMAND_SIGNALLED + WTERMSIG(status);
}

/* The directories above, as far as they are missing. */
static int make_above(const char *dst)
{
	char path[PATH_MAX];

	if (strlen(dst) >= sizeof(path))
		return -ENAMETOOLONG;
	snprintf(path, sizeof(path), "%s", dst);
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int copy_content(int from, int to)
{
	ssize_t n;

	do
		n = sendfile(to, from, NULL, 1 << 20);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/* A new file takes the place of what is there, so that a hard link or a program that runs is not written to. */
static int copy_file(const pamtest_source *source)
{
	NSB_FREE char *new = nsb_format("%s.nsbox", source->dst);
	NSB_CLOSE int to = new != NULL ? open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
	int r = new == NULL ? -ENOMEM : to < 0 ? -errno : copy_content(source->fd, to);

	if (r == 0 && (fchown(to, 0, 0) < 0 || fchmod(to, source->mode) < 0 || rename(new, source->dst) < 0))
		r = -errno;
	if (r < 0 && to >= 0)
		unlink(new);
	return r;
}

/* By the program that does it best. Links in it are kept as they are, and owners: what is somebody's set-user-ID program stays his. */
static int copy_directory(const pamtest_source *source, nsb_error *error)
{
	NSB_FREE char *from = nsb_format("/proc/self/fd/%d/.", source->fd);
	char *const argv[] = { (char *)"cp", (char *)"-a", from, source->dst, NULL };
	int r = mkdir(source->dst, 0755) < 0 && errno != EEXIST ? -errno : 0;

	if (r == 0)
		r = from == NULL ? -ENOMEM : pamtest_run_program(argv, -1, source->fd, error);
	return r > 0 ? -EIO : r;
}

int pamtest_copy(const pamtest_sources *list, nsb_error *error)
{
	for (size_t i = 0; i < list->n; i++) {
		const pamtest_source *source = &list->items[i];
		struct stat st;
		int r = make_above(source->dst);

		if (r == 0 && fstat(source->fd, &st) < 0)
			r = -errno;
		if (r == 0)
			r = S_ISDIR(st.st_mode) ? copy_directory(source, error) : copy_file(source);
		if (r < 0)
			return nsb_error_set(error, r, "cannot put %s into the copy: %s", source->dst, strerror(-r));
	}
	return 0;
}
