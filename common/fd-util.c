/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/fd-util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int nsb_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

int nsb_write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

ssize_t nsb_read_text(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	for (;;) {
		/* one byte more than fits is asked for, so that "exactly full" and "too long" differ */
		ssize_t n = read(fd, buffer + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used >= size)
			return -EFBIG;
	}
	buffer[used] = '\0';
	return (ssize_t)used;
}

#define FIRST_READ 4096 /* bytes: what most files fit into */

ssize_t nsb_read_all(int fd, size_t max, char **ret)
{
	NSB_FREE char *text = NULL;
	char first[FIRST_READ], *bytes = first;
	size_t used = 0, room = max < sizeof(first) ? max : sizeof(first);
	ssize_t n;

	do {
		if (used == room) {
			char *more;

			if (room == max)
				return -EFBIG;
			room = 2 * room < max ? 2 * room : max;
			more = realloc(text, room);
			if (more == NULL)
				return -ENOMEM;
			if (text == NULL)
				memcpy(more, first, used);
			bytes = text = more;
		}
		n = read(fd, bytes + used, room - used);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			used += (size_t)n;
	} while (n != 0);
	if (text == NULL) {
		text = malloc(used + 1);
		if (text == NULL)
			return -ENOMEM;
		memcpy(text, first, used);
	}
	text[used] = '\0'; /* read() was asked for one byte at least, and there was none */
	*ret = nsb_steal_pointer(&text);
	return (ssize_t)used;
}

ssize_t nsb_read_text_at(int dirfd, const char *path, char *buffer, size_t size)
{
	NSB_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return nsb_read_text(fd, buffer, size);
}

int nsb_write_text_at(int dirfd, const char *path, const char *text)
{
	NSB_CLOSE int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, size);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

ino_t nsb_fd_inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}
