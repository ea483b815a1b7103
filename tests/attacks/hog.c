/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hog WAY MEBIBYTES: takes memory, a mebibyte at a time, and touches it. Prints "got N ERRNO" when it is refused,
 * "got N OK" when it has all; the program that is killed prints nothing. Holds it until standard input ends. Ways:
 *
 * anonymous  mmap(2)
 * memfd      memfd_create(2): pages of nobody's address space
 * shm        shmget(2)
 * tmpfs      a file in /dev/shm
 * nested     a file in a tmpfs of its own, in a user namespace: without the size that the box's have
 * pipes      pipe buffers: the kernel's memory
 * inodes     empty files in /tmp, by the thousand: the kernel's memory, which no size= counts
 * relay      anonymous, in processes of which each starts the next before it is killed
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/attacks/nest.h"

#define MIB (1024L * 1024)

static int touch(void *at)
{
	if (at == MAP_FAILED)
		return -1;
	memset(at, 1, MIB);
	return 0;
}

static int anonymous(long i)
{
	(void)i;
	return touch(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int write_mebibyte(int fd)
{
	static char block[MIB];

	memset(block, 1, sizeof(block));
	return write(fd, block, sizeof(block)) == (ssize_t)sizeof(block) ? 0 : -1;
}

static int into_memfd(long i)
{
	static int fd;

	if (i == 0)
		fd = memfd_create("nsbox-attack", MFD_CLOEXEC);
	return write_mebibyte(fd);
}

static int into_shm(long i)
{
	int id = shmget(IPC_PRIVATE, MIB, IPC_CREAT | 0600);

	(void)i;
	return id < 0 ? -1 : touch(shmat(id, NULL, 0));
}

static int into_tmpfs(long i)
{
	static int fd;

	if (i == 0) {
		char path[64];

		snprintf(path, sizeof(path), "/dev/shm/nsbox-attack-%d", getpid());
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	}
	return write_mebibyte(fd);
}

static int into_own_tmpfs(long i)
{
	static int fd;

	if (i == 0 && (nest(0) < 0 || mount("none", "/tmp", "tmpfs", 0, "size=1t") < 0 ||
		       (fd = open("/tmp/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0))
		return -1;
	return write_mebibyte(fd);
}

static int into_pipes(long i)
{
	static char page[4096];
	int ends[2];

	(void)i;
	for (long filled = 0; filled < MIB;) {
		ssize_t n;

		if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
			return -1;
		while ((n = write(ends[1], page, sizeof(page))) > 0)
			filled += n;
	}
	return 0;
}

/* About a kilobyte each. */
static int into_inodes(long i)
{
	char path[64];

	for (long k = 0; k < 1024; k++) {
		int fd;

		snprintf(path, sizeof(path), "/tmp/nsbox-%d-%ld", getpid(), i * 1024 + k);
		if ((fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0)
			return -1;
		close(fd);
	}
	return 0;
}

static int relay(long i)
{
	if (i % 16 == 15)
		(void)!fork();
	return anonymous(i);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*take)(long);
	} ways[] = { { "anonymous", anonymous },   { "memfd", into_memfd },
		     { "shm", into_shm },	   { "tmpfs", into_tmpfs },
		     { "nested", into_own_tmpfs }, { "pipes", into_pipes },
		     { "inodes", into_inodes },	   { "relay", relay } };
	long most = argc > 2 ? atol(argv[2]) : 0, got = 0;
	char byte;

	for (size_t i = 0; argc > 1 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name) != 0)
			continue;
		while (got < most && ways[i].take(got) == 0)
			got++;
		printf("got %ld %s\n", got, got == most ? "OK" : strerrorname_np(errno));
		fflush(stdout);
		while (read(0, &byte, 1) > 0)
			;
		return 0;
	}
	return 2;
}
