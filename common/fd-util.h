/* SPDX-License-Identifier: BSD-3-Clause */
/* Ownership of descriptors and memory: a cleanup at the declaration, given away explicitly (nsb_steal_*). */
#ifndef NSB_FD_UTIL_H
#define NSB_FD_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>

/* Closes if >= 0 and keeps errno. Returns -1, so that `fd = nsb_close(fd)` leaves nothing dangling. */
int nsb_close(int fd);

static inline void nsb_cleanup_close(int *fd)
{
	nsb_close(*fd);
}

static inline void nsb_cleanup_free(void *memory)
{
	int saved = errno;

	free(*(void **)memory);
	errno = saved;
}

#define NSB_CLOSE __attribute__((cleanup(nsb_cleanup_close)))
#define NSB_FREE  __attribute__((cleanup(nsb_cleanup_free)))

/* The descriptor, whose variable no longer owns it. */
static inline int nsb_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static inline void *nsb_steal_pointer_(void *memory)
{
	void **place = memory, *stolen = *place;

	*place = NULL;
	return stolen;
}
#define nsb_steal_pointer(place) ((__typeof__(*(place)))nsb_steal_pointer_(place))

/* Writes all of `size` bytes in one go or several (EINTR is tried again). 0 or negative errno; -EIO on a short end. */
int nsb_write_all(int fd, const void *data, size_t size);

/* Reads at most `size` - 1 bytes until end of file and appends a NUL. Returns the length; -EFBIG if there is more. */
ssize_t nsb_read_text(int fd, char *buffer, size_t size);

/* Reads until end of file into memory of the size that it takes, with a NUL behind it: *ret, which the caller frees.
 * Returns the length; -EFBIG if that is `max` or more. Memory that nobody has touched before is what costs most in a
 * short life (25 us a page on some virtual machines), so none is asked for that is not filled. */
ssize_t nsb_read_all(int fd, size_t max, char **ret);

/* nsb_read_text() of a file named relative to `dirfd` (AT_FDCWD allowed), opened O_RDONLY|O_CLOEXEC|O_NOFOLLOW. */
ssize_t nsb_read_text_at(int dirfd, const char *path, char *buffer, size_t size);

/* Opens an existing file for writing, writes `text` by one write(2) (what cgroup and proc files want), closes.
 * 0 or negative errno. */
int nsb_write_text_at(int dirfd, const char *path, const char *text);

/* The inode number of an open file, or 0. */
ino_t nsb_fd_inode(int fd);

#endif
