/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors: closed once, errno kept, everything written, nothing read past the buffer. Linked with
 * --wrap=read,--wrap=write, which can be interrupted and can do less than they were asked for. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/fd-util.h"

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

static int interruptions;    /* so many calls fail with EINTR first */
static size_t at_once;	     /* bytes in one call; 0: as many as asked for */
static int fail_with, after; /* errno after so many calls */

static int hindered(void)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	if (fail_with != 0 && after-- <= 0) {
		errno = fail_with;
		return -1;
	}
	return 0;
}

static size_t piece(size_t size)
{
	return at_once > 0 && size > at_once ? at_once : size;
}

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	return hindered() < 0 ? -1 : __real_read(fd, buffer, piece(size));
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (hindered() < 0)
		return -1;
	if (fail_with == 0 && after < 0)
		return 0; /* a file that takes nothing */
	return __real_write(fd, data, piece(size));
}

static char base[] = "/tmp/nsbox-test-fd-XXXXXX";
static int dir;

static int make_base(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	interruptions = fail_with = after = 0;
	at_once = 0;
	if (mkdtemp(base) == NULL)
		return -1;
	dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : 0;
}

static int remove_base(void **state)
{
	char command[64];

	(void)state;
	close(dir);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static void put(const char *name, const char *text, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, text, size), size);
	close(fd);
}

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void closing(void **state)
{
	int fd = dup(0), kept;

	(void)state;
	errno = EXDEV;
	assert_int_equal(nsb_close(fd), -1);
	assert_int_equal(errno, EXDEV);
	assert_false(is_open(fd));
	assert_int_equal(nsb_close(-1), -1);
	assert_int_equal(nsb_close(fd), -1); /* EBADF does not come through */
	{
		NSB_CLOSE int scoped = dup(0);
		NSB_CLOSE int given = dup(0);
		NSB_FREE char *text = strdup("x");

		fd = scoped;
		kept = nsb_steal_fd(&given);
		assert_int_equal(given, -1);
		errno = EXDEV;
		(void)text;
	}
	assert_int_equal(errno, EXDEV);
	assert_false(is_open(fd));
	assert_true(is_open(kept));
	close(kept);
}

static void stealing(void **state)
{
	char *text = strdup("x"), *stolen = nsb_steal_pointer(&text);

	(void)state;
	assert_null(text);
	assert_string_equal(stolen, "x");
	free(stolen);
}

static void write_all(void **state)
{
	char buffer[64];
	int fd;

	(void)state;
	for (at_once = 0; at_once < 4; at_once++) {
		put("file", "", 0);
		fd = openat(dir, "file", O_WRONLY | O_CLOEXEC);
		interruptions = 2;
		assert_int_equal(nsb_write_all(fd, "hello world", 11), 0);
		assert_int_equal(nsb_write_all(fd, "", 0), 0);
		close(fd);
		assert_int_equal(nsb_read_text_at(dir, "file", buffer, sizeof(buffer)), 11);
		assert_string_equal(buffer, "hello world");
	}
	at_once = 3;
	fd = openat(dir, "file", O_WRONLY | O_CLOEXEC);
	fail_with = ENOSPC;
	after = 2;
	assert_int_equal(nsb_write_all(fd, "hello world", 11), -ENOSPC);
	fail_with = 0;
	after = -1;
	assert_int_equal(nsb_write_all(fd, "hello", 5), -EIO);
	close(fd);
	after = 0;
	assert_int_equal(nsb_write_all(fd, "hello", 5), -EBADF);
}

static void read_text_sizes(void **state)
{
	(void)state;
	put("file", "0123456789", 10);
	for (at_once = 0; at_once < 4; at_once += 3)
		for (size_t size = 1; size < 20; size++) {
			char *buffer = malloc(size); /* exact, for the sanitizers */
			ssize_t n = nsb_read_text_at(dir, "file", buffer, size);

			interruptions = 1;
			assert_int_equal(n, size > 10 ? 10 : -EFBIG);
			if (n >= 0)
				assert_string_equal(buffer, "0123456789");
			free(buffer);
		}
	put("file", "", 0);
	{
		char one[1] = "x";

		assert_int_equal(nsb_read_text_at(dir, "file", one, 1), 0);
		assert_int_equal(one[0], '\0');
	}
}

static void read_text_faults(void **state)
{
	char buffer[16];

	(void)state;
	assert_int_equal(nsb_read_text_at(dir, "none", buffer, sizeof(buffer)), -ENOENT);
	assert_int_equal(nsb_read_text_at(dir, ".", buffer, sizeof(buffer)), -EISDIR);
	put("file", "text", 4);
	assert_int_equal(symlinkat("file", dir, "link"), 0);
	assert_int_equal(nsb_read_text_at(dir, "link", buffer, sizeof(buffer)), -ELOOP);
	fail_with = EIO;
	at_once = 2;
	after = 1;
	assert_int_equal(nsb_read_text_at(dir, "file", buffer, sizeof(buffer)), -EIO);
}

/* Of each size about those at which memory is asked for: all of it, and a NUL; as much as is allowed, or -EFBIG. */
static void read_all(void **state)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 10000 };
	char data[10000];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)('a' + i % 26);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int way = 0; way < 3; way++) {
			size_t max = way == 0 ? 1 << 20 : sizes[i] + (way == 1);
			char *text = NULL;
			int fd = openat(dir, "file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
			ssize_t n;

			assert_true(fd >= 0);
			assert_int_equal(nsb_write_all(fd, data, sizes[i]), 0);
			assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
			at_once = i % 2 == 1 ? 1000 : 0;
			interruptions = 2;
			n = nsb_read_all(fd, max, &text);
			at_once = 0;
			assert_int_equal(n, way == 2 ? -EFBIG : (ssize_t)sizes[i]);
			if (n >= 0) {
				assert_memory_equal(text, data, sizes[i]);
				assert_int_equal(text[n], '\0');
			} else {
				assert_null(text);
			}
			free(text);
			close(fd);
			interruptions = 0;
		}
	}
}

static void read_all_faults(void **state)
{
	char *text = NULL;

	(void)state;
	assert_int_equal(nsb_read_all(-1, 100, &text), -EBADF);
	assert_int_equal(nsb_write_text_at(dir, "file", ""), -ENOENT);
	fail_with = EIO;
	assert_int_equal(nsb_read_all(dir, 100, &text), -EIO);
	assert_null(text);
}

static void write_text(void **state)
{
	char buffer[16];

	(void)state;
	assert_int_equal(nsb_write_text_at(dir, "file", "text"), -ENOENT); /* never made */
	put("file", "", 0);
	assert_int_equal(nsb_write_text_at(dir, "file", "text"), 0);
	assert_int_equal(nsb_read_text_at(dir, "file", buffer, sizeof(buffer)), 4);
	assert_int_equal(symlinkat("file", dir, "link"), 0);
	assert_int_equal(nsb_write_text_at(dir, "link", "x"), -ELOOP);
	at_once = 2; /* half of a number is another number */
	assert_int_equal(nsb_write_text_at(dir, "file", "2048"), -EIO);
	at_once = 0;
	fail_with = EBUSY;
	assert_int_equal(nsb_write_text_at(dir, "file", "x"), -EBUSY);
}

static void inodes(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(fstat(dir, &st), 0);
	assert_true(nsb_fd_inode(dir) == st.st_ino);
	assert_true(nsb_fd_inode(-1) == 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(closing),	  TEST(stealing), TEST(write_all), TEST(read_text_sizes), TEST(read_text_faults),
		TEST(write_text), TEST(inodes),	  TEST(read_all),  TEST(read_all_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
