/* SPDX-License-Identifier: BSD-3-Clause */
/* What a box uses, from directories of plain files as control groups. */
#include <errno.h>
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

#include "helper/usage.h"

#define UNKNOWN NSB_USAGE_UNKNOWN

static char base[] = "/tmp/nsbox-test-usage-XXXXXX";
static nsb_entry entry;

static int make_base(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	entry = (nsb_entry){ .id = "k3j5h7g9fx" };
	return mkdtemp(base) != NULL && chdir(base) == 0 ? 0 : -1;
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return chdir("/") < 0 ? -1 : system(command);
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* A group of the box, in the order of its trees. */
static void add_group(const char *name)
{
	assert_int_equal(mkdir(name, 0755), 0);
	snprintf(entry.cgroups[entry.n_cgroups++], sizeof(entry.cgroups[0]), "%s/%s", base, name);
}

static void assert_usage(nsb_usage expected)
{
	nsb_usage usage;

	memset(&usage, 0x55, sizeof(usage));
	usage_read(&entry, &usage);
	assert_true(usage.cpu == expected.cpu);
	assert_true(usage.memory == expected.memory);
	assert_true(usage.memory_peak == expected.memory_peak);
	assert_true(usage.processes == expected.processes);
	assert_true(usage.processes_peak == expected.processes_peak);
	assert_true(usage.process_hits == expected.process_hits);
	assert_true(usage.memory_kills == expected.memory_kills);
}

static const nsb_usage nothing = { UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN };

static void put_v2(const char *group)
{
	char name[128];
	static const char *const files[][2] = {
		{ "cpu.stat", "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 7\n" },
		{ "memory.current", "1048576\n" },
		{ "memory.peak", "2097152\n" },
		{ "memory.events", "low 0\nhigh 1\nmax 22\noom 4\noom_kill 3\noom_group_kill 9\n" },
		{ "pids.current", "5\n" },
		{ "pids.peak", "12\n" },
		{ "pids.events", "max 6\n" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", group, files[i][0]);
		put(name, files[i][1]);
	}
}

static void version_2(void **state)
{
	(void)state;
	add_group("v2");
	put_v2("v2");
	assert_usage((nsb_usage){ 1234567, 1048576, 2097152, 5, 12, 6, 3 });
	/* an older kernel, or a tree without the memory controller */
	assert_int_equal(unlink("v2/pids.peak"), 0);
	assert_int_equal(unlink("v2/memory.peak"), 0);
	assert_int_equal(unlink("v2/memory.events"), 0);
	assert_usage((nsb_usage){ 1234567, 1048576, UNKNOWN, 5, UNKNOWN, 6, UNKNOWN });
}

/* Each tree tells its part. cpu.stat of version 1 knows nothing of the time used. */
static void version_1(void **state)
{
	(void)state;
	add_group("pids");
	put("pids/pids.current", "5\n");
	put("pids/pids.events", "max 0\n");
	add_group("memory");
	put("memory/memory.usage_in_bytes", "1048576\n");
	put("memory/memory.max_usage_in_bytes", "2097152\n");
	put("memory/memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 3\n");
	add_group("cpu");
	put("cpu/cpu.stat", "nr_periods 7\nnr_throttled 0\nthrottled_time 0\n");
	put("cpu/cpuacct.usage", "1234567999\n"); /* nanoseconds */
	assert_usage((nsb_usage){ 1234567, 1048576, 2097152, 5, UNKNOWN, 0, 3 });
	put("memory/memory.oom_control", "oom_kill_disable 1\nunder_oom 0\n"); /* before 4.13 */
	assert_usage((nsb_usage){ 1234567, 1048576, 2097152, 5, UNKNOWN, 0, UNKNOWN });
}

/* Of two sources the first one found counts, and the session's scope comes first. */
static void several(void **state)
{
	(void)state;
	add_group("one");
	add_group("two");
	put("one/pids.current", "5\n");
	put("two/pids.current", "7\n");
	put("two/memory.current", "9\n");
	assert_usage((nsb_usage){ UNKNOWN, 9, UNKNOWN, 5, UNKNOWN, UNKNOWN, UNKNOWN });
	assert_int_equal(mkdir("scope", 0755), 0);
	put_v2("scope");
	snprintf(entry.scope, sizeof(entry.scope), "%s/scope", base);
	assert_usage((nsb_usage){ 1234567, 1048576, 2097152, 5, 12, 6, 3 });
	entry.n_cgroups = 0;
	assert_usage((nsb_usage){ 1234567, 1048576, 2097152, 5, 12, 6, 3 });
}

/* A group that is gone, an entry without one, files that say something else. */
static void unreadable(void **state)
{
	static const char *const texts[] = { "", "\n", "max\n", "-1\n", " 5\n", "x5\n" };

	(void)state;
	assert_usage(nothing);
	add_group("v2");
	assert_usage(nothing);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put("v2/pids.current", texts[i]);
		assert_usage(nothing);
	}
	put("v2/pids.current", "5"); /* without an end of line */
	assert_usage((nsb_usage){ UNKNOWN, UNKNOWN, UNKNOWN, 5, UNKNOWN, UNKNOWN, UNKNOWN });
	assert_int_equal(unlink("v2/pids.current"), 0);
	assert_int_equal(rmdir("v2"), 0);
	assert_usage(nothing);
}

/* The word stands alone at the beginning of a line. */
static void words(void **state)
{
	static const struct {
		const char *text;
		uint64_t kills;
	} rows[] = {
		{ "oom_kill 3\n", 3 },
		{ "oom 7\noom_kill 3\n", 3 },
		{ "oom_kill 3", 3 },
		{ "oom_kill 18446744073709551614\n", 18446744073709551614U },
		{ "oom_kill\t3\n", UNKNOWN },
		{ "oom_kill\n3\n", UNKNOWN },
		{ "oom_kill", UNKNOWN },
		{ "oom_kill ", UNKNOWN },
		{ "oom_kill x\n", UNKNOWN },
		{ "xoom_kill 3\n", UNKNOWN },
		{ " oom_kill 3\n", UNKNOWN },
		{ "oom_kills 3\n", UNKNOWN },
		{ "oom_group_kill 3\n", UNKNOWN },
		{ "\n\noom_kill 3\n", 3 },
		{ "", UNKNOWN },
	};

	(void)state;
	add_group("v2");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_usage usage;

		put("v2/memory.events", rows[i].text);
		usage_read(&entry, &usage);
		if (usage.memory_kills != rows[i].kills)
			fail_msg("%s", rows[i].text);
	}
}

static void limits(void **state)
{
	(void)state;
	entry.n_limits = 4;
	strcpy(entry.limits[0], "user_pids_max 1000");
	strcpy(entry.limits[1], "pids_max 256");
	strcpy(entry.limits[2], "io_max /dev/sda rbps=1 wbps=2");
	strcpy(entry.limits[3], "memory_max 12.50%");
	strcpy(entry.limits[4], "cpu_max 7"); /* not among them */
	assert_string_equal(usage_limit(&entry, "pids_max"), "256");
	assert_string_equal(usage_limit(&entry, "user_pids_max"), "1000");
	assert_string_equal(usage_limit(&entry, "io_max"), "/dev/sda rbps=1 wbps=2");
	assert_string_equal(usage_limit(&entry, "memory_max"), "12.50%");
	assert_ptr_equal(usage_limit(&entry, "pids_max"), entry.limits[1] + strlen("pids_max "));
	assert_null(usage_limit(&entry, "cpu_max"));
	assert_null(usage_limit(&entry, "pids"));
	assert_null(usage_limit(&entry, "pids_max "));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(version_2),  TEST(version_1), TEST(several),
		TEST(unreadable), TEST(words),	   TEST(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
