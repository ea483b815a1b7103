/* SPDX-License-Identifier: BSD-3-Clause */
/* Limits of nsbox-bus as text: what is taken, what is refused, that what is printed is taken back. How they reach
 * systemd is in tests/system/test_bus.py. Linked with the wraps of alloc-fail.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper/bus-values.h"
#include "tests/unit/alloc-fail.h"

/* Static, because a bus_values is large for a stack; empty between the tests. */
static bus_values values;

static const char *printed(void)
{
	static char text[4096];
	FILE *to = fmemopen(text, sizeof(text), "w");

	assert_non_null(to);
	bus_values_print(&values, to);
	assert_int_equal(fclose(to), 0);
	return text;
}

static const struct {
	const char *arguments[4], *printed;
} good[] = {
	{ { "pids_max=300" }, "pids_max=300\n" },
	{ { "pids_max=0300" }, "pids_max=300\n" },
	{ { "pids_max=max" }, "pids_max=max\n" },
	{ { "memory_max=18446744073709551614" }, "memory_max=18446744073709551614\n" },
	{ { "io_weight=1", "cpu_weight=2", "cpu_max=3", "swap_max=0" },
	  "swap_max=0\ncpu_max=3\ncpu_weight=2\nio_weight=1\n" },
	{ { "cpuset=" }, "cpuset=\n" },
	{ { "cpuset=5,0-3" }, "cpuset=0-3,5\n" },
	{ { "cpuset=7,8,9,9-10,1" }, "cpuset=1,7-10\n" },
	{ { "cpuset=8191" }, "cpuset=8191\n" },
	{ { "cpuset=0-8191" }, "cpuset=0-8191\n" },
	{ { "io_max=" }, "io_max=\n" },
	{ { "io_max=/dev/sda rbps=1" }, "io_max=/dev/sda rbps=1 wbps=max riops=max wiops=max\n" },
	{ { "io_max=/dev/sda wiops=4 riops=3 wbps=2 rbps=1" }, "io_max=/dev/sda rbps=1 wbps=2 riops=3 wiops=4\n" },
	{ { "io_max=/b rbps=1", "pids_max=2", "io_max=/a rbps=max" },
	  "pids_max=2\nio_max=/b rbps=1 wbps=max riops=max wiops=max\nio_max=/a rbps=max wbps=max riops=max "
	  "wiops=max\n" },
};

static void is_taken_and_printed_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char copy[4096], *rest = copy, *line;

		for (size_t n = 0; n < 4 && good[i].arguments[n] != NULL; n++)
			assert_int_equal(bus_values_parse(&values, good[i].arguments[n], NULL), 0);
		assert_string_equal(printed(), good[i].printed);
		bus_values_done(&values);
		strcpy(copy, good[i].printed);
		while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
			assert_int_equal(bus_values_parse(&values, line, NULL), 0);
		assert_string_equal(printed(), good[i].printed);
		bus_values_done(&values);
	}
}

static const struct {
	const char *first, *argument;
	int r;
	const char *words;
} bad[] = {
	{ NULL, "", -EINVAL, "\"\" is not KEY=VALUE" },
	{ NULL, "pids_max", -EINVAL, "\"pids_max\" is not KEY=VALUE" },
	{ NULL, "=1", -EINVAL, "\"\" is no limit of a unit" },
	{ NULL, "pids=1", -EINVAL, "\"pids\" is no limit of a unit" },
	{ NULL, "pids_max=-1", -EINVAL, "pids_max=-1: not a decimal number or \"max\"" },
	{ NULL, "pids_max=", -EINVAL, "pids_max=: not a decimal number or \"max\"" },
	{ NULL, "pids_max=18446744073709551615", -ERANGE, "not a decimal number" },
	{ "pids_max=1", "pids_max=1", -EEXIST, "pids_max is given twice" },
	{ NULL, "cpuset=8192", -EINVAL, "CPUs below 8192" },
	{ NULL, "cpuset=2-1", -EINVAL, "cpuset: not a list" },
	{ NULL, "cpuset=1,,2", -EINVAL, "cpuset: not a list" },
	{ NULL, "cpuset=max", -EINVAL, "cpuset: not a list" },
	{ "cpuset=", "cpuset=1", -EEXIST, "cpuset is given twice" },
	{ NULL, "io_max=sda rbps=1", -EINVAL, "io_max: not \"DEVICE" },
	{ NULL, "io_max=/dev/sda", -EINVAL, "io_max: not \"DEVICE" },
	{ NULL, "io_max=/dev/s\177 rbps=1", -EINVAL, "io_max: not \"DEVICE" },
	{ NULL, "io_max=/dev/sda rbps=1 rbps=1", -EINVAL, "\"rbps=1\"" },
	{ NULL, "io_max=/dev/sda rbps=1 ", -EINVAL, "\"\" is not one of" },
	{ NULL, "io_max=/dev/sda rbpsx=1", -EINVAL, "\"rbpsx=1\"" },
	{ "io_max=", "io_max=/dev/sda rbps=1", -EEXIST, "io_max is given twice" },
	{ "io_max=/dev/sda rbps=1", "io_max=", -EEXIST, "io_max is given twice" },
	{ "io_max=/dev/sda rbps=1", "io_max=/dev/sda wbps=1", -EEXIST, "/dev/sda is named twice" },
};

static void is_refused_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		nsb_error error = { 0 };

		if (bad[i].first != NULL)
			assert_int_equal(bus_values_parse(&values, bad[i].first, NULL), 0);
		assert_int_equal(bus_values_parse(&values, bad[i].argument, &error), bad[i].r);
		if (strstr(error.words, bad[i].words) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].argument, error.words, bad[i].words);
		bus_values_done(&values);
	}
}

static void devices_end_at_64(void **state)
{
	char argument[64];

	(void)state;
	for (int i = 0; i < BUS_DEVICES_MAX; i++) {
		snprintf(argument, sizeof(argument), "io_max=/dev/d%d rbps=1", i);
		assert_int_equal(bus_values_parse(&values, argument, NULL), 0);
	}
	assert_int_equal(bus_values_parse(&values, "io_max=/dev/one-more rbps=1", NULL), -E2BIG);
	assert_null(bus_values_device(&values, "/dev/one-more"));
	assert_non_null(bus_values_device(&values, "/dev/d63"));
	bus_values_done(&values);
}

static void cpus_have_a_size(void **state)
{
	static const struct {
		const char *argument;
		size_t size;
	} cases[] = {
		{ "cpuset=", 0 }, { "cpuset=0", 1 }, { "cpuset=7", 1 }, { "cpuset=0,8", 2 }, { "cpuset=8191", 1024 }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(bus_values_parse(&values, cases[i].argument, NULL), 0);
		assert_int_equal(bus_values_cpus_size(&values), cases[i].size);
		bus_values_done(&values);
	}
}

/* Wherever memory ends, it is told, and nothing is lost. */
static void no_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (long n = 0; failed; n++) {
		nsb_error error = { 0 };
		int r;

		assert_int_equal(bus_values_parse(&values, "io_max=/dev/sda rbps=1", NULL), 0);
		alloc_fail_at(n);
		r = bus_values_parse(&values, "io_max=/dev/sdb rbps=1", &error);
		failed = alloc_fail_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(values.n_devices, failed ? 1 : 2);
		bus_values_done(&values);
	}
}

/* What the code takes for granted of its table. */
static void rows_are_in_order(void **state)
{
	(void)state;
	for (size_t row = 0; row < BUS_ROWS; row++) {
		assert_int_equal(strcmp(bus_rows[row].type, "a(st)") == 0, bus_rows[row].word != NULL);
		for (size_t other = 0; other < row; other++) {
			assert_string_not_equal(bus_rows[row].property, bus_rows[other].property);
			if (strcmp(bus_rows[row].key, bus_rows[other].key) != 0)
				continue;
			assert_string_equal(bus_rows[row - 1].key, bus_rows[row].key);
			assert_string_equal(bus_rows[row].type, bus_rows[other].type);
			assert_string_not_equal(bus_rows[row].word, bus_rows[other].word);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_taken_and_printed_back),
		cmocka_unit_test(is_refused_in_words),
		cmocka_unit_test(devices_end_at_64),
		cmocka_unit_test(cpus_have_a_size),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(rows_are_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
