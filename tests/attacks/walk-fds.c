/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * walk-fds MARKER: tries every descriptor it was given as a way out of the box. MARKER is a path that exists on the host
 * and not in the box. Prints "fd N LINK" for each, "OUT ..." for each way that leads out, "looked at N" at the end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NSFS 0x6e736673
#define CGROUP 0x27e0eb
#define CGROUP2 0x63677270
#define PROC 0x9fa0

static const char *marker;

static void out(int fd, const char *link, const char *how)
{
	printf("OUT %d %s: %s\n", fd, link, how);
}

/* Up and up, then down to the marker. */
static void climb(int fd, const char *link)
{
	int at = dup(fd);
	struct stat here, above;

	for (int i = 0; i < 100; i++) {
		int next = openat(at, "..", O_PATH | O_DIRECTORY);

		if (next < 0 || fstat(at, &here) < 0 || fstat(next, &above) < 0)
			break;
		close(at);
		at = next;
		if (faccessat(at, marker + 1, F_OK, 0) == 0)
			out(fd, link, "the host's tree is above it");
		if (here.st_dev == above.st_dev && here.st_ino == above.st_ino)
			break;
	}
	if (faccessat(fd, marker + 1, F_OK, 0) == 0)
		out(fd, link, "it is the host's root");
	close(at);
}

static void enter(int fd, const char *link)
{
	if (setns(fd, 0) == 0)
		out(fd, link, "setns(2)");
	if (strstr(link, "pidfd") != NULL)
		out(fd, link, "a pidfd");
}

static void use(int fd, const char *link, const struct stat *st)
{
	struct statfs fs = { 0 };
	struct stat proc;
	int type = 0;

	fstatfs(fd, &fs);
	if (S_ISDIR(st->st_mode))
		climb(fd, link);
	enter(fd, link);
	if (fs.f_type == NSFS)
		out(fd, link, "a namespace");
	if (fs.f_type == CGROUP || fs.f_type == CGROUP2)
		out(fd, link, write(fd, "0", 1) == 1 ? "a cgroup file that can be written" : "a cgroup file");
	if (fs.f_type == PROC && (stat("/proc", &proc) < 0 || proc.st_dev != st->st_dev))
		out(fd, link, "another /proc");
	if (S_ISSOCK(st->st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof(type) }) == 0 &&
	    type == SOCK_SEQPACKET)
		out(fd, link, "the monitor's socket");
	if (S_ISREG(st->st_mode) && (strncmp(link, "/run/nsbox", 10) == 0 || strstr(link, "/nsbox/boxes") != NULL))
		out(fd, link, "the registry");
}

int main(int argc, char **argv)
{
	DIR *fds = opendir("/proc/self/fd");
	const struct dirent *entry;
	int n = 0;

	marker = argc > 1 ? argv[1] : "/none";
	while (fds != NULL && (entry = readdir(fds)) != NULL) {
		int fd = atoi(entry->d_name);
		char link[512] = "?";
		struct stat st;

		if (entry->d_name[0] == '.' || fd == dirfd(fds) || fstat(fd, &st) < 0)
			continue;
		if (readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1) < 0)
			strcpy(link, "unreadable");
		printf("fd %d %s\n", fd, link);
		use(fd, link, &st);
		n++;
	}
	if (access(marker, F_OK) == 0)
		printf("OUT -1 %s: the marker is in sight without any trick\n", marker);
	/* the working directory and the root are descriptors as well */
	climb(open(".", O_PATH | O_DIRECTORY), "cwd");
	climb(open("/", O_PATH | O_DIRECTORY), "root");
	climb(open("/proc/self/cwd", O_PATH | O_DIRECTORY), "/proc/self/cwd");
	climb(open("/proc/self/root", O_PATH | O_DIRECTORY), "/proc/self/root");
	printf("looked at %d\n", n);
	return 0;
}
