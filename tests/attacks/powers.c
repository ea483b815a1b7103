/* SPDX-License-Identifier: BSD-3-Clause */
/* powers DIRECTORY...: what this process may do that only root may. "euid N"; "handle ERRNO" of open_by_handle_at(2) on
 * the file system of "/"; for each directory "mknod DIRECTORY ERRNO" and, where a node could be made, "open DIRECTORY
 * ERRNO". ERRNO 0: it worked. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int by_handle(void)
{
	struct file_handle *handle = calloc(1, sizeof(*handle) + MAX_HANDLE_SZ);
	int top = open("/", O_RDONLY | O_DIRECTORY), mount_id;

	if (handle == NULL || top < 0)
		return errno;
	handle->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, "/", handle, &mount_id, 0) < 0) {
		/* a file system without handles: any will do to ask for the right */
		handle->handle_bytes = 8;
		handle->handle_type = 1;
	}
	return open_by_handle_at(top, handle, O_RDONLY) < 0 ? errno : 0;
}

static void try_node(const char *directory)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/powers-node", directory);
	if (mknod(path, S_IFCHR | 0666, makedev(1, 5)) < 0) {
		printf("mknod %s %d\n", directory, errno);
		return;
	}
	printf("mknod %s 0\n", directory);
	fd = open(path, O_RDONLY);
	printf("open %s %d\n", directory, fd < 0 ? errno : 0);
	unlink(path);
}

int main(int argc, char **argv)
{
	printf("euid %d\nhandle %d\n", (int)geteuid(), by_handle());
	for (int i = 1; i < argc; i++)
		try_node(argv[i]);
	return 0;
}
