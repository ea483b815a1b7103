/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with units: durations, sizes, CPU time, lists of CPUs, limits of a device. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/config-amounts.h"
#include "common/string-util.h"
#include "tests/unit/alloc-fail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Applied to settings, the value is refused with this sentence (without the key), and nothing has changed. */
static void expect_refusal(const char *name, const char *value, const char *words)
{
	const nsb_settings before = { 0 };
	nsb_settings s = { 0 };
	nsb_error error = { 0 };
	const char *sentence;

	assert_int_equal(nsb_key_apply(nsb_key_find(name), value, (nsb_origin){ 0 }, &s, &error), -EINVAL);
	sentence = nsb_after_prefix(error.words, name);
	assert_non_null(sentence);
	sentence = nsb_after_prefix(sentence, ": ");
	assert_non_null(sentence);
	assert_string_equal(sentence, words);
	assert_memory_equal(&s, &before, sizeof(s));
}

#define NO_SIZE                                                                                                        \
	" is no size like 1048576 (bytes), 512M or 1.5G (K, M, G, T: powers of 1024), no percentage like 12.5%, nor "  \
	"\"infinity\""
#define NO_CPU	" is no share of CPU time like 50%, 12.5% or 200% (of one CPU), nor \"infinity\""
#define NO_CPUS " is neither the number of a CPU nor a range like 0-3; they are divided by commas or blanks"
#define NO_IO                                                                                                          \
	" is not one of rbps= wbps= riops= wiops= with a number from 1, perhaps with K, M, G or T (powers of 1000)"

static void refused(void **state)
{
	static const struct {
		const char *key, *value, *words;
	} faults[] = {
		{ "sessions_max", "0", "\"0\" is neither a number from 1 to 65536 nor \"infinity\"" },
		{ "sessions_max", "65537", "\"65537\" is neither a number from 1 to 65536 nor \"infinity\"" },
		{ "runtime_max", "367d", "\"367d\" is too long: at most 366d are allowed, or \"infinity\"" },
		{ "runtime_max", "366d 1ms", "\"366d 1ms\" is too long: at most 366d are allowed, or \"infinity\"" },
		{ "runtime_max", "0", "\"0\" is no time at all: for no limit write \"infinity\"" },
		{ "runtime_max", "never", "\"never\" is no duration like 2s, 500ms or \"1min 30s\", nor \"infinity\"" },
		{ "runtime_max", "1d infinity",
		  "\"1d infinity\" is no duration like 2s, 500ms or \"1min 30s\", nor \"infinity\"" },
		{ "runtime_max", "", "the value is missing" },
		{ "stop_timeout", "1d", "\"1d\" is too long: at most 300s are allowed" },
		{ "cgroup_manager", "runc", "\"runc\" is not one of auto, cgroupfs, systemd" },
		{ "memory_max", "512", "\"512\" is less than 1M: did you forget the unit?" },
		{ "memory_max", "1023.999K", "\"1023.999K\" is less than 1M: did you forget the unit?" },
		{ "memory_max", "0", "\"0\" is less than 1M: did you forget the unit?" },
		{ "memory_max", "0%", "\"0%\" is nothing at all: at least 0.01% is needed" },
		{ "memory_max", "100.01%", "\"100.01%\" is more than 100%" },
		{ "memory_max", "1.234%", "\"1.234%\"" NO_SIZE },
		{ "memory_max", "512m", "\"512m\"" NO_SIZE },
		{ "memory_max", "512MB", "\"512MB\"" NO_SIZE },
		{ "memory_max", "512B", "\"512B\"" NO_SIZE },
		{ "memory_max", "M", "\"M\"" NO_SIZE },
		{ "memory_max", "%", "\"%\"" NO_SIZE },
		{ "memory_max", "\"\"", "\"\"" NO_SIZE },
		{ "memory_max", "-1G", "\"-1G\"" NO_SIZE },
		{ "memory_max", "max", "\"max\"" NO_SIZE },
		{ "memory_max", "1.G", "\"1.G\"" NO_SIZE },
		{ "memory_max", "1.5.1G", "\"1.5.1G\"" NO_SIZE },
		{ "memory_max", "1048576.5", "\"1048576.5\"" NO_SIZE },
		{ "memory_max", "2 G", "one value is allowed, \"G\" is too much (a value with blanks needs quotes)" },
		{ "memory_max", "1000001T",
		  "\"1000001T\" is too large: at most 1000000T are allowed, or \"infinity\"" },
		{ "memory_max", "1000000.1T",
		  "\"1000000.1T\" is too large: at most 1000000T are allowed, or \"infinity\"" },
		{ "memory_max", "99999999999999999999999",
		  "\"99999999999999999999999\" is too large: at most 1000000T are allowed, or \"infinity\"" },
		{ "memory_high", "1K", "\"1K\" is less than 1M: did you forget the unit?" },
		{ "swap_max", "1", "\"1\" is less than 1M: did you forget the unit?" },
		{ "swap_max", "200%", "\"200%\" is more than 100%" },
		{ "swap_max", "no", "\"no\"" NO_SIZE },
		{ "tmp_size", "2.5%",
		  "\"2.5%\" has a fraction, which a file system in memory does not take: write whole percents or "
		  "bytes" },
		{ "home_size", "1.00000001%",
		  "\"1.00000001%\" is no size like 1048576 (bytes), 512M or 1.5G (K, M, G, T: "
		  "powers of 1024), no percentage like 12%" },
		{ "run_size", "1000001T", "\"1000001T\" is too large: at most 1000000T are allowed" },
		{ "shm_size", "0", "\"0\" is less than 1M: did you forget the unit?" },
		{ "user_memory_max", "0", "\"0\" is less than 1M: did you forget the unit?" },
		{ "cpu_max", "2", "\"2\"" NO_CPU },
		{ "cpu_max", "50.125%", "\"50.125%\"" NO_CPU },
		{ "cpu_max", "50%%", "\"50%%\"" NO_CPU },
		{ "cpu_max", "%", "\"%\"" NO_CPU },
		{ "cpu_max", "0.99%", "\"0.99%\" is not from 1% to 1000000%" },
		{ "cpu_max", "1000000.01%", "\"1000000.01%\" is not from 1% to 1000000%" },
		{ "cpu_max", "99999999999999999999%", "\"99999999999999999999%\" is not from 1% to 1000000%" },
		{ "user_cpu_max", "0%", "\"0%\" is not from 1% to 1000000%" },
		{ "cpu_weight", "0", "\"0\" is not a number from 1 to 10000" },
		{ "cpu_weight", "infinity", "\"infinity\" is not a number from 1 to 10000" },
		{ "io_weight", "10001", "\"10001\" is not a number from 1 to 10000" },
		{ "cpuset", "0-3-5", "\"0-3-5\"" NO_CPUS },
		{ "cpuset", "0-3:2", "\"0-3:2\"" NO_CPUS },
		{ "cpuset", "all", "\"all\"" NO_CPUS },
		{ "cpuset", "1,", "\"\"" NO_CPUS },
		{ "cpuset", ",1", "\"\"" NO_CPUS },
		{ "cpuset", "1,,2", "\"\"" NO_CPUS },
		{ "cpuset", "0 - 3", "\"-\"" NO_CPUS },
		{ "cpuset", "1-", "\"1-\"" NO_CPUS },
		{ "cpuset", "1.5", "\"1.5\"" NO_CPUS },
		{ "cpuset", "0,3-1", "\"3-1\" goes backwards: write the smaller number first" },
		{ "cpuset", "8192", "\"8192\": the largest number of a CPU is 8191" },
		{ "cpuset", "0-99999999999999999999",
		  "\"0-99999999999999999999\": the largest number of a CPU is 8191" },
		{ "cpuset", "\"0\" 1", "one value is allowed, \"1\" is too much (a value with blanks needs quotes)" },
		{ "io_max", "/dev/sda",
		  "no limit stands behind \"/dev/sda\": at least one of rbps= wbps= riops= wiops= must" },
		{ "io_max", "sda rbps=1M", "\"sda\" is not an absolute path" },
		{ "io_max", "rbps=1M /dev/sda", "\"rbps=1M\" is not an absolute path" },
		{ "io_max", "%h rbps=1M", "\"%h\" is not an absolute path" },
		{ "io_max", "/home/%u rbps=1M", "\"/home/%u\" has a \"%\" in it: there are no specifiers here" },
		{ "io_max", "\"/a b\" rbps=1M", "\"/a b\" has a blank in it, as no device's path may" },
		{ "io_max", "/dev/../sda rbps=1M", "\"/dev/../sda\" has a \"..\" in it: write the path without" },
		{ "io_max", "/dev/sda 1M", "\"1M\"" NO_IO },
		{ "io_max", "/dev/sda rbps=", "\"rbps=\"" NO_IO },
		{ "io_max", "/dev/sda rbps=0", "\"rbps=0\"" NO_IO },
		{ "io_max", "/dev/sda rbps=max", "\"rbps=max\"" NO_IO },
		{ "io_max", "/dev/sda rbps=infinity", "\"rbps=infinity\"" NO_IO },
		{ "io_max", "/dev/sda rbps=10m", "\"rbps=10m\"" NO_IO },
		{ "io_max", "/dev/sda rbps=10%", "\"rbps=10%\"" NO_IO },
		{ "io_max", "/dev/sda riops=10 riops=20", "\"riops=20\" comes after another of its kind" },
		{ "io_max", "/dev/sda rbps=1000001T", "\"rbps=1000001T\" is too much: at most 1000000T are allowed" },
		{ "io_max", "/dev/sda wiops=5G", "\"wiops=5G\" is too much: at most 4294967294 are allowed" },
		{ "user_pids_max", "4194305", "\"4194305\" is neither a number from 1 to 4194304 nor \"infinity\"" },
		{ "limits_optional", "maybe", "\"maybe\" is neither \"yes\" nor \"no\"" },
		{ "limits_optional", "Yes", "\"Yes\" is neither \"yes\" nor \"no\"" },
		{ "limits_optional", "true", "\"true\" is neither \"yes\" nor \"no\"" },
		{ "limits_optional", "", "the value is missing" },
	};
	char *list = calloc(1, 2048);
	nsb_settings s = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++)
		expect_refusal(faults[i].key, faults[i].value, faults[i].words);
	for (int i = 0; i < 1026; i++)
		list[i] = i % 2 != 0 ? ' ' : '7';
	list[1025] = '\0';
	expect_refusal("cpuset", list, "the list is longer than 1024 characters: write ranges like 0-3");
	list[1023] = '\0';
	assert_int_equal(nsb_key_apply(nsb_key_find("cpuset"), list, (nsb_origin){ 0 }, &s, NULL), 0);
	nsb_settings_done(&s);
	free(list);
}

static void taken(void **state)
{
	static const struct {
		const char *key, *value;
		int64_t number;
	} numbers[] = {
		{ "sessions_max", "1", 1 },
		{ "sessions_max", "65536", 65536 },
		{ "sessions_max", "\"infinity\"", NSB_INFINITY },
		{ "runtime_max", "infinity", NSB_INFINITY },
		{ "runtime_max", "\"infinity\"", NSB_INFINITY },
		{ "runtime_max", "1ms", 1 },
		{ "runtime_max", "8h", 8 * 3600 * 1000 },
		{ "runtime_max", "1d 12h", 36 * 3600 * 1000 },
		{ "runtime_max", "2 days", 48 * 3600 * 1000 },
		{ "runtime_max", "1day", 24 * 3600 * 1000 },
		{ "runtime_max", "1w", 7 * 24 * 3600 * 1000 },
		{ "runtime_max", "1week", 7 * 24 * 3600 * 1000 },
		{ "runtime_max", "2weeks 1s", 14 * 24 * 3600 * 1000LL + 1000 },
		{ "runtime_max", "366d", 366 * 24 * 3600 * 1000LL },
		{ "memory_max", "infinity", NSB_INFINITY },
		{ "memory_max", "1048576", 1048576 },
		{ "memory_max", "1024K", 1048576 },
		{ "memory_max", "512M", 512 << 20 },
		{ "memory_max", "2G", 2LL << 30 },
		{ "memory_max", "1.5G", 3LL << 29 },
		{ "memory_max", "1.000001M", 1048577 },
		{ "memory_max", "3T", 3LL << 40 },
		{ "memory_max", "1000000T", 1000000LL << 40 },
		{ "memory_max", "50%", -5000 },
		{ "memory_max", "12.5%", -1250 },
		{ "memory_max", "0.01%", -1 },
		{ "memory_max", "100%", -10000 },
		{ "memory_max", "100.00%", -10000 },
		{ "tmp_size", "10%", -1000 },
		{ "home_size", "100.00%", -10000 },
		{ "run_size", "1.5M", 3 << 19 },
		{ "memory_high", "\"1G\"", 1LL << 30 },
		{ "swap_max", "0", 0 },
		{ "swap_max", "0K", 0 },
		{ "swap_max", "0%", 0 },
		{ "swap_max", "1M", 1 << 20 },
		{ "swap_max", "10%", -1000 },
		{ "user_memory_max", "4G", 4LL << 30 },
		{ "cpu_max", "infinity", NSB_INFINITY },
		{ "cpu_max", "1%", 10000 },
		{ "cpu_max", "150%", 1500000 },
		{ "cpu_max", "12.5%", 125000 },
		{ "cpu_max", "12.55%", 125500 },
		{ "cpu_max", "1000000%", 10000000000 },
		{ "user_cpu_max", "400%", 4000000 },
		{ "cpu_weight", "1", 1 },
		{ "cpu_weight", "10000", 10000 },
		{ "io_weight", "500", 500 },
		{ "user_pids_max", "4194304", 4194304 },
	};
	static const struct {
		const char *value, *list;
	} cpus[] = {
		{ "0", "0" },	      { "0-3,5", "0-3,5" }, { "0-3 5", "0-3,5" },  { "\"0-3 5\"", "0-3,5" },
		{ "0, 2", "0,2" },    { "0 ,2", "0,2" },    { "7\t5-5", "7,5-5" }, { "0-8191", "0-8191" },
		{ "00-01", "00-01" }, { "\"\"", "" },
	};
	nsb_settings s = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const nsb_key *key = nsb_key_find(numbers[i].key);
		int64_t got;

		if (nsb_key_apply(key, numbers[i].value, (nsb_origin){ 0 }, &s, NULL) != 0)
			fail_msg("%s = %s", numbers[i].key, numbers[i].value);
		memcpy(&got, (char *)&s + key->offset, sizeof(got));
		if (got != numbers[i].number)
			fail_msg("%s = %s: %lld", numbers[i].key, numbers[i].value, (long long)got);
	}
	for (size_t i = 0; i < COUNT(cpus); i++) {
		assert_int_equal(nsb_key_apply(nsb_key_find("cpuset"), cpus[i].value, (nsb_origin){ 0 }, &s, NULL), 0);
		assert_string_equal(s.cpuset, cpus[i].list);
	}
	nsb_settings_done(&s);
}

/* The reader's way around its quotes is not needed for these. */
static void directly(void **state)
{
	nsb_error error = { 0 };
	int64_t number = 7;

	(void)state;
	assert_int_equal(nsb_parse_amount(nsb_key_find("runtime_max"), " 1min\t30s ", &number, NULL), 0);
	assert_int_equal(number, 90000);
	assert_int_equal(nsb_parse_amount(nsb_key_find("memory_max"), "", &number, NULL), -EINVAL);
	/* stop_timeout has an end, and may be none at all */
	assert_int_equal(nsb_parse_amount(nsb_key_find("stop_timeout"), "infinity", &number, NULL), -EINVAL);
	assert_int_equal(number, 90000);
	assert_int_equal(nsb_parse_amount(nsb_key_find("stop_timeout"), "0", &number, NULL), 0);
	assert_int_equal(number, 0);
	/* words besides times */
	assert_int_equal(nsb_parse_amount(nsb_key_find("linger"), "yes", &number, NULL), 0);
	assert_int_equal(number, NSB_INFINITY);
	assert_int_equal(nsb_parse_amount(nsb_key_find("linger"), "no", &number, NULL), 0);
	assert_int_equal(number, 0);
	assert_int_equal(nsb_parse_amount(nsb_key_find("linger"), "10min", &number, NULL), 0);
	assert_int_equal(number, 600000);
	assert_int_equal(nsb_parse_amount(nsb_key_find("stop_timeout"), "no", &number, NULL), -EINVAL);
	/* a key whose value is no number */
	assert_int_equal(nsb_parse_amount(nsb_key_find("root"), "1", &number, &error), -EINVAL);
	assert_string_equal(error.words, "this is no key of a number");
}

static void limits_of_a_device(void **state)
{
	nsb_io_limits limits = { 0 };
	char text[128];

	(void)state;
	nsb_format_io_limits(&limits, text);
	assert_string_equal(text, "");
	assert_int_equal(nsb_parse_io_limit("wiops=1.5K", &limits, NULL), 0);
	assert_int_equal(nsb_parse_io_limit("wbps=0.001K", &limits, NULL), 0);
	assert_int_equal(limits.wbps, 1);
	nsb_format_io_limits(&limits, text);
	assert_string_equal(text, " wbps=1 wiops=1500");
	/* less than one is none */
	assert_int_equal(nsb_parse_io_limit("rbps=0.0001K", &limits, NULL), -EINVAL);
	assert_int_equal(nsb_parse_io_limit("rbps", &limits, NULL), -EINVAL);
	assert_int_equal(limits.rbps, 0);
	/* the largest fit */
	limits = (nsb_io_limits){ INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX };
	nsb_format_io_limits(&limits, text);
	assert_int_equal(strlen(text), 102);
}

/* Every allocation fails once: -ENOMEM, and the value stays as it was. */
static void no_memory(void **state)
{
	static const struct {
		const char *key, *value;
	} values[] = {
		{ "cpuset", "0-3 5" },	 { "cpuset", "\"0\"" },	 { "io_max", "/dev/sda rbps=1M wbps=1M" },
		{ "runtime_max", "1d" }, { "memory_max", "1G" }, { "limits_optional", "yes" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		nsb_settings s = { 0 };
		int r;

		for (int n = 0;; n++) {
			nsb_error error = { 0 };

			alloc_fail_at(n);
			r = nsb_key_apply(nsb_key_find(values[i].key), values[i].value, (nsb_origin){ 0 }, &s, &error);
			if (!alloc_fail_end())
				break;
			assert_int_equal(r, -ENOMEM);
			assert_string_equal(error.words, "");
			/* a list may have got its first room */
			assert_int_equal(s.io_max.n, 0);
			assert_int_equal(s.runtime_max + s.memory_max + s.limits_optional, 0);
			assert_null(s.cpuset);
		}
		assert_int_equal(r, 0);
		nsb_settings_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),   cmocka_unit_test(taken),
		cmocka_unit_test(directly),  cmocka_unit_test(limits_of_a_device),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
