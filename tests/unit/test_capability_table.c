/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of capabilities, the words of the key, the text of a set; and the word of subid_pool. */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <cmocka.h>

#include "common/capability-table.h"
#include "common/config-checks.h"
#include "common/config.h"
#include "common/string-util.h"
#include "tests/unit/alloc-fail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define P	     "[profile p]\nusers = a\n"
#define BIT(number)  (1ULL << (number))

/* Written by hand once more: whoever adds one to the table says so here as well. */
#define DEFAULT_SET                                                                                                    \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) |                  \
	 BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_RAW) |         \
	 BIT(CAP_SYS_CHROOT) | BIT(CAP_AUDIT_WRITE) | BIT(CAP_SETFCAP))

/* --- the table --- */

static const nsb_capability *row_of(unsigned number)
{
	const nsb_capability *found = NULL;

	for (size_t i = 0; i < nsb_n_capabilities; i++)
		if (nsb_capabilities[i].number == number) {
			assert_null(found);
			found = &nsb_capabilities[i];
		}
	return found;
}

/* As the kernel's header calls them. */
#define NAMED(capability) [capability] = #capability
static const char *const header_names[CAP_LAST_CAP + 1] = {
	NAMED(CAP_CHOWN),
	NAMED(CAP_DAC_OVERRIDE),
	NAMED(CAP_DAC_READ_SEARCH),
	NAMED(CAP_FOWNER),
	NAMED(CAP_FSETID),
	NAMED(CAP_KILL),
	NAMED(CAP_SETGID),
	NAMED(CAP_SETUID),
	NAMED(CAP_SETPCAP),
	NAMED(CAP_LINUX_IMMUTABLE),
	NAMED(CAP_NET_BIND_SERVICE),
	NAMED(CAP_NET_BROADCAST),
	NAMED(CAP_NET_ADMIN),
	NAMED(CAP_NET_RAW),
	NAMED(CAP_IPC_LOCK),
	NAMED(CAP_IPC_OWNER),
	NAMED(CAP_SYS_MODULE),
	NAMED(CAP_SYS_RAWIO),
	NAMED(CAP_SYS_CHROOT),
	NAMED(CAP_SYS_PTRACE),
	NAMED(CAP_SYS_PACCT),
	NAMED(CAP_SYS_ADMIN),
	NAMED(CAP_SYS_BOOT),
	NAMED(CAP_SYS_NICE),
	NAMED(CAP_SYS_RESOURCE),
	NAMED(CAP_SYS_TIME),
	NAMED(CAP_SYS_TTY_CONFIG),
	NAMED(CAP_MKNOD),
	NAMED(CAP_LEASE),
	NAMED(CAP_AUDIT_WRITE),
	NAMED(CAP_AUDIT_CONTROL),
	NAMED(CAP_SETFCAP),
	NAMED(CAP_MAC_OVERRIDE),
	NAMED(CAP_MAC_ADMIN),
	NAMED(CAP_SYSLOG),
	NAMED(CAP_WAKE_ALARM),
	NAMED(CAP_BLOCK_SUSPEND),
	NAMED(CAP_AUDIT_READ),
	NAMED(CAP_PERFMON),
	NAMED(CAP_BPF),
	NAMED(CAP_CHECKPOINT_RESTORE),
};

/* A capability of a kernel to come has no name here: "-cap_NEW" could not be written, and "all" alone would keep it. */
static void every_capability_has_a_row(void **state)
{
	(void)state;
	for (unsigned number = 0; number <= CAP_LAST_CAP; number++) {
		const nsb_capability *row = row_of(number);
		const char *name = header_names[number];

		assert_non_null(row);
		assert_non_null(name);
		assert_true(strcasecmp(row->name, name) == 0 &&
			    strspn(row->name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
		assert_ptr_equal(nsb_capability_find(row->name), row);
		assert_true(row->why[0] != '\0');
	}
	for (unsigned number = 0; number < NSB_CAPABILITIES_MAX && prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0;
	     number++)
		assert_non_null(row_of(number));
	for (size_t i = 0; i < nsb_n_capabilities; i++)
		assert_true(nsb_capabilities[i].number < NSB_CAPABILITIES_MAX);
}

static void what_is_kept(void **state)
{
	static const unsigned never[] = { CAP_SYS_ADMIN,       CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_MKNOD,
					  CAP_DAC_READ_SEARCH, CAP_SYS_RAWIO,  CAP_NET_ADMIN };
	uint64_t kept = 0;

	(void)state;
	for (size_t i = 0; i < nsb_n_capabilities; i++)
		kept |= nsb_capabilities[i].kept ? BIT(nsb_capabilities[i].number) : 0;
	assert_true(kept == DEFAULT_SET);
	for (size_t i = 0; i < COUNT(never); i++)
		assert_true((kept & BIT(never[i])) == 0);
}

static void names(void **state)
{
	static const char *const unknown[] = { "",	     "cap_",	 "chown",      "cap_chown ",
					       " cap_chown", "cap_chow", "cap_chownx", "0" };

	(void)state;
	assert_non_null(nsb_capability_find("CAP_SYS_ADMIN"));
	assert_ptr_equal(nsb_capability_find("Cap_Net_Raw"), nsb_capability_find("cap_net_raw"));
	for (size_t i = 0; i < COUNT(unknown); i++)
		assert_null(nsb_capability_find(unknown[i]));
}

/* --- the key --- */

static nsb_settings settings_of(const char *text, const char *profile, nsb_config **ret)
{
	nsb_settings settings = { 0 };
	nsb_problems problems = { 0 };
	nsb_error error = { 0 };

	*ret = NULL;
	assert_int_equal(nsb_config_parse("x", text, strlen(text), ret, &problems), 0);
	assert_int_equal(nsb_config_finish(*ret, &problems), 0);
	for (size_t i = 0; i < problems.n; i++)
		print_error("%s\n", problems.lines[i]);
	assert_int_equal(problems.n, 0);
	assert_int_equal(nsb_config_settings(*ret, nsb_config_find(*ret, profile), &settings, &error), 0);
	return settings;
}

static uint64_t set_of(const char *text, const char *profile)
{
	nsb_config *config;
	nsb_settings settings = settings_of(text, profile, &config);
	uint64_t set = nsb_capability_set(&settings.capabilities);

	nsb_settings_done(&settings);
	nsb_config_free(config);
	return set;
}

static void words(void **state)
{
	static const struct {
		const char *text;
		uint64_t set;
	} rows[] = {
		{ P, DEFAULT_SET },
		{ P "capabilities = default", DEFAULT_SET },
		{ P "capabilities = none", 0 },
		{ P "capabilities = all", UINT64_MAX },
		{ P "capabilities = -cap_net_raw", DEFAULT_SET & ~BIT(CAP_NET_RAW) },
		{ P "capabilities = default -CAP_NET_RAW", DEFAULT_SET & ~BIT(CAP_NET_RAW) },
		{ P "capabilities = +cap_sys_nice", DEFAULT_SET | BIT(CAP_SYS_NICE) },
		{ P "capabilities = none +cap_setuid +cap_setgid", BIT(CAP_SETUID) | BIT(CAP_SETGID) },
		{ P "capabilities = all -cap_sys_admin", UINT64_MAX & ~BIT(CAP_SYS_ADMIN) },
		{ P "capabilities = all -cap_chown +cap_chown", UINT64_MAX },
		/* twice is once, and what is not there can be taken away */
		{ P "capabilities = none +cap_kill +cap_kill -cap_chown", BIT(CAP_KILL) },
		/* the last word about a capability counts */
		{ P "capabilities = none +cap_kill -cap_kill", 0 },
		{ P "capabilities = none -cap_kill +cap_kill", BIT(CAP_KILL) },
		/* a base begins anew */
		{ P "capabilities = +cap_sys_admin none", 0 },
		{ P "capabilities = none default", DEFAULT_SET },
		/* lines add up, as those of every list */
		{ P "capabilities = none\ncapabilities = +cap_kill\ncapabilities = +cap_chown",
		  BIT(CAP_KILL) | BIT(CAP_CHOWN) },
		{ "[defaults]\ncapabilities = none\n" P, 0 },
		{ "[defaults]\ncapabilities = none\n" P "capabilities = +cap_kill", BIT(CAP_KILL) },
		{ "[defaults]\ncapabilities = all\n" P "capabilities = default", DEFAULT_SET },
		{ "[profile q]\nusers = b\ncapabilities = none +cap_kill\n" P "inherits = q\ncapabilities = +cap_chown",
		  BIT(CAP_KILL) | BIT(CAP_CHOWN) },
		{ "[profile q]\nusers = b\ncapabilities = none\n" P "inherits = q\ncapabilities = default",
		  DEFAULT_SET },
		{ P "[profile q]\nusers = b\ncapabilities = all\n", DEFAULT_SET },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (set_of(rows[i].text, "p") != rows[i].set)
			fail_msg("%s: %#llx", rows[i].text, (unsigned long long)set_of(rows[i].text, "p"));
	assert_true(nsb_capability_set(&(nsb_list){ 0 }) == DEFAULT_SET);
}

static void bad_words(void **state)
{
#define KINDS "is none of default, all, none, +cap_NAME (keeps it too), -cap_NAME (takes it away)"
	static const struct {
		const char *word, *sentence;
	} rows[] = {
		{ "cap_chown", "\"cap_chown\" " KINDS },
		{ "Default", "\"Default\" " KINDS },
		{ "ALL", "\"ALL\" " KINDS },
		{ "", "\"\" " KINDS },
		{ "~cap_chown", "\"~cap_chown\" " KINDS },
		{ "!cap_chown", "\"!cap_chown\" " KINDS },
		{ "+", "there is no capability \"\": capabilities(7) has their names" },
		{ "+chown", "there is no capability \"chown\": capabilities(7) has their names" },
		{ "-sys_admin", "there is no capability \"sys_admin\": capabilities(7) has their names" },
		{ "+all", "there is no capability \"all\": capabilities(7) has their names" },
		{ "++cap_chown", "there is no capability \"+cap_chown\": capabilities(7) has their names" },
		{ "-cap_chown,cap_kill",
		  "there is no capability \"cap_chown,cap_kill\": capabilities(7) has their names" },
		{ "+cap_41", "there is no capability \"cap_41\": capabilities(7) has their names" },
	};
	static const char *const good[] = { "default", "all", "none", "+cap_chown", "-CAP_BPF" };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		nsb_error error = { 0 };

		assert_int_equal(nsb_check_capability(rows[i].word, &error), -EINVAL);
		assert_string_equal(error.words, rows[i].sentence);
	}
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(nsb_check_capability(good[i], NULL), 0);
}

/* As the administrator reads them: file, line, key. */
static void bad_lines(void **state)
{
	static const struct {
		const char *line, *sentence;
	} rows[] = {
		{ "capabilities = cap_chown", "x:3: capabilities: \"cap_chown\" " KINDS },
		{ "capabilities = default, -cap_net_raw", "x:3: capabilities: \"default,\" " KINDS },
		{ "capabilities = default - cap_net_raw",
		  "x:3: capabilities: there is no capability \"\": capabilities(7) has their names" },
		{ "capabilities =", "x:3: capabilities: the value is missing" },
		{ "capability = all", "x:3: there is no key \"capability\"; the nearest is \"capabilities\"" },
		{ "no_new_privs = 1", "x:3: no_new_privs: \"1\" is neither \"yes\" nor \"no\"" },
		{ "core = 0", "x:3: core: \"0\" is neither \"yes\" nor \"no\"" },
		{ "seccomp = on", "x:3: seccomp: \"on\" is not one of default, strict, off" },
		{ "user_namespace = yes", "x:3: user_namespace: \"yes\" is not one of no, keep-id" },
		{ "nested_namespaces = user", "x:3: nested_namespaces: \"user\" is neither \"yes\" nor \"no\"" },
		{ "subid_pool = 65536", "x:3: subid_pool: \"65536\" is neither \"subuid\" nor FIRST-LAST, two ids from "
					"65536 to 2147483647" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *text = nsb_format(P "%s\n", rows[i].line);
		nsb_problems problems = { 0 };
		nsb_config *config = NULL;

		assert_int_equal(nsb_config_parse("x", text, strlen(text), &config, &problems), 0);
		assert_int_equal(nsb_config_finish(config, &problems), 0);
		assert_int_equal(problems.n, 1);
		assert_string_equal(problems.lines[0], rows[i].sentence);
		nsb_problems_done(&problems);
		nsb_config_free(config);
		free(text);
	}
}

/* --- text --- */

static void assert_text(uint64_t set, const char *wanted)
{
	char *text = nsb_capability_text(set);

	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static void texts(void **state)
{
	uint64_t known = BIT(CAP_LAST_CAP + 1) - 1;
	char *text;

	(void)state;
	assert_text(0, "none");
	assert_text(UINT64_MAX, "all");
	assert_text(BIT(CAP_KILL), "cap_kill");
	assert_text(BIT(CAP_SETUID) | BIT(CAP_SETGID), "cap_setgid cap_setuid");
	/* two sets never have the same text: boxes are shared by it */
	text = nsb_capability_text(known);
	assert_string_not_equal(text, "all");
	assert_non_null(strstr(text, "cap_checkpoint_restore"));
	free(text);
	text = nsb_capability_text(UINT64_MAX & ~BIT(CAP_SYS_ADMIN));
	assert_null(strstr(text, "cap_sys_admin"));
	assert_non_null(strstr(text, "cap_sys_boot"));
	free(text);
}

static void no_memory(void **state)
{
	static const uint64_t sets[] = { 0, UINT64_MAX, DEFAULT_SET };

	(void)state;
	for (size_t i = 0; i < COUNT(sets); i++) {
		char *text;

		alloc_fail_at(0);
		text = nsb_capability_text(sets[i]);
		/* the C library's own allocations, those of open_memstream(3), are not wrapped */
		assert_true(alloc_fail_end() == (text == NULL));
		free(text);
	}
}

/* --- subid_pool --- */

static void good_pools(void **state)
{
	static const struct {
		const char *word;
		uint32_t first, last;
	} rows[] = {
		{ "1879048192-2147483647", 1879048192, 2147483647 }, /* the default */
		{ "65536-131071", 65536, 131071 },
		{ "0100000-0200000", 100000, 200000 },
	};
	uint32_t first, last;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(nsb_parse_subid_pool(rows[i].word, &first, &last, NULL), 0);
		assert_int_equal(first, rows[i].first);
		assert_int_equal(last, rows[i].last);
		assert_int_equal(nsb_check_subid_pool(rows[i].word, NULL), 0);
	}
	assert_int_equal(nsb_parse_subid_pool("subuid", &first, &last, NULL), 1);
	assert_int_equal(nsb_check_subid_pool("subuid", NULL), 0);
}

static void bad_pools(void **state)
{
#define NEITHER "is neither \"subuid\" nor FIRST-LAST, two ids from 65536 to 2147483647"
#define TAKES	"a box takes 65536 ids, none of them below 65536: give LAST at least FIRST + 65535"
	static const struct {
		const char *word, *sentence;
	} rows[] = {
		{ "", "\"\" " NEITHER },
		{ "-", "\"-\" " NEITHER },
		{ "65536-", "\"65536-\" " NEITHER },
		{ "-131071", "\"-131071\" " NEITHER },
		{ "65536", "\"65536\" " NEITHER },
		{ "65536:131071", "\"65536:131071\" " NEITHER },
		{ "65536-131071-", "\"65536-131071-\" " NEITHER },
		{ "65536--131071", "\"65536--131071\" " NEITHER },
		{ "0x10000-0x20000", "\"0x10000-0x20000\" " NEITHER },
		{ "65536-131071 ", "\"65536-131071 \" " NEITHER },
		{ "+65536-131071", "\"+65536-131071\" " NEITHER },
		{ "SubUID", "\"SubUID\" " NEITHER },
		{ "subgid", "\"subgid\" " NEITHER },
		/* ids that some programs take for negative, and no ids at all */
		{ "65536-2147483648", "\"65536-2147483648\" " NEITHER },
		{ "65536-4294967295", "\"65536-4294967295\" " NEITHER },
		{ "4294967296-4295032832", "\"4294967296-4295032832\" " NEITHER },
		{ "00000000000000065536-131071", "\"00000000000000065536-131071\" " NEITHER },
		{ "99999999999999999999-99999999999999999999",
		  "\"99999999999999999999-99999999999999999999\" " NEITHER },
		/* too few, below the accounts, the wrong way round */
		{ "65536-131070", "\"65536-131070\": " TAKES },
		{ "65536-65536", "\"65536-65536\": " TAKES },
		{ "0-2147483647", "\"0-2147483647\": " TAKES },
		{ "65535-200000", "\"65535-200000\": " TAKES },
		{ "200000-65536", "\"200000-65536\": " TAKES },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t first = 1, last = 2;
		nsb_error error = { 0 };

		assert_int_equal(nsb_parse_subid_pool(rows[i].word, &first, &last, &error), -EINVAL);
		assert_string_equal(error.words, rows[i].sentence);
		assert_true(first == 1 && last == 2);
		assert_int_equal(nsb_check_subid_pool(rows[i].word, NULL), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_capability_has_a_row),
		cmocka_unit_test(what_is_kept),
		cmocka_unit_test(names),
		cmocka_unit_test(words),
		cmocka_unit_test(bad_words),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(texts),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(good_pools),
		cmocka_unit_test(bad_pools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
