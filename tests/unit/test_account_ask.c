/* SPDX-License-Identifier: BSD-3-Clause */
/* What nsbox-account, which is a script here, answers or fails to. It is in the directory in which the test runs. */
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

#include "common/protocol.h"
#include "helper/account-ask.h"

#define PROGRAM "nsbox-account"
#define ALICE	"printf 'alice\\0002001\\0003001\\000/home/alice\\000/bin/sh\\000:Alice\\0003001 staff\\0007\\000'"
#define SOON	2000 /* ms */

static char base[] = "/tmp/nsbox-test-account-XXXXXX";
static nsb_error error;

/* Asks about alice with the program doing that. The caller frees the session's strings. */
static int ask(const char *script, nsb_session *ret)
{
	account_question question = { 0 };
	FILE *out = fopen(PROGRAM, "we");
	int r;

	assert_non_null(out);
	assert_true(fprintf(out, "#!/bin/sh\n%s\n", script) > 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(PROGRAM, 0755), 0);
	error = (nsb_error){ 0 };
	*ret = (nsb_session){ .user = strdup("alice") };
	r = account_ask("alice", &question, &error);
	return r < 0 ? r : account_ask_done(&question, nsb_now() + SOON, ret, &error);
}

static void answered(void **state)
{
	nsb_session got;

	(void)state;
	assert_int_equal(ask("[ $# = 1 ] && [ $1 = alice ] && [ \"$(env | grep -v '^PWD=')\" = '' ] && " ALICE, &got),
			 0);
	assert_true(got.uid == 2001 && got.gid == 3001 && got.n_groups == 2);
	assert_string_equal(got.home, "/home/alice");
	assert_string_equal(got.shell, "/bin/sh");
	assert_string_equal(got.gecos, "Alice");
	assert_true(got.groups[0].gid == 3001 && got.groups[1].gid == 7 && got.groups[1].name == NULL);
	assert_string_equal(got.groups[0].name, "staff");
	nsb_session_done(&got);
}

/* As many groups as a process can have: more than a request has room for. */
static void many_groups(void **state)
{
	nsb_session got;

	(void)state;
	assert_int_equal(ask(ALICE "; seq 3 65536 | tr '\\n' '\\0'", &got), 0);
	assert_int_equal(got.n_groups, 65536);
	assert_int_equal(got.groups[65535].gid, 65536);
	nsb_session_done(&got);
}

static void refused(void **state)
{
	static const struct {
		const char *script;
		int r;
		const char *words;
	} rows[] = {
		/* the two that have to be told apart */
		{ "echo 'the name service does not know the user alice' >&2; exit 2", -ENOENT,
		  "the name service does not know the user alice" },
		{ "echo 'cannot look up' >&2; exit 111", -ECONNREFUSED, "cannot look up" },
		{ "exit 5", -EIO, "nsbox-account failed" },
		{ "exit 127", -EIO, "nsbox-account does not start: nsbox is not installed as a whole" },
		{ "kill -SEGV $$", -EIO, "nsbox-account died of signal 11" },
		{ "exec sleep 60", -ETIMEDOUT, "nsbox-account did not end in time: it was killed" },
		{ "", -EIO, "what is no account of alice" },
		{ "echo", -EIO, "what is no account of alice" },
		{ "echo alice", -EIO, "what is no account of alice" },
		{ "printf 'alice\\000'", -EIO, "what is no account of alice" },
		{ ALICE "; printf x", -EIO, "what is no account of alice" },
		{ ALICE "; printf 'x\\000'", -EIO, "what is no account of alice" },
		{ ALICE " | sed s/alice/malice/", -EIO, "what is no account of alice" },
		{ ALICE " | sed s/2001/-1/", -EIO, "what is no account of alice" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_session got;

		assert_int_equal(ask(rows[i].script, &got), rows[i].r);
		assert_non_null(strstr(error.words, rows[i].words));
		assert_int_equal(error.err, -rows[i].r);
		nsb_session_done(&got);
	}
}

/* That is no user who is not there. */
static void missing(void **state)
{
	account_question question = { 0 };
	nsb_session session = { .user = (char *)"alice" };

	(void)state;
	unlink(PROGRAM);
	error = (nsb_error){ 0 };
	assert_int_equal(account_ask("alice", &question, &error), 0);
	assert_int_equal(account_ask_done(&question, nsb_now() + SOON, &session, &error), -EIO);
	assert_int_equal(error.err, EIO);
	assert_non_null(strstr(error.words, "nsbox-account does not start"));
}

static int enter(void **state)
{
	(void)state;
	return mkdtemp(base) == NULL || chdir(base) < 0;
}

static int leave(void **state)
{
	(void)state;
	unlink(PROGRAM);
	return rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answered),
		cmocka_unit_test(many_groups),
		cmocka_unit_test(refused),
		cmocka_unit_test(missing),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
