/* SPDX-License-Identifier: BSD-3-Clause */
/* The smallest root that people can work in: one program, by the names that it has itself, and four files. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/elf.h"
#include "ctl/mkroot.h"

#define NAMES_MAX 65536

static const struct {
	const char *path;
	mode_t mode;
} directories[] = {
	{ "bin", 0755 }, { "sbin", 0755 }, { "usr", 0755 }, { "usr/bin", 0755 }, { "usr/sbin", 0755 }, { "etc", 0755 },
};

static const struct {
	const char *path, *text;
} files[] = {
	{ "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n" },
	/* "tty" owns the terminals of a box by its number (common/default-view.c, gid=5) */
	{ "etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n" },
	{ "etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n" },
	{ "etc/shells", "/bin/sh\n/bin/ash\n" },
	{ "etc/profile", "export PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin\n"
			 "PS1='\\u@\\h:\\w\\$ '\n" },
};

static int open_busybox(const char **ret_path, nsb_error *error)
{
	static const char *const places[] = { "/bin/busybox", "/usr/bin/busybox", "/sbin/busybox",
					      "/usr/sbin/busybox" };
	char loader[PATH_MAX];
	bool found = false;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		NSB_CLOSE int fd = open(places[i], O_RDONLY | O_CLOEXEC);

		found = found || fd >= 0;
		if (fd < 0 || elf_interpreter(fd, loader, sizeof(loader)) != 0)
			continue;
		*ret_path = places[i];
		return nsb_steal_fd(&fd);
	}
	return nsb_error_set(error, ENOENT, "%s: install a static one (Debian: apt-get install busybox-static)",
			     found ? "the busybox of this host needs libraries" : "this host has no busybox");
}

/* "bin/sh\nbin/ls\n...": busybox's own idea of where each of its names belongs. */
static int ask_names(const char *busybox, char *names, nsb_error *error)
{
	char *const arguments[] = { (char *)"busybox", (char *)"--list-full", NULL }, *const environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	NSB_CLOSE int from = -1;
	int pipes[2], status = -1, r;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	from = pipes[0];
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
		if (r == 0)
			r = posix_spawn(&pid, busybox, &actions, NULL, arguments, environment);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(pipes[1]);
	if (r != 0)
		return nsb_error_set(error, r, "cannot run %s: %s", busybox, strerror(r));
	r = (int)nsb_read_text(from, names, NAMES_MAX);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r <= 0 || status != 0)
		return nsb_error_set(error, EIO, "%s --list-full does not tell its names: install another busybox",
				     busybox);
	return 0;
}

static int make_file(int at, const char *path, mode_t mode)
{
	int fd = openat(at, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || fchmod(fd, mode) < 0) {
		nsb_close(fd);
		return -errno;
	}
	return fd;
}

static int copy_program(int from, int at)
{
	NSB_CLOSE int to = make_file(at, "bin/busybox", 0755);
	ssize_t n;

	if (to < 0)
		return to;
	do
		n = sendfile(to, from, NULL, 1 << 20);
	while (n > 0);
	return n < 0 ? -errno : 0;
}

/* The link at `name` ("usr/bin/env") to bin/busybox, relative, so that it also works where the tree is looked at. */
static int make_link(int at, const char *name)
{
	const char *directory = strchr(name, '/') != NULL ? name : NULL;

	if (directory == NULL || strstr(name, "..") != NULL || strcmp(name, "bin/busybox") == 0)
		return 0; /* "linuxrc" at the top has no use in a box */
	if (symlinkat(strncmp(name, "bin/", 4) == 0   ? "busybox"
		      : strncmp(name, "usr/", 4) == 0 ? "../../bin/busybox"
						      : "../bin/busybox",
		      at, name) == 0 ||
	    errno == EEXIST || errno == ENOENT)
		return 0;
	return -errno;
}

static int make_directories(int at)
{
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (mkdirat(at, directories[i].path, directories[i].mode) < 0 ||
		    fchmodat(at, directories[i].path, directories[i].mode, 0) < 0)
			return -errno;
	return 0;
}

static int make_files(int at)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && r == 0; i++) {
		NSB_CLOSE int fd = make_file(at, files[i].path, 0644);

		r = fd < 0 ? fd : nsb_write_all(fd, files[i].text, strlen(files[i].text));
	}
	return r;
}

static int make_links(int at, char *names)
{
	char *save = NULL;
	int r = 0;

	for (char *name = strtok_r(names, "\n", &save); name != NULL && r == 0; name = strtok_r(NULL, "\n", &save))
		r = make_link(at, name);
	return r;
}

int mkroot_busybox(const mkroot_place *place, nsb_error *error)
{
	static char names[NAMES_MAX];
	const char *path = NULL;
	NSB_CLOSE int from = open_busybox(&path, error);
	int r = from < 0 ? from : ask_names(path, names, error);

	if (r < 0)
		return r;
	r = make_directories(place->tree);
	if (r == 0)
		r = copy_program(from, place->tree);
	if (r == 0)
		r = make_links(place->tree, names);
	if (r == 0)
		r = make_files(place->tree);
	return r < 0 ? nsb_error_set(error, r, "cannot fill the new tree: %s", strerror(-r)) : 0;
}
