/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/string-util.h"
#include "tests/unit/alloc-fail.h"

static void numbers(void **state)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "1x", "0x10", "1.0", "99999999999999999999999x"
	};
	uint64_t value = 7;

	(void)state;
	assert_int_equal(nsb_parse_u64("0", 0, &value), 0);
	assert_true(value == 0);
	assert_int_equal(nsb_parse_u64("007", 10, &value), 0);
	assert_true(value == 7);
	assert_int_equal(nsb_parse_u64("18446744073709551615", UINT64_MAX, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(nsb_parse_u64("4294967294", 4294967294U, &value), 0);
	assert_true(value == 4294967294U);
	/* nothing is written unless it succeeds */
	assert_int_equal(nsb_parse_u64("4294967295", 4294967294U, &value), -ERANGE);
	assert_int_equal(nsb_parse_u64("18446744073709551616", UINT64_MAX, &value), -ERANGE);
	assert_int_equal(nsb_parse_u64("99999999999999999999999", UINT64_MAX, &value), -ERANGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(nsb_parse_u64(bad[i], UINT64_MAX, &value), -EINVAL);
	assert_int_equal(nsb_parse_u64(NULL, UINT64_MAX, &value), -EINVAL);
	assert_true(value == 4294967294U);
}

static void formats(void **state)
{
	char *text = nsb_format("%s:%d", "a", 12);

	(void)state;
	assert_string_equal(text, "a:12");
	free(text);
	text = nsb_format("%*s", 5000, "");
	assert_int_equal(strlen(text), 5000);
	free(text);
	alloc_fail_at(0);
	text = nsb_format("x");
	assert_true(alloc_fail_end());
	assert_null(text);
}

static void prefixes(void **state)
{
	const char *text = "profile=x";

	(void)state;
	assert_ptr_equal(nsb_after_prefix(text, "profile="), text + 8);
	assert_ptr_equal(nsb_after_prefix(text, ""), text);
	assert_string_equal(nsb_after_prefix("a", "a"), "");
	assert_null(nsb_after_prefix("a", "ab"));
	assert_true(nsb_str_empty(NULL));
	assert_true(nsb_str_empty(""));
	assert_false(nsb_str_empty(" "));
}

static void printable(void **state)
{
	char text[] = "a\x01"
		      "b\n\x1b[31m\x7f\t\xc3\xa4";

	(void)state;
	nsb_make_printable(text);
	assert_string_equal(text, "a?b??[31m??\xc3\xa4");
}

static void grows(void **state)
{
	int *array = NULL, *grown;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		grown = nsb_grow(array, (size_t)i, sizeof(*array));
		assert_non_null(grown);
		array = grown;
		array[i] = i;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(array[i], i);
	alloc_fail_at(0);
	grown = nsb_grow(array, 1024, sizeof(*array));
	assert_true(alloc_fail_end());
	assert_null(grown);
	assert_int_equal(array[999], 999);
	free(array);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),   cmocka_unit_test(formats), cmocka_unit_test(prefixes),
		cmocka_unit_test(printable), cmocka_unit_test(grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
