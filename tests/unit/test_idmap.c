/* SPDX-License-Identifier: BSD-3-Clause */
/* The maps of a box with ids of its own: every id once, the kept ones where they are, within what the kernel takes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/idmap.h"
#include "common/settings.h"
#include "helper/subid-ranges.h"

#define BASE  1000000u
#define FIRST 1879048192u
#define LAST  2147483647u

static char text[NSB_IDMAP_TEXT_MAX];

static void maps(void **state)
{
	static const struct {
		uint32_t kept[4];
		size_t n;
		const char *text;
	} cases[] = {
		{ { 0 }, 0, "0 1000000 65536\n" },
		{ { 2001 }, 1, "0 1000000 2001\n2001 2001 1\n2002 1002002 63534\n" },
		{ { 0 }, 1, "0 0 1\n1 1000001 65535\n" },
		{ { 65535 }, 1, "0 1000000 65535\n65535 65535 1\n" },
		{ { 65536 }, 1, "0 1000000 65536\n65536 65536 1\n" },
		{ { 300000 }, 1, "0 1000000 65536\n300000 300000 1\n" },
		/* neighbours are one line, also across the end */
		{ { 5, 6, 7 }, 3, "0 1000000 5\n5 5 3\n8 1000008 65528\n" },
		{ { 65535, 65536, 65537 }, 3, "0 1000000 65535\n65535 65535 3\n" },
		{ { 0, 2, 70000 }, 3, "0 0 1\n1 1000001 1\n2 2 1\n3 1000003 65533\n70000 70000 1\n" },
		{ { 4294967294u }, 1, "0 1000000 65536\n4294967294 4294967294 1\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(nsb_idmap_text(cases[i].kept, cases[i].n, BASE, text), 0);
		assert_string_equal(text, cases[i].text);
	}
}

static void kept_ids_in_the_range(void **state)
{
	const uint32_t in[] = { BASE, BASE + 65535, BASE + 1 }, out[] = { BASE - 1, BASE + 65536 };

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		assert_int_equal(nsb_idmap_text(&in[i], 1, BASE, text), -EEXIST);
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		assert_int_equal(nsb_idmap_text(&out[i], 1, BASE, text), 0);
	/* a run that grows into it */
	assert_int_equal(nsb_idmap_text((const uint32_t[]){ BASE - 1, BASE }, 2, BASE, text), -EEXIST);
}

/* Of a map what one id becomes; -1 where it is not in there. Each line must begin behind the one before. */
static int64_t look_up(const char *map, uint32_t id, unsigned *ret_lines)
{
	int64_t found = -1;
	uint64_t next = 0;

	*ret_lines = 0;
	for (const char *at = map; *at != '\0'; at = strchr(at, '\n') + 1, (*ret_lines)++) {
		unsigned inside, outside, count;

		assert_int_equal(sscanf(at, "%u %u %u\n", &inside, &outside, &count), 3);
		assert_true(inside >= next && count > 0);
		next = (uint64_t)inside + count;
		if (id >= inside && id < next)
			found = (int64_t)outside + (id - inside);
	}
	return found;
}

/* Every second gid: two lines each. The most that fits, and one more. */
static void limits(void **state)
{
	uint32_t kept[400];
	unsigned lines;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 400; i++)
		kept[i] = 100 + 2 * (uint32_t)i;
	while (nsb_idmap_text(kept, n, BASE, text) == 0)
		n++;
	assert_in_range(n, 100, 170);
	assert_int_equal(nsb_idmap_text(kept, n, BASE, text), -E2BIG);
	assert_int_equal(nsb_idmap_text(kept, n - 1, BASE, text), 0);
	assert_true(strlen(text) < NSB_IDMAP_TEXT_MAX);
	for (uint32_t id = 0; id < 65536; id += 7) {
		int64_t found = look_up(text, id, &lines);
		bool stays = id >= 100 && id % 2 == 0 && id < 100 + 2 * (n - 1);

		assert_int_equal(found, stays ? id : (int64_t)BASE + id);
	}
	assert_true(lines <= NSB_IDMAP_LINES_MAX);
	/* short numbers: here it is the number of lines */
	for (size_t i = 0; i < 400; i++)
		kept[i] = 2 * (uint32_t)i;
	for (n = 0; nsb_idmap_text(kept, n, 65536, text) == 0;)
		n++;
	assert_int_equal(nsb_idmap_text(kept, n, 65536, text), -E2BIG);
	/* those that are neighbours cost nothing */
	for (size_t i = 0; i < 400; i++)
		kept[i] = 100 + (uint32_t)i;
	assert_int_equal(nsb_idmap_text(kept, 400, BASE, text), 0);
}

static nsb_session session_of(uid_t uid, gid_t gid, nsb_group *groups, size_t n)
{
	return (nsb_session){ .user = (char *)"alice", .uid = uid, .gid = gid, .groups = groups, .n_groups = n };
}

static void single_ids(void **state)
{
	nsb_group groups[] = { { 3001, NULL }, { 2001, NULL }, { 70000, NULL }, { 3001, NULL } };
	nsb_session session = session_of(2001, 2001, groups, 4);
	nsb_kept_ids kept;

	(void)state;
	assert_int_equal(nsb_kept_ids_make(&session, &kept), 0);
	assert_int_equal(kept.n_gids, 3);
	assert_int_equal(kept.gids[0], 2001);
	assert_int_equal(kept.gids[2], 70000);
	assert_int_equal(nsb_idmap_uid(&kept, BASE, 0), BASE);
	assert_int_equal(nsb_idmap_uid(&kept, BASE, 2001), 2001);
	assert_int_equal(nsb_idmap_uid(&kept, BASE, 3001), BASE + 3001);
	assert_int_equal(nsb_idmap_uid(&kept, BASE, BASE), BASE);
	assert_int_equal(nsb_idmap_gid(&kept, BASE, 5), BASE + 5);
	assert_int_equal(nsb_idmap_gid(&kept, BASE, 3001), 3001);
	assert_int_equal(nsb_idmap_gid(&kept, BASE, 70000), 70000);
	nsb_kept_ids_done(&kept);
	assert_null(kept.gids);
}

static void check(void **state)
{
	nsb_group groups[400];
	nsb_error error = { 0 };
	nsb_session session = session_of(2001, 2001, groups, 400);

	(void)state;
	for (size_t i = 0; i < 400; i++)
		groups[i] = (nsb_group){ .gid = 10000 + 2 * (gid_t)i };
	assert_int_equal(nsb_idmap_check(&session, FIRST, LAST, &error), -EINVAL);
	assert_non_null(strstr(error.words, "alice is in 401 groups"));
	session.n_groups = 20;
	assert_int_equal(nsb_idmap_check(&session, FIRST, LAST, &error), 0);
	for (size_t i = 0; i < 2; i++) {
		error = (nsb_error){ 0 };
		groups[3].gid = i == 0 ? FIRST : LAST;
		assert_int_equal(nsb_idmap_check(&session, FIRST, LAST, &error), -EINVAL);
		assert_non_null(strstr(error.words, "lies in subid_pool"));
	}
	groups[3].gid = FIRST - 1;
	error = (nsb_error){ 0 };
	assert_int_equal(nsb_idmap_check(&session, FIRST, LAST, &error), 0);
	session.uid = FIRST + 7;
	error = (nsb_error){ 0 };
	assert_int_equal(nsb_idmap_check(&session, FIRST, LAST, &error), -EINVAL);
	session.uid = 0;
	error = (nsb_error){ 0 };
	assert_int_equal(nsb_idmap_check(&session, FIRST, LAST, &error), -EINVAL);
	assert_non_null(strstr(error.words, "has uid 0"));
}

/* What nsbox-subid prints. Only what both files have under the same numbers, above the ordinary ids, is of use. */
static void delegated(void **state)
{
	static const struct {
		const char *text;
		int n;
		uint32_t first, last;
	} cases[] = {
		{ "", 0, 0, 0 },
		{ "uid 100000 65536\ngid 100000 65536\n", 1, 100000, 165535 },
		{ "uid 100000 65536\n", 0, 0, 0 },
		{ "uid 100000 65535\ngid 100000 65535\n", 0, 0, 0 },
		{ "uid 100000 65536\ngid 165536 65536\n", 0, 0, 0 },
		{ "uid 100000 200000\ngid 150000 200000\n", 1, 150000, 299999 },
		{ "uid 0 131072\ngid 0 131072\n", 1, 65536, 131071 },
		{ "uid 0 131071\ngid 0 131071\n", 0, 0, 0 },
		{ "uid 2147418112 4294967295\ngid 2147418112 18446744073709551615\n", 1, 2147418112, 2147483647 },
		{ "uid 18446744073709551615 65536\ngid 18446744073709551615 65536\n", 0, 0, 0 },
		{ "uid 100000 0\ngid 100000 65536\n", 0, 0, 0 },
		{ "uid 100000 65536\nuid 300000 65536\ngid 300000 65536\n", 1, 300000, 365535 },
		{ "uid 1 x\n", -EPROTO, 0, 0 },
		{ "pid 100000 65536\n", -EPROTO, 0, 0 },
		{ "uid 100000 65536 7\n", -EPROTO, 0, 0 },
		{ "uid 100000\n", -EPROTO, 0, 0 },
		{ "uid 100000 65536 0000000000000000000000000000000000000000000000000000000000000000\n", -EPROTO, 0,
		  0 },
	};
	nsb_subid_range ranges[NSB_SUBID_RANGES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(subid_ranges_parse(cases[i].text, ranges), cases[i].n);
		if (cases[i].n == 1) {
			assert_int_equal(ranges[0].first, cases[i].first);
			assert_int_equal(ranges[0].last, cases[i].last);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),	  cmocka_unit_test(kept_ids_in_the_range),
		cmocka_unit_test(limits), cmocka_unit_test(single_ids),
		cmocka_unit_test(check),  cmocka_unit_test(delegated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
