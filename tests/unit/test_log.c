/* SPDX-License-Identifier: BSD-3-Clause */
/* What a syslogd gets: a datagram or a part of a stream, whole, once, also of one that was started again. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log.h"

static char base[] = "/tmp/nsbox-test-log-XXXXXX";
static int syslogd = -1;

static void start(int type)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "log" };

	unlink("log");
	syslogd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(syslogd >= 0);
	assert_int_equal(bind(syslogd, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(syslogd, 5), 0);
}

static void stop(void)
{
	close(syslogd);
	syslogd = -1;
}

/* The next line as it came, without what begins each: priority, name and pid are compared here. */
static const char *line_of(int fd, int priority)
{
	static char text[2 * NSB_LOG_MAX];
	char head[64];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return NULL;
	text[n] = '\0';
	snprintf(head, sizeof(head), "<%d>test_log[%d]: ", LOG_AUTHPRIV | priority, (int)getpid());
	assert_memory_equal(text, head, strlen(head));
	return text + strlen(head);
}

static int enter(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	return mkdtemp(base) == NULL || chdir(base) < 0 ? -1 : 0;
}

static int leave(void **state)
{
	(void)state;
	if (syslogd >= 0)
		stop();
	unlink("log");
	return chdir("/") < 0 || rmdir(base) < 0 ? -1 : 0;
}

static void nobody_listens(void **state)
{
	(void)state;
	errno = EXDEV;
	nsb_log(LOG_ERR, "lost");
	assert_int_equal(errno, EXDEV);
}

static void datagrams(void **state)
{
	(void)state;
	start(SOCK_DGRAM);
	nsb_log(LOG_ERR, "one %d", 1);
	errno = ENOSPC;
	nsb_log(LOG_INFO, "two: %m");
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(line_of(syslogd, LOG_ERR), "one 1");
	errno = ENOSPC;
	assert_string_equal(line_of(syslogd, LOG_INFO) + strlen("two: "), strerror(ENOSPC));
	assert_null(line_of(syslogd, LOG_INFO));
}

static void started_again(void **state)
{
	int connection;

	(void)state;
	start(SOCK_DGRAM);
	nsb_log(LOG_INFO, "before");
	stop();
	nsb_log(LOG_INFO, "lost");
	start(SOCK_DGRAM);
	nsb_log(LOG_INFO, "behind");
	assert_string_equal(line_of(syslogd, LOG_INFO), "behind");
	assert_null(line_of(syslogd, LOG_INFO));
	stop();
	start(SOCK_STREAM);
	nsb_log(LOG_INFO, "another kind");
	connection = accept(syslogd, NULL, NULL);
	assert_true(connection >= 0);
	close(connection);
}

static void streams(void **state)
{
	int connection;

	(void)state;
	start(SOCK_STREAM);
	nsb_log(LOG_INFO, "one");
	connection = accept(syslogd, NULL, NULL);
	assert_true(connection >= 0);
	nsb_log(LOG_INFO, "two");
	/* both are there: the NUL behind each divides them */
	assert_string_equal(line_of(connection, LOG_INFO), "one");
	close(connection);
	nsb_log(LOG_NOTICE, "three");
	connection = accept(syslogd, NULL, NULL);
	assert_true(connection >= 0);
	assert_string_equal(line_of(connection, LOG_NOTICE), "three");
	close(connection);
}

static void long_lines(void **state)
{
	char text[2 * NSB_LOG_MAX];
	const char *line;

	(void)state;
	start(SOCK_DGRAM);
	memset(text, 'x', sizeof(text) - 1);
	text[3000] = '\0';
	nsb_log(LOG_INFO, "%s", text);
	assert_string_equal(line_of(syslogd, LOG_INFO), text);
	text[3000] = 'x';
	text[sizeof(text) - 1] = '\0';
	nsb_log(LOG_INFO, "%s", text);
	line = line_of(syslogd, LOG_INFO);
	assert_true(strlen(line) > NSB_LOG_MAX - 64 && strlen(line) < NSB_LOG_MAX);
}

/* All descriptors were closed meanwhile, and the number is somebody else's: he gets nothing. */
static void closed_by_others(void **state)
{
	int other, file, pair[2];
	char byte;

	(void)state;
	start(SOCK_DGRAM);
	nsb_log(LOG_INFO, "one");
	assert_string_equal(line_of(syslogd, LOG_INFO), "one");
	for (other = 3; other < 100; other++)
		if (other != syslogd)
			close(other);
	file = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (other = 3; other < 100; other++)
		if (other != syslogd && other != file)
			dup2(file, other);
	nsb_log(LOG_INFO, "two");
	assert_string_equal(line_of(syslogd, LOG_INFO), "two");
	assert_int_equal(lseek(file, 0, SEEK_END), 0);
	for (other = 3; other < 100; other++)
		if (other != syslogd)
			close(other);
	unlink("file");
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
	for (other = 3; other < 100; other++)
		if (other != syslogd && other != pair[0] && other != pair[1])
			dup2(pair[0], other);
	nsb_log(LOG_INFO, "three");
	assert_string_equal(line_of(syslogd, LOG_INFO), "three");
	assert_true(recv(pair[1], &byte, 1, 0) < 0);
	for (other = 3; other < 100; other++)
		if (other != syslogd)
			close(other);
}

static int64_t now(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The process waits once, and for none of the next lines. The last test: nothing is forgiven. */
static void nobody_reads(void **state)
{
	int64_t begin = now(), took = 0;

	(void)state;
	start(SOCK_DGRAM);
	while (took < 900) { /* until one has had to wait */
		int64_t before = now();

		nsb_log(LOG_INFO, "waits");
		took = now() - before;
		assert_true(now() - begin < 10000);
	}
	assert_true(took < 2000);
	begin = now();
	for (int i = 0; i < 100; i++)
		nsb_log(LOG_INFO, "waits");
	assert_true(now() - begin < 900);
	assert_string_equal(line_of(syslogd, LOG_INFO), "waits");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_listens), TEST(datagrams),	      TEST(started_again), TEST(streams),
		TEST(long_lines),     TEST(closed_by_others), TEST(nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
