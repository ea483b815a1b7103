/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/expand.h"
#include "tests/unit/alloc-fail.h"

static nsb_group groups[] = { { 2000, NULL }, { 1000, (char *)"users" }, { 27, (char *)"sudo" } };

static nsb_session make_session(void)
{
	return (nsb_session){
		.user = (char *)"alice",
		.service = (char *)"sshd",
		.uid = 1001,
		.gid = 1000,
		.home = (char *)"/home/alice",
		.groups = groups,
		.n_groups = 3,
		.id = "k3j5h7g9f1",
		.host_name = (char *)"Host.Example",
	};
}

static void expect(const char *text, const nsb_session *session, bool as_path, const char *wanted)
{
	nsb_error error = { 0 };
	char *got = NULL;

	assert_int_equal(nsb_expand(text, session, as_path, &got, &error), 0);
	assert_string_equal(got, wanted);
	assert_int_equal(error.err, 0);
	free(got);
}

static void refuse(const char *text, const nsb_session *session, bool as_path, const char *wanted)
{
	nsb_error error = { 0 };
	char *got = NULL;

	assert_int_equal(nsb_expand(text, session, as_path, &got, &error), -EINVAL);
	assert_null(got);
	assert_int_equal(error.err, EINVAL);
	assert_string_equal(error.words, wanted);
	/* the sentence is not needed */
	assert_int_equal(nsb_expand(text, session, as_path, &got, NULL), -EINVAL);
}

static void specifiers(void **state)
{
	nsb_session s = make_session();

	(void)state;
	expect("", &s, false, "");
	expect("plain", &s, true, "plain");
	expect("%u|%U|%g|%G|%h|%H|%s|%i|%%", &s, false,
	       "alice|1001|users|1000|/home/alice|Host.Example|sshd|k3j5h7g9f1|%");
	expect("/srv/%u/%s-%U", &s, true, "/srv/alice/sshd-1001");
	expect("%h", &s, true, "/home/alice");
	expect("%%u%%%u", &s, false, "%u%alice");
	s.uid = s.gid = 4294967294U;
	expect("%U %G", &s, false, "4294967294 4294967294");
}

static void missing_facts(void **state)
{
	nsb_session s = { .gid = 2000, .groups = groups, .n_groups = 3 };

	(void)state;
	/* group 2000 has no name, 4242 is not even listed */
	expect("%g", &s, true, "2000");
	s.gid = 4242;
	expect("%g", &s, true, "4242");
	expect("<%u%h%H%s%i>", &s, false, "<>");
}

static void unknown(void **state)
{
	nsb_session s = make_session();
	nsb_error error = { 0 };

	(void)state;
	refuse("/a/%x", &s, false, "unknown specifier \"%x\" in \"/a/%x\"; there are %u %U %g %G %h %H %s %i %%");
	refuse("100%", &s, false, "\"100%\" ends with a lone \"%\": write \"%%\" for a percent sign");
	refuse("%%%", &s, false, "\"%%%\" ends with a lone \"%\": write \"%%\" for a percent sign");
	assert_int_equal(nsb_expand_check("%u%%%i", &error), 0);
	assert_int_equal(nsb_expand_check("%", NULL), -EINVAL);
}

static void shape_of_paths(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/" };
	static const char *const good[] = { "...", ".a", "DOM\\user", "user@dom", "0", "+1", "a b" };
	nsb_session s = make_session();
	char *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		nsb_group group = { 1000, (char *)bad[i] };
		nsb_session t = s;

		t.user = t.host_name = t.service = (char *)bad[i];
		t.groups = &group;
		t.n_groups = 1;
		assert_int_equal(nsb_expand("/%u", &t, true, &got, NULL), -EINVAL);
		assert_int_equal(nsb_expand("/%H", &t, true, &got, NULL), -EINVAL);
		assert_int_equal(nsb_expand("/%s", &t, true, &got, NULL), -EINVAL);
		/* an empty name is no name: the number stands for it */
		assert_int_equal(nsb_expand("/%g", &t, true, &got, NULL), bad[i][0] != '\0' ? -EINVAL : 0);
		free(got);
		got = NULL;
		expect("/%u", &t, false,
		       bad[i][0] == '\0'	   ? "/"
		       : strcmp(bad[i], ".") == 0  ? "/."
		       : strcmp(bad[i], "..") == 0 ? "/.."
		       : strcmp(bad[i], "/") == 0  ? "//"
						   : "/a/b");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		s.user = (char *)good[i];
		expect("%u", &s, true, good[i]);
	}
	s.user = (char *)"a/\n\x1b";
	refuse("/x/%u", &s, true, "the user name \"a/??\" cannot stand in a path (%u in \"/x/%u\")");
	s.service = (char *)"../x";
	refuse("/%s", &s, true, "the service \"../x\" cannot stand in a path (%s in \"/%s\")");
}

static void homes(void **state)
{
	static const char *const bad[] = { "", "home/x", "/..", "/home/../etc", "/home/x/.." };
	static const char *const good[] = { "/", "/home/./x", "/home/..x", "/home/x/" };
	nsb_session s = make_session();
	char *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s.home = (char *)bad[i];
		assert_int_equal(nsb_expand("%h", &s, true, &got, NULL), -EINVAL);
		expect("%h", &s, false, bad[i]);
	}
	refuse("%h/.x", &s, true, "the home directory \"/home/x/..\" cannot stand in a path (%h in \"%h/.x\")");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		s.home = (char *)good[i];
		expect("%h", &s, true, good[i]);
	}
}

static void host_names(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{ "", "box" },
		{ "---", "box" },
		{ "\xc3\xa4\xc3\xb6", "box" },
		{ "web1", "web1" },
		{ "Web1.Example.ORG", "web1-example-org" },
		{ "a  b", "a-b" },
		{ "-a-", "a" },
		{ "..a..", "a" },
		{ "a--b", "a--b" },
		{ "DOM\\user@x", "dom-user-x" },
		{ "host\nname\x7f", "host-name" },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789",
		  "012345678901234567890123456789012345678901234567890123456789012" },
		{ "01234567890123456789012345678901234567890123456789012345678901-3",
		  "01234567890123456789012345678901234567890123456789012345678901" },
	};
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(buffer, 'x', sizeof(buffer));
		nsb_make_hostname(rows[i].from, buffer);
		assert_string_equal(buffer, rows[i].to);
	}
}

static void no_memory(void **state)
{
	nsb_session s = make_session();
	char *got = NULL;
	int failures = 0, r;

	(void)state;
	for (;;) {
		alloc_fail_at(failures);
		r = nsb_expand("a%ub%%c", &s, false, &got, NULL);
		if (!alloc_fail_end())
			break;
		failures++;
		assert_int_equal(r, -ENOMEM);
		assert_null(got);
	}
	assert_int_equal(r, 0);
	assert_true(failures > 3);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(specifiers),	  cmocka_unit_test(missing_facts), cmocka_unit_test(unknown),
		cmocka_unit_test(shape_of_paths), cmocka_unit_test(homes),	   cmocka_unit_test(host_names),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
