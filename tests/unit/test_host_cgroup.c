/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limits of a session's scope and of the user's slice, set by way of nsbox-bus, which is a script here: it writes
 * down how it was called. Linked with --wrap=nsb_log.
 */
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
#include "common/protocol.h"
#include "common/string-util.h"
#include "helper/bus-values.h"
#include "helper/steps.h"

void __wrap_nsb_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

static char base[] = "/tmp/nsbox-test-bus-XXXXXX";
static char said[1024]; /* to syslog */
static nsb_box box;

void __wrap_nsb_log(int priority, const char *format, ...)
{
	va_list arguments;

	(void)priority;
	va_start(arguments, format);
	vsnprintf(said, sizeof(said), format, arguments);
	va_end(arguments);
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* How nsbox-bus was called since the last time. The caller frees. */
static char *take_calls(void)
{
	char *text = calloc(1, 1024 * 1024);

	assert_non_null(text);
	if (nsb_read_text_at(AT_FDCWD, "calls", text, 1024 * 1024) < 0)
		text[0] = '\0';
	unlink("calls");
	return text;
}

static void assert_calls(const char *expected)
{
	NSB_FREE char *calls = take_calls();

	assert_string_equal(calls, expected);
}

#define LIMIT(key, value)                                                                                              \
	{                                                                                                              \
		.op = NSB_OP_LIMIT, .src = (char *)(key), .dst = (char *)"", .data = (char *)(value)                   \
	}

static nsb_step steps[] = { LIMIT("user_pids_max", "90"), LIMIT("pids_max", "50"),
			    LIMIT("io_max", "/dev/sda rbps=1000") };

/* What it does: `before` is printed, `words` said; it ends with `status` after `delay` seconds. */
static const char script[] = "#!/bin/sh\n"
			     "printf '%s\\n' \"$*\" >>calls\n"
			     "cat before\n"
			     "cat words >&2\n"
			     "sleep $(cat delay) >&- 2>&-\n"
			     "exit $(cat status)\n";

static int make_base(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	if (mkdtemp(base) == NULL || chdir(base) < 0)
		return -1;
	put("nsbox-bus", script);
	put("before", "pids_max=max\n");
	put("words", "");
	put("delay", "0");
	put("status", "0");
	said[0] = '\0';
	box = (nsb_box){ .deadline = nsb_now() + 60000 };
	box.session.uid = 2001;
	box.plan.steps = steps;
	box.plan.n_steps = sizeof(steps) / sizeof(steps[0]);
	box.layout.n_trees = 1;
	box.layout.trees[0].version = 2;
	strcpy(box.layout.scope_unit, "session-1.scope");
	return chmod("nsbox-bus", 0755);
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	free(box.scope_before);
	free(box.slice_before);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return chdir("/") < 0 ? -1 : system(command);
}

/* One call for the slice, one for the scope; what the scope had is put back. */
static void set_and_undone(void **state)
{
	(void)state;
	for (size_t i = 0; i < box.plan.n_steps; i++)
		assert_int_equal(host_limit(&box, &steps[i]), 0);
	assert_calls("set user-2001.slice pids_max=90\nset session-1.scope pids_max=50 io_max=/dev/sda rbps=1000\n");
	for (size_t i = box.plan.n_steps; i-- > 0;)
		host_limit_undo(&box, &steps[i]);
	assert_calls("set session-1.scope pids_max=max\n");
	assert_string_equal(said, "");
}

/* A scope that somebody has given limits of many disks. */
static void before_of_any_length(void **state)
{
	char words[BUS_DEVICES_MAX * 128] = "", lines[BUS_DEVICES_MAX * 128] = "", *at = words, *line = lines;
	NSB_FREE char *expected = NULL;

	(void)state;
	for (int i = 0; i < BUS_DEVICES_MAX; i++) {
		at += sprintf(at, " io_max=/dev/disk/by-id/a-disk-with-a-long-name-%d rbps=max wbps=%d riops=max", i,
			      i);
		line += sprintf(line, "io_max=/dev/disk/by-id/a-disk-with-a-long-name-%d rbps=max wbps=%d riops=max\n",
				i, i);
	}
	put("before", lines);
	assert_int_equal(host_limit(&box, &steps[2]), 0);
	free(take_calls());
	host_limit_undo(&box, &steps[2]);
	expected = nsb_format("set session-1.scope%s\n", words);
	assert_calls(expected);
	assert_string_equal(said, "");
}

/* There is an end to it, and it is told. */
static void before_without_end(void **state)
{
	(void)state;
	put("nsbox-bus", "#!/bin/sh\nyes\n");
	assert_true(host_limit(&box, &steps[1]) < 0);
	assert_non_null(strstr(box.error.words, "nsbox-bus did not answer"));
}

/* Lines that end before their end: nothing was set yet, so nothing is put back. */
static void before_that_was_cut(void **state)
{
	(void)state;
	put("before", "pids_max=max\nmemory_max=10");
	put("words", "nsbox-bus: nobody answers\n");
	put("status", "1");
	assert_true(host_limit(&box, &steps[1]) < 0);
	assert_string_equal(box.error.words, "nsbox-bus: nobody answers");
	free(take_calls());
	host_limit_undo(&box, &steps[1]);
	assert_calls("");
}

static void too_many_limits(void **state)
{
	static nsb_step many[BUS_ROWS + BUS_DEVICES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i] = steps[2];
	box.plan.steps = many;
	box.plan.n_steps = sizeof(many) / sizeof(many[0]);
	assert_true(host_limit(&box, &many[0]) < 0);
	assert_string_equal(box.error.words, "more than 76 limits for session-1.scope");
	assert_calls("");
}

/* Three calls that are slow enough, each of them, to be waited for: together they end with the helper's time. */
static void calls_have_what_is_left(void **state)
{
	int64_t begin = nsb_now();

	(void)state;
	put("delay", "1.2");
	box.deadline = begin + 2000;
	assert_int_equal(host_limit(&box, &steps[0]), 0);
	assert_int_equal(host_limit(&box, &steps[1]), -ETIMEDOUT);
	assert_true(nsb_now() - begin >= 2000);
	assert_non_null(strstr(box.error.words, "logind and systemd do not answer in time; look at: systemctl"));
	/* its lines were there, so it may have been set */
	put("delay", "0");
	free(take_calls());
	host_limit_undo(&box, &steps[1]);
	assert_calls("set session-1.scope pids_max=max\n");
	assert_string_equal(said, "");
	/* nothing is left: not even begun */
	box.error = (nsb_error){ 0 };
	assert_int_equal(host_limit(&box, &steps[1]), -ETIMEDOUT);
	assert_non_null(strstr(box.error.words, "do not answer in time"));
	assert_calls("");
}

/* The application waits 2 s longer than the helper. */
static void undo_ends(void **state)
{
	int64_t begin;

	(void)state;
	assert_int_equal(host_limit(&box, &steps[1]), 0);
	put("delay", "100");
	box.deadline = begin = nsb_now();
	host_limit_undo(&box, &steps[1]);
	assert_true(nsb_now() - begin < 4000);
	assert_string_equal(
		said, "the limits of session-1.scope were not put back: logind and systemd do not answer in time; "
		      "look at: systemctl status dbus.service systemd-logind.service");
}

/* The session has ended meanwhile, and its scope with it: nothing to warn of. */
static void unit_that_is_gone(void **state)
{
	(void)state;
	put("words", "nsbox-bus: Unit session-1.scope not loaded.\n");
	for (int status = 3; status > 0; status -= 2) {
		char number[2] = { (char)('0' + status), '\0' };

		put("status", "0");
		assert_int_equal(host_limit(&box, &steps[1]), 0);
		put("status", number);
		host_limit_undo(&box, &steps[1]);
		assert_string_equal(said, status == 3
						  ? ""
						  : "the limits of session-1.scope were not put back: nsbox-bus: Unit "
						    "session-1.scope not loaded.");
	}
	put("status", "3");
	assert_int_equal(host_limit(&box, &steps[1]), -ESTALE);
	assert_string_equal(box.error.words, "nsbox-bus: Unit session-1.scope not loaded.");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(set_and_undone),	   TEST(before_of_any_length), TEST(before_without_end),
		TEST(before_that_was_cut), TEST(too_many_limits),      TEST(calls_have_what_is_left),
		TEST(undo_ends),	   TEST(unit_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
