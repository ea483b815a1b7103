/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fnmatch.h>
#include <cmocka.h>

#include "common/pattern.h"
#include "common/profile.h"
#include "common/string-util.h"
#include "tests/unit/alloc-fail.h"

int __real_fnmatch(const char *pattern, const char *text, int flags);
int __wrap_fnmatch(const char *pattern, const char *text, int flags);

static bool fnmatch_fails;

/* fnmatch(3) may fail in multibyte locales, for lack of memory. */
int __wrap_fnmatch(const char *pattern, const char *text, int flags)
{
	return fnmatch_fails ? -1 : __real_fnmatch(pattern, text, flags);
}

static nsb_group groups[] = {
	{ 1000, (char *)"alice" },
	{ 27, (char *)"sudo" },
	{ 3000, (char *)"domain users" },
	{ 4000, NULL },
};

static nsb_session make_session(void)
{
	return (nsb_session){
		.user = (char *)"alice",
		.service = (char *)"sshd",
		.tty = (char *)"ssh",
		.rhost = (char *)"",
		.uid = 1001,
		.gid = 1000,
		.home = (char *)"/home/alice",
		.groups = groups,
		.n_groups = 4,
		.host_name = (char *)"host",
	};
}

static nsb_config *read_config(const char *text)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;

	assert_int_equal(nsb_config_parse("/etc/security/nsbox.conf", text, strlen(text), &config, &problems), 0);
	assert_int_equal(nsb_config_finish(config, &problems), 0);
	for (size_t i = 0; i < problems.n; i++)
		print_message("%s\n", problems.lines[i]);
	assert_int_equal(problems.n + problems.dropped, 0);
	nsb_problems_done(&problems);
	return config;
}

/* One profile with these lines: whether it matches, and why (NULL: any reason). */
static void judge(const char *lines, const nsb_session *session, bool matches, const char *why)
{
	char *text = nsb_format("[profile p]\n%s\n", lines);
	nsb_config *config = read_config(text);
	nsb_choice choice = { 0 };

	assert_int_equal(nsb_profile_choose(config, session, NULL, &choice, NULL), 0);
	assert_int_equal(choice.n_verdicts, 1);
	if (why != NULL)
		assert_string_equal(choice.verdicts[0].why, why);
	if (choice.verdicts[0].matches != matches)
		fail_msg("%s: %s", lines, choice.verdicts[0].why);
	assert_ptr_equal(choice.profile, matches ? nsb_config_profile(config, 0) : NULL);
	assert_ptr_equal(choice.verdicts[0].profile, nsb_config_profile(config, 0));
	nsb_choice_done(&choice);
	nsb_config_free(config);
	free(text);
}

static void judge_users(const char *users, const nsb_session *session, bool matches)
{
	char *lines = nsb_format("users = %s", users);

	judge(lines, session, matches, NULL);
	free(lines);
}

static void users(void **state)
{
	nsb_session s = make_session();

	(void)state;
	judge_users("alice", &s, true);
	judge_users("Alice", &s, false);
	judge_users("bob alice", &s, true);
	judge_users("bob", &s, false);
	judge_users("al*", &s, true);
	judge_users("al?ce", &s, true);
	judge_users("[ab]lice", &s, true);
	judge_users("*", &s, true);
	judge_users("", &s, false);
	judge_users("1001", &s, true);
	judge_users("1000", &s, false);
	judge_users("0-1001", &s, true);
	judge_users("1001-1001", &s, true);
	judge_users("1002-4294967294", &s, false);
	judge_users("@sudo", &s, true);
	judge_users("@su*", &s, true);
	judge_users("@users", &s, false);
	judge_users("@27", &s, true);
	judge_users("@28", &s, false);
	judge_users("@20-30", &s, true);
	judge_users("@4000", &s, true);
	judge_users("@*", &s, true);
	judge_users("\"@domain users\"", &s, true);
	judge_users("@\"domain users\"", &s, true);
	judge_users("!\"@domain users\" *", &s, false);
	judge_users("@domain*", &s, true);
}

static void exclusions(void **state)
{
	nsb_session s = make_session();

	(void)state;
	judge_users("* !alice", &s, false);
	judge_users("!alice *", &s, false);
	judge_users("alice !bob", &s, true);
	judge_users("!bob", &s, false);
	judge_users("!alice", &s, false);
	judge_users("* !@sudo", &s, false);
	judge_users("* !@27", &s, false);
	judge_users("* !1001", &s, false);
	judge_users("alice !a*", &s, false);
	judge("users = alice\nusers = !alice", &s, false, "users: !alice (nsbox.conf:3) excludes user alice");
}

static void odd_names(void **state)
{
	nsb_session s = make_session();
	char longest[256];

	(void)state;
	/* digits are a uid, whatever the user is called */
	s.user = (char *)"1000";
	judge_users("1000", &s, false);
	judge_users("1001", &s, true);
	judge_users("100?", &s, true);
	s.user = (char *)"0";
	judge_users("0", &s, false);
	judge_users("!0 *", &s, true);
	s.user = (char *)"+1";
	judge_users("+1", &s, true);
	s.user = (char *)"DOM\\user";
	judge_users("DOM\\user", &s, true);
	judge_users("\"DOM\\\\user\"", &s, true);
	judge_users("DOM\\*", &s, true);
	judge_users("DOM*", &s, true);
	judge_users("DOMuser", &s, false);
	s.user = (char *)"DOMuser";
	judge_users("DOM\\user", &s, false);
	s.user = (char *)"user@dom";
	judge_users("user@dom", &s, true);
	judge_users("*@dom", &s, true);
	s.user = (char *)"a[b";
	judge_users("a[b", &s, true);
	s.user = (char *)"a[b]";
	judge_users("a[b]", &s, true);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	s.user = longest;
	judge_users(longest, &s, true);
	s.user = NULL;
	judge_users("*", &s, false);
	s.uid = 0;
	judge_users("0", &s, true);
	s.user = (char *)"";
	judge_users("*", &s, false);
}

static void services(void **state)
{
	nsb_session s = make_session();

	(void)state;
	judge("users=*\nservices = sshd login", &s, true,
	      "users: * (nsbox.conf:2) matches user alice; services: sshd (nsbox.conf:3) matches sshd");
	judge("users=*\nservices = login su*", &s, false, "services: none of login su* (nsbox.conf:3) matches sshd");
	judge("users=*\nservices = * !sshd", &s, false, "services: !sshd (nsbox.conf:3) excludes sshd");
	judge("users=*\nservices = * !su", &s, true, NULL);
	judge("users=*\nservices = !su", &s, false,
	      "services: !su (nsbox.conf:3): a list of exclusions only matches nobody");
	judge("users=*\nservices = s?hd", &s, true, NULL);
	s.service = NULL;
	judge("users=*", &s, true, "users: * (nsbox.conf:2) matches user alice; services: * matches ");
	judge("users=*\nservices=sshd", &s, false, NULL);
}

static void from_case(const char *from, const char *rhost, bool matches)
{
	nsb_session s = make_session();
	char *lines = nsb_format("users = *\nfrom = %s", from);

	s.rhost = (char *)rhost;
	judge(lines, &s, matches, NULL);
	free(lines);
}

static void from_addresses(void **state)
{
	(void)state;
	from_case("10.0.0.0/8", "10.1.2.3", true);
	from_case("10.0.0.0/8", "11.1.2.3", false);
	from_case("10.0.0.0/8", "::ffff:10.1.2.3", true);
	from_case("::ffff:10.0.0.0/104", "10.9.9.9", true);
	from_case("::ffff:10.0.0.1", "10.0.0.1", true);
	from_case("10.0.0.128/25", "10.0.0.127", false);
	from_case("10.0.0.128/25", "10.0.0.200", true);
	from_case("10.0.0.1", "10.0.0.1", true);
	from_case("10.0.0.1", "10.0.0.10", false);
	from_case("10.0.0.1/32", "10.0.0.1", true);
	from_case("0.0.0.0/0", "1.2.3.4", true);
	from_case("0.0.0.0/0", "::1", false);
	from_case("::/0", "::1", true);
	from_case("::/0", "1.2.3.4", false);
	from_case("::/0", "::ffff:1.2.3.4", false);
	from_case("2001:db8::/32", "2001:db8:1::5", true);
	from_case("2001:db8::/33", "2001:db8:8000::5", false);
	from_case("2001:DB8::1", "2001:db8:0:0::1", true);
	from_case("fe80::/10", "fe80::1%eth0", true);
	from_case("10.0.0.0/8", "", false);
	from_case("10.0.0.0/8", "host.example", false);
	/* what is no address must not be taken for one */
	from_case("10.0.0.0/8", "10.1.2.3.example.org", false);
	from_case("10.0.0.0/8", "10.1", false);
	from_case("10.0.0.0/8 !10.1.0.0/16", "10.1.2.3", false);
	from_case("10.0.0.0/8 !10.1.0.0/16", "10.2.2.3", true);
	from_case("!10.0.0.0/8", "192.0.2.1", false);
}

static void from_names(void **state)
{
	nsb_session s = make_session();
	char longest[400];

	(void)state;
	from_case("*.example.org", "a.example.org", true);
	from_case("*.example.org", "A.EXAMPLE.org", true);
	from_case("*.example.org", "example.org", false);
	from_case("*.example.org", "", false);
	from_case("*", "a", true);
	from_case("*", "", true);
	from_case("* !local", "", false);
	from_case("* !local", "a", true);
	from_case("local", "", true);
	from_case("local", "local", false);
	from_case("local 10.0.0.0/8", "10.0.0.1", true);
	from_case("", "anything", true);
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	from_case("0.0.0.0/0 ::/0", longest, false);
	s.rhost = NULL;
	judge("users=*\nfrom=local", &s, true,
	      "users: * (nsbox.conf:2) matches user alice; services: * matches sshd; "
	      "from: local (nsbox.conf:3) matches no remote host");
	judge("users=*\nfrom=a b", &s, false, "from: none of a b (nsbox.conf:3) matches a local login");
	s.rhost = (char *)"\x1b[2J\n";
	judge("users=*\nfrom=a", &s, false, "from: none of a (nsbox.conf:3) matches ?[2J?");
	judge("users=*\nfrom=*[*", &s, true,
	      "users: * (nsbox.conf:2) matches user alice; services: * matches sshd; "
	      "from: *[* (nsbox.conf:3) matches host \"?[2J?\"");
	s.rhost = (char *)"10.0.0.1";
	judge("users=*\nfrom=10.0.0.0/8", &s, true,
	      "users: * (nsbox.conf:2) matches user alice; services: * matches sshd; "
	      "from: 10.0.0.0/8 (nsbox.conf:3) matches address 10.0.0.1");
}

static void reasons(void **state)
{
	nsb_session s = make_session();

	(void)state;
	judge("users = 1-5", &s, false, "users: none of 1-5 (nsbox.conf:2) matches alice (uid 1001)");
	judge("users =", &s, false, "users: empty, which matches nobody");
	judge("users = !bob", &s, false, "users: !bob (nsbox.conf:2): a list of exclusions only matches nobody");
	judge("users = @sudo", &s, true, "users: @sudo (nsbox.conf:2) matches group sudo; services: * matches sshd");
	judge("users = 1000-2000", &s, true,
	      "users: 1000-2000 (nsbox.conf:2) matches uid 1001; services: * matches sshd");
	judge("users = * !@27", &s, false, "users: !@27 (nsbox.conf:2) excludes gid 27");
	/* two hits: the first is named */
	judge("users = a* alice", &s, true, "users: a* (nsbox.conf:2) matches user alice; services: * matches sshd");
	/* a long list is cut */
	judge("users = aaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccccccccccccccccccc dddd", &s,
	      false, NULL);
}

static void first_wins(void **state)
{
	nsb_session s = make_session();
	nsb_config *config =
		read_config("[profile a]\nusers = bob\n[profile b]\nusers = alice\n[profile c]\nusers = *\n");
	nsb_choice choice = { 0 };
	nsb_error error = { 0 };

	(void)state;
	assert_int_equal(nsb_profile_choose(config, &s, NULL, &choice, NULL), 0);
	assert_string_equal(choice.profile->name, "b");
	assert_int_equal(choice.n_verdicts, 2);
	assert_false(choice.verdicts[0].matches);
	assert_true(choice.verdicts[1].matches);
	nsb_choice_done(&choice);
	assert_null(choice.verdicts);

	s.user = (char *)"carol";
	assert_int_equal(nsb_profile_choose(config, &s, NULL, &choice, NULL), 0);
	assert_string_equal(choice.profile->name, "c");
	assert_int_equal(choice.n_verdicts, 3);
	nsb_choice_done(&choice);

	assert_int_equal(nsb_profile_choose(config, &s, "a", &choice, &error), 0);
	assert_string_equal(choice.profile->name, "a");
	assert_int_equal(choice.n_verdicts, 1);
	assert_string_equal(choice.verdicts[0].why, "forced by profile=a");
	nsb_choice_done(&choice);

	assert_int_equal(nsb_profile_choose(config, &s, "x", &choice, &error), -ENOENT);
	assert_string_equal(error.words, "there is no profile \"x\" in the configuration (profile=x)");
	assert_null(choice.profile);
	nsb_config_free(config);
}

static void none(void **state)
{
	nsb_session s = make_session();
	nsb_config *config = read_config("");
	nsb_choice choice = { .n_verdicts = 9 };

	(void)state;
	assert_int_equal(nsb_profile_choose(config, &s, NULL, &choice, NULL), 0);
	assert_null(choice.profile);
	assert_int_equal(choice.n_verdicts, 0);
	nsb_choice_done(&choice);
	nsb_config_free(config);
}

/* A configuration whose problems were ignored is an error, never a match. */
static void faulty(void **state)
{
	static const char text[] = "[profile a]\nusers = !!x *\n";
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_session s = make_session();
	nsb_choice choice = { 0 };

	(void)state;
	assert_int_equal(nsb_config_parse("x", text, strlen(text), &config, &problems), 0);
	assert_int_equal(problems.n, 1);
	assert_int_equal(nsb_profile_choose(config, &s, NULL, &choice, NULL), -EBADMSG);
	assert_null(choice.verdicts);
	nsb_problems_done(&problems);
	nsb_config_free(config);
}

/* The sentences about bad words, as the reader of the configuration gets them. */
static void bad_words(void **state)
{
	static const struct {
		int (*check)(const char *word, nsb_error *error);
		const char *word, *sentence;
	} rows[] = {
		{ nsb_pattern_check_user, "!", "\"!\" names nothing" },
		{ nsb_pattern_check_user, "!!a", "\"!!a\" has more than one \"!\"" },
		{ nsb_pattern_check_user, "a,b", "\"a,b\" has a comma in it: divide words by blanks" },
		{ nsb_pattern_check_user, "@", "\"@\" lacks the name of a group" },
		{ nsb_pattern_check_user, "!@", "\"@\" lacks the name of a group" },
		{ nsb_pattern_check_user, "@!a", "\"@!a\": write \"!\" in front of \"@\"" },
		{ nsb_pattern_check_user, "5-", "\"5-\" is neither an id nor a range like 1000-59999" },
		{ nsb_pattern_check_user, "-5", "\"-5\" is neither an id nor a range like 1000-59999" },
		{ nsb_pattern_check_user, "-", "\"-\" is neither an id nor a range like 1000-59999" },
		{ nsb_pattern_check_user, "1-2-3", "\"1-2-3\" is neither an id nor a range like 1000-59999" },
		{ nsb_pattern_check_user, "2-1", "the range \"2-1\" is empty: its first id is the larger one" },
		{ nsb_pattern_check_user, "4294967295", "\"4294967295\" is beyond the largest id, 4294967294" },
		{ nsb_pattern_check_user, "@0-4294967295", "\"0-4294967295\" is beyond the largest id, 4294967294" },
		{ nsb_pattern_check_service, "!", "\"!\" names nothing" },
		{ nsb_pattern_check_service, "a,b", "\"a,b\" has a comma in it: divide words by blanks" },
		{ nsb_pattern_check_from, "!", "\"!\" names nothing" },
		{ nsb_pattern_check_from, "10.0.*", "\"10.0.*\": write a range of addresses as ADDRESS/PREFIX" },
		{ nsb_pattern_check_from, "10.0.0.1-9",
		  "\"10.0.0.1-9\": write a range of addresses as ADDRESS/PREFIX" },
		{ nsb_pattern_check_from, "10.0.0", "\"10.0.0\" is not an IPv4 or IPv6 address, nor ADDRESS/PREFIX" },
		{ nsb_pattern_check_from, "10.0.0.256",
		  "\"10.0.0.256\" is not an IPv4 or IPv6 address, nor ADDRESS/PREFIX" },
		{ nsb_pattern_check_from, "a/8", "\"a/8\" is not an IPv4 or IPv6 address, nor ADDRESS/PREFIX" },
		{ nsb_pattern_check_from, "fe80::*", "\"fe80::*\" is not an IPv4 or IPv6 address, nor ADDRESS/PREFIX" },
		{ nsb_pattern_check_from, "10.0.0.0/33",
		  "\"10.0.0.0/33\": the prefix length must be a number from 0 to 32" },
		{ nsb_pattern_check_from, "10.0.0.0/",
		  "\"10.0.0.0/\": the prefix length must be a number from 0 to 32" },
		{ nsb_pattern_check_from, "::/129", "\"::/129\": the prefix length must be a number from 0 to 128" },
		{ nsb_pattern_check_from, "10.0.0.1/8",
		  "\"10.0.0.1/8\" has bits set beyond its prefix of 8: name the network itself, or the address without "
		  "a "
		  "prefix" },
	};
	static const char *const good[] = { "!@a", "a", "0", "@0", "!1-2", "1a", "+1", "user@dom", "a-b", "DOM\\u" };
	char digits[300], sentence[400];
	nsb_error error = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&error, 0, sizeof(error));
		assert_int_equal(rows[i].check(rows[i].word, &error), -EINVAL);
		assert_string_equal(error.words, rows[i].sentence);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(nsb_pattern_check_user(good[i], NULL), 0);
	memset(digits, '1', sizeof(digits) - 1);
	digits[sizeof(digits) - 1] = '\0';
	memset(&error, 0, sizeof(error));
	assert_int_equal(nsb_pattern_check_user(digits, &error), -EINVAL);
	assert_non_null(strstr(error.words, "is beyond the largest id"));
	memset(&error, 0, sizeof(error));
	assert_int_equal(nsb_pattern_check_from(digits, &error), -EINVAL);
	snprintf(sentence, sizeof(sentence), "\"%.128s\" is not an address", digits);
	assert_string_equal(error.words, sentence);
}

/* A glob that could not be tried is neither a match nor none. */
static void globs_fail(void **state)
{
	static const char *const lines[] = { "users = al*", "users = @x", "users = alice\nservices = su*",
					     "users = alice\nfrom = *.org", "users = alice !b*" };
	nsb_session s = make_session();
	nsb_choice choice = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *text = nsb_format("[profile p]\npids_max = 5\n%s\n", lines[i]);
		nsb_config *config = read_config(text);

		fnmatch_fails = true;
		assert_int_equal(nsb_profile_choose(config, &s, NULL, &choice, NULL), -ENOMEM);
		fnmatch_fails = false;
		assert_null(choice.profile);
		nsb_config_free(config);
		free(text);
	}
}

static void no_memory(void **state)
{
	nsb_session s = make_session();
	nsb_config *config = read_config("[profile a]\nusers = bob @x\nfrom = a\n[profile b]\nusers = alice\n");
	nsb_choice choice = { 0 };
	int failures = 0, r;

	(void)state;
	for (;;) {
		nsb_error error = { 0 };

		alloc_fail_at(failures);
		r = nsb_profile_choose(config, &s, NULL, &choice, &error);
		if (!alloc_fail_end())
			break;
		failures++;
		assert_int_equal(r, -ENOMEM);
		assert_string_equal(error.words, "no memory to choose a profile");
		assert_null(choice.verdicts);
	}
	assert_int_equal(r, 0);
	assert_true(failures > 8);
	assert_string_equal(choice.profile->name, "b");
	nsb_choice_done(&choice);
	alloc_fail_at(0);
	r = nsb_profile_choose(config, &s, "a", &choice, NULL);
	assert_true(alloc_fail_end());
	assert_int_equal(r, -ENOMEM);
	nsb_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users),     cmocka_unit_test(exclusions),     cmocka_unit_test(odd_names),
		cmocka_unit_test(services),  cmocka_unit_test(from_addresses), cmocka_unit_test(from_names),
		cmocka_unit_test(reasons),   cmocka_unit_test(first_wins),     cmocka_unit_test(none),
		cmocka_unit_test(faulty),    cmocka_unit_test(bad_words),      cmocka_unit_test(globs_fail),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
