/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of /proc/PID/mountinfo. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/mountinfo.h"

static const struct {
	const char *line, *point, *type, *source, *root, *options, *super_options;
} good[] = {
	{ "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue", "/mnt2", "ext3",
	  "/dev/root", "/mnt1", "rw,noatime", "rw,errors=continue" },
	{ "1 2 0:5 / / ro - tmpfs none rw", "/", "tmpfs", "none", "/", "ro", "rw" },
	{ "1 2 0:5 / /a rw shared:1 master:2 propagate_from:3 unbindable - tmpfs none rw", "/a", "tmpfs", "none", "/",
	  "rw", "rw" },
	/* a blank in a name is escaped, a source may be empty, options of a file system may be anything */
	{ "1 2 0:5 /x\\040y /b\\040-\\040c rw - fuse.odd\\134  rw,o=a b - c", "/b\\040-\\040c", "fuse.odd\\134", "",
	  "/x\\040y", "rw", "rw,o=a b - c" },
	{ "1 2 0:5 / /a rw - proc none ", "/a", "proc", "none", "/", "rw", "" },
};

static const char *const bad[] = {
	"",
	" ",
	"1",
	"1 2 0:5 / /a",
	"1 2 0:5 / /a rw",
	"1 2 0:5 / /a rw shared:1",
	"1 2 0:5 / /a rw -",
	"1 2 0:5 / /a rw - tmpfs",
	"1 2 0:5 / /a rw - tmpfs none",
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *line = strdup(good[i].line);
		mount_row row;

		assert_non_null(line);
		assert_int_equal(mountinfo_parse(line, &row), 0);
		assert_string_equal(row.point, good[i].point);
		assert_string_equal(row.type, good[i].type);
		assert_string_equal(row.source, good[i].source);
		assert_string_equal(row.root, good[i].root);
		assert_string_equal(row.options, good[i].options);
		assert_string_equal(row.super_options, good[i].super_options);
		free(line);
	}
}

static void test_no_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *line = strdup(bad[i]);
		mount_row row;

		assert_non_null(line);
		assert_int_equal(mountinfo_parse(line, &row), -EBADMSG);
		free(line);
	}
}

static void test_decode(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },	      { "/a", "/a" },	   { "a\\040b\\011\\012\\134", "a b\t\n\\" },
		{ "\\", "\\" },	      { "\\04", "\\04" },  { "\\048", "\\048" },
		{ "\\777", "\\777" }, { "\\377", "\377" }, { "\\134040", "\\040" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *decoded = mountinfo_decode(rows[i][0]);

		assert_string_equal(decoded, rows[i][1]);
		free(decoded);
	}
}

static void test_of_a_process(void **state)
{
	nsb_process self = { .pid = getpid(), .start = nsb_process_start(getpid()) };
	mount_list list;

	(void)state;
	assert_int_equal(mountinfo_read(&self, &list), 0);
	assert_true(list.n > 0 && list.rows[0].point[0] == '/');
	mountinfo_done(&list);
	assert_int_equal(list.n, 0);
	/* another one that has the pid now */
	self.start++;
	assert_int_equal(mountinfo_read(&self, &list), -ESRCH);
	mountinfo_done(&list);
	self.pid = 0;
	assert_int_equal(mountinfo_read(&self, &list), -ESRCH);
	mountinfo_done(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_no_lines),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_of_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
