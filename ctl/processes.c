/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"

#define NAMESPACE_SIZE 64 /* "mnt:[4026531841]" */

/* At most the buffer's size, without complaint: nobody's arguments are too long to be looked at. */
static size_t read_some(int directory, const char *name, char *buffer, size_t size)
{
	NSB_CLOSE int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

	buffer[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

static void read_namespace(int directory, const char *path, char link[NAMESPACE_SIZE])
{
	ssize_t n = readlinkat(directory, path, link, NAMESPACE_SIZE - 1);

	link[n < 0 ? 0 : n] = '\0';
}

static void look_at(int proc, const char *name, pid_t pid, process_take *take, void *argument)
{
	NSB_CLOSE int directory = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char comm[64], arguments[4096], theirs[NAMESPACE_SIZE], ours[NAMESPACE_SIZE];
	process_row row = { .pid = pid, .name = comm, .arguments = arguments };
	struct stat st;
	size_t n;

	if (directory < 0 || fstat(directory, &st) < 0)
		return; /* gone */
	row.uid = st.st_uid;
	read_some(directory, "comm", comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	n = read_some(directory, "cmdline", arguments, sizeof(arguments));
	for (size_t i = 0; i + 1 < n; i++)
		if (arguments[i] == '\0')
			arguments[i] = ' ';
	read_namespace(directory, "ns/mnt", theirs);
	read_namespace(proc, "self/ns/mnt", ours);
	row.outside = theirs[0] == '\0' || strcmp(theirs, ours) == 0;
	take(argument, &row);
}

int processes_each(process_take *take, void *argument)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	if (proc == NULL)
		return -errno;
	while ((entry = readdir(proc)) != NULL) {
		uint64_t pid;

		if (nsb_parse_u64(entry->d_name, INT32_MAX, &pid) == 0)
			look_at(dirfd(proc), entry->d_name, (pid_t)pid, take, argument);
	}
	closedir(proc);
	return 0;
}
