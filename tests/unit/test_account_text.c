/* SPDX-License-Identifier: BSD-3-Clause */
/* The account files of a box: whatever a name service says, the C library reads them as they are meant. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/account-text.h"
#include "tests/unit/alloc-fail.h"

#define TEXT(text) ((char *)(text))

static nsb_session session_of(const char *user, uid_t uid, gid_t gid, nsb_group *groups, size_t n)
{
	return (nsb_session){ .user = TEXT(user),
			      .uid = uid,
			      .gid = gid,
			      .home = TEXT("/home/x"),
			      .shell = TEXT("/bin/bash"),
			      .groups = groups,
			      .n_groups = n };
}

static void expect(const nsb_session *session, const char *passwd, const char *group)
{
	char *got_passwd, *got_group;
	nsb_error error = { 0 };

	assert_int_equal(nsb_account_texts(session, &got_passwd, &got_group, &error), 0);
	if (passwd != NULL)
		assert_string_equal(got_passwd, passwd);
	if (group != NULL)
		assert_string_equal(got_group, group);
	free(got_passwd);
	free(got_group);
}

#define ROOT   "root:*:0:0:root:/root:/bin/sh\n"
#define NOBODY "nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"

static void texts(void **state)
{
	nsb_group some[] = { { 9000, TEXT("staff") }, { 2001, TEXT("alice") }, { 9000, TEXT("staff") }, { 7, NULL } };
	nsb_group own[] = { { 0, TEXT("root") }, { 5, TEXT("terminals") }, { 65534, TEXT("nobody") } };
	nsb_group odd[] = { { 1, TEXT("a:b") },	      { 2, TEXT("+nis") }, { 3, TEXT("#x") },	{ 4, TEXT("") },
			    { 6, TEXT("two words") }, { 7, TEXT("a,b") },  { 8, TEXT("a\nb") }, { 9, TEXT(" a") } };
	nsb_session session = session_of("alice", 2001, 2001, some, 4);

	(void)state;
	expect(&session, ROOT "alice:x:2001:2001::/home/x:/bin/bash\n" NOBODY,
	       "root:x:0:\ntty:x:5:\n7:x:7:alice\nalice:x:2001:\nstaff:x:9000:alice\nnogroup:x:65534:\n");
	session.gecos = TEXT("Alice A.,Room 7,,");
	expect(&session, ROOT "alice:x:2001:2001:Alice A.,Room 7,,:/home/x:/bin/bash\n" NOBODY, NULL);
	session.gecos = TEXT("Room 7: or 8");
	expect(&session, ROOT "alice:x:2001:2001::/home/x:/bin/bash\n" NOBODY, NULL);
	/* a primary group without a name stays without */
	session.gid = 7;
	expect(&session, NULL, "root:x:0:\ntty:x:5:\nalice:x:2001:alice\nstaff:x:9000:alice\nnogroup:x:65534:\n");
	/* what the user has is not there twice, by name or by number */
	session = session_of("root", 0, 0, own, 3);
	expect(&session, "root:x:0:0::/home/x:/bin/bash\n" NOBODY,
	       "root:x:0:\nterminals:x:5:root\nnobody:x:65534:root\n");
	session = session_of("nobody", 99, 65534, own, 3);
	expect(&session, ROOT "nobody:x:99:65534::/home/x:/bin/bash\n", NULL);
	session = session_of("anonymous", 65534, 65534, own, 0);
	expect(&session, ROOT "anonymous:x:65534:65534::/home/x:/bin/bash\n",
	       "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
	/* another name of root: root keeps his */
	session = session_of("toor", 0, 0, own, 1);
	expect(&session, ROOT "toor:x:0:0::/home/x:/bin/bash\n" NOBODY, NULL);
	session = session_of("DOM\\ann", 4294967294u, 4294967293u, odd, 8);
	expect(&session, ROOT "DOM\\ann:x:4294967294:4294967293::/home/x:/bin/bash\n" NOBODY,
	       "root:x:0:\ntty:x:5:\n1:x:1:DOM\\ann\n2:x:2:DOM\\ann\n3:x:3:DOM\\ann\n4:x:4:DOM\\ann\n"
	       "two words:x:6:DOM\\ann\na,b:x:7:DOM\\ann\n8:x:8:DOM\\ann\n9:x:9:DOM\\ann\nnogroup:x:65534:\n");
}

/* The order in which a name service tells the groups makes no other text. */
static void order(void **state)
{
	nsb_group one[] = { { 1, TEXT("a") }, { 2, TEXT("b") }, { 3, TEXT("c") } };
	nsb_group other[] = { { 3, TEXT("c") }, { 1, TEXT("a") }, { 2, TEXT("b") }, { 1, TEXT("a") } };
	nsb_session first = session_of("u", 9, 9, one, 3), second = session_of("u", 9, 9, other, 4);
	char *passwd, *group;

	(void)state;
	assert_int_equal(nsb_account_texts(&second, &passwd, &group, NULL), 0);
	expect(&first, passwd, group);
	free(passwd);
	free(group);
}

static void unfit(void **state)
{
	static const char *const users[] = { "", "a:b", "a\nb", "+a", "-a", "#a", " a", "a ", "a,b", "a\x7f", "a\tb" };
	static const char *const fields[] = { "/a:b", "/a\nb", "/a\x01" };
	char *passwd = TEXT("unchanged"), *group;

	(void)state;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		nsb_session session = session_of(users[i], 1, 1, NULL, 0);
		nsb_error error = { 0 };

		assert_int_equal(nsb_account_texts(&session, &passwd, &group, &error), -EINVAL);
		assert_non_null(strstr(error.words, "the name of this account"));
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		nsb_session session = session_of("a", 1, 1, NULL, 0);
		nsb_error error = { 0 };

		session.home = TEXT(fields[i]);
		assert_int_equal(nsb_account_texts(&session, &passwd, &group, &error), -EINVAL);
		assert_non_null(strstr(error.words, "home directory"));
		session.home = TEXT("/");
		session.shell = TEXT(fields[i]);
		error = (nsb_error){ 0 };
		assert_int_equal(nsb_account_texts(&session, &passwd, &group, &error), -EINVAL);
		assert_non_null(strstr(error.words, "shell"));
	}
	assert_string_equal(passwd, "unchanged");
}

/* 65536 groups, each with a long name: the C library's own parser finds every one, and the user in it. */
static void many(void **state)
{
	enum { N = 65536 };
	nsb_group *groups = calloc(N, sizeof(*groups));
	char *names = malloc((size_t)N * 32), *passwd, *group;
	nsb_session session = session_of("alice", 2001, 70001, groups, N);
	size_t n = 0;
	FILE *file;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		groups[i] = (nsb_group){ 70000 + i, &names[(size_t)i * 32] };
		snprintf(groups[i].name, 32, "a-group-with-the-number-%u", i);
	}
	assert_int_equal(nsb_account_texts(&session, &passwd, &group, NULL), 0);
	file = fmemopen(group, strlen(group), "r");
	for (struct group *g; (g = fgetgrent(file)) != NULL; n++)
		if (g->gr_gid >= 70000) {
			assert_string_equal(g->gr_name, groups[g->gr_gid - 70000].name);
			assert_true(g->gr_gid == 70001 ? g->gr_mem[0] == NULL : strcmp(g->gr_mem[0], "alice") == 0);
		}
	assert_int_equal(n, N + 3);
	fclose(file);
	file = fmemopen(passwd, strlen(passwd), "r");
	for (struct passwd *p; (p = fgetpwent(file)) != NULL;)
		if (p->pw_uid == 2001)
			assert_true(p->pw_gid == 70001 && strcmp(p->pw_dir, "/home/x") == 0 &&
				    strcmp(p->pw_shell, "/bin/bash") == 0);
	fclose(file);
	free(passwd);
	free(group);
	free(names);
	free(groups);
}

static void lines(void **state)
{
	static const struct {
		const char *text, *wanted, *expected;
	} rows[] = {
		{ "root:a:1\nalice:b:2\nbob:c:3\n", "alice\nalice:*:", "alice:b:2\n" },
		{ "root:a:1\nbob:c:3\n", "alice\nalice:*:", "alice:*:\n" },
		{ "", "alice\nalice:*:", "alice:*:\n" },
		{ "", "", "" },
		{ "alice", "alice", "" },
		{ "alice:1", "alice", "alice:1\n" },
		{ "alicex:1\nxalice:2\n:3\n\nalice:4\nbob:alice:5", "alice", "alice:4\n" },
		{ "alice:1:2\nbob:3:4\nalice:5:6\n2001:7:8\n", "alice\n2001", "alice:1:2\nalice:5:6\n2001:7:8\n" },
		{ "2001:7:8\n", "2001\n2001", "2001:7:8\n" },
		{ "a\\b:1\n", "a\\b", "a\\b:1\n" },
		{ "%s:1\n", "%s", "%s:1\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = nsb_account_lines(rows[i].text, rows[i].wanted);

		assert_string_equal(got, rows[i].expected);
		free(got);
	}
}

static void name_switch(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "passwd: files\ngroup: files\n" },
		{ "passwd: files sss\ngroup:\tldap\nhosts: files dns\n",
		  "hosts: files dns\npasswd: files\ngroup: files\n" },
		{ "# passwd: x\n passwd : sss\n\tgroup sss\n\v\fgroup\tsss\npasswd#\npasswd",
		  "# passwd: x\npasswd: files\ngroup: files\n" },
		{ "passwd_compat: nis\ngroupx: a\n", "passwd_compat: nis\ngroupx: a\npasswd: files\ngroup: files\n" },
		{ "hosts: dns\n\n\nhosts: %n%s", "hosts: dns\n\n\nhosts: %n%s\npasswd: files\ngroup: files\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = nsb_account_switch(rows[i].text, "passwd group");

		assert_string_equal(got, rows[i].expected);
		free(got);
	}
}

static void no_memory(void **state)
{
	nsb_group groups[] = { { 9000, TEXT("staff") }, { 2001, TEXT("alice") } };
	nsb_session session = session_of("alice", 2001, 2001, groups, 2);

	(void)state;
	for (long n = 0;; n++) {
		char *passwd = NULL, *group = NULL;
		int r;

		alloc_fail_at(n);
		r = nsb_account_texts(&session, &passwd, &group, NULL);
		if (!alloc_fail_end()) {
			assert_int_equal(r, 0);
			free(passwd);
			free(group);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_true(passwd == NULL && group == NULL);
	}
	alloc_fail_at(0);
	assert_null(nsb_account_lines("a:b", "a"));
	assert_true(alloc_fail_end());
	alloc_fail_at(0);
	assert_null(nsb_account_switch("a:b", "a"));
	assert_true(alloc_fail_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),     cmocka_unit_test(order), cmocka_unit_test(unfit),
		cmocka_unit_test(many),	     cmocka_unit_test(lines), cmocka_unit_test(name_switch),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
