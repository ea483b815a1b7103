/* SPDX-License-Identifier: BSD-3-Clause */
/* What the account phase hands on to the session: packed and unpacked. Looking up is tested with real name services. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/protocol.h"
#include "common/session.h"
#include "common/account.h"

#define TEXT(text) ((char *)(text))

static nsb_group groups[] = {
	{ 3001, TEXT("staff") }, { 0, TEXT("root") }, { 4294967294u, NULL }, { 7, TEXT("domain users") }
};

static const nsb_session alice = { .user = TEXT("DOM\\al ice"),
				   .uid = 2001,
				   .gid = 3001,
				   .gecos = TEXT("Alice, Room 7: or 8"),
				   .home = TEXT("/home/al ice"),
				   .shell = TEXT("/bin/bash"),
				   .groups = groups,
				   .n_groups = 4 };

static void there_and_back(void **state)
{
	nsb_session got = { 0 };
	size_t n;
	char **list = account_pack(&alice, &n);

	(void)state;
	assert_non_null(list);
	assert_int_equal(n, 10);
	assert_string_equal(list[0], alice.user);
	assert_int_equal(account_unpack(&got, list, n), 0);
	assert_true(got.uid == 2001 && got.gid == 3001 && got.n_groups == 4);
	assert_string_equal(got.gecos, alice.gecos);
	assert_string_equal(got.home, alice.home);
	assert_string_equal(got.shell, alice.shell);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(got.groups[i].gid, groups[i].gid);
		if (groups[i].name == NULL)
			assert_null(got.groups[i].name);
		else
			assert_string_equal(got.groups[i].name, groups[i].name);
	}
	nsb_session_done(&got);
	nsb_list_free(list, n);
}

/* As many groups as a list holds, then one more; strings as long as a request has room for, then longer. */
static void too_long(void **state)
{
	nsb_session session = alice;
	nsb_group many[NSB_LIST_MAX];
	char home[PATH_MAX];
	char **list;
	size_t n;

	(void)state;
	for (size_t i = 0; i < NSB_LIST_MAX; i++)
		many[i] = (nsb_group){ (gid_t)i, TEXT("group") };
	session.groups = many;
	session.n_groups = NSB_LIST_MAX - 6;
	list = account_pack(&session, &n);
	assert_non_null(list);
	assert_int_equal(n, NSB_LIST_MAX);
	nsb_list_free(list, n);
	session.n_groups++;
	assert_null(account_pack(&session, &n));
	assert_int_equal(n, 0);
	memset(home, 'h', sizeof(home));
	home[sizeof(home) - 1] = '\0';
	session.n_groups = 1;
	session.home = home;
	assert_null(account_pack(&session, &n));
	home[PATH_MAX / 2] = '\0';
	list = account_pack(&session, &n);
	assert_non_null(list);
	nsb_list_free(list, n);
}

/* For nsbox-account there is no such limit. */
static void of_any_length(void **state)
{
	static nsb_group many[65536];
	nsb_session session = alice, got = { 0 };
	char **list;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 65536; i++)
		many[i] = (nsb_group){ (gid_t)i, i % 3 != 0 ? TEXT("group") : NULL };
	session.groups = many;
	session.n_groups = 65536;
	list = account_list(&session, &n);
	assert_non_null(list);
	assert_int_equal(n, 65536 + 6);
	assert_int_equal(account_unpack(&got, list, n), 0);
	assert_int_equal(got.n_groups, 65536);
	assert_int_equal(got.groups[65535].gid, 65535);
	assert_string_equal(got.groups[65534].name, "group");
	nsb_session_done(&got);
	nsb_list_free(list, n);
}

static void malformed(void **state)
{
	static const struct {
		size_t at;
		const char *text;
	} rows[] = {
		{ 1, "" },	{ 1, "-1" },	     { 1, "2001x" },
		{ 1, " 2001" }, { 1, "4294967295" }, { 1, "99999999999999999999" },
		{ 2, "" },	{ 2, "x" },	     { 2, "4294967296" },
		{ 4, "" },	{ 6, "" },	     { 6, "staff" },
		{ 6, "7 " },	{ 6, "7x" },	     { 6, "-7 staff" },
		{ 9, "+7" },	{ 5, "" },	     { 5, "3001 staff" },
	};
	size_t n;
	char **list = account_pack(&alice, &n);

	(void)state;
	assert_non_null(list);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *right = list[rows[i].at];
		nsb_session got = { 0 };

		list[rows[i].at] = (char *)rows[i].text;
		assert_int_equal(account_unpack(&got, list, n), -EINVAL);
		nsb_session_done(&got);
		list[rows[i].at] = right;
	}
	for (size_t length = 1; length < n; length++) {
		nsb_session got = { 0 };

		/* six strings are an account without a group, which there is not */
		assert_int_equal(account_unpack(&got, list, length), length <= 6 ? -EINVAL : 0);
		nsb_session_done(&got);
	}
	nsb_list_free(list, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(too_long),
		cmocka_unit_test(of_any_length),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
