/* SPDX-License-Identifier: BSD-3-Clause */
/* The module by libpamtest, under pam_wrapper: its stacks are those of PAM_WRAPPER_SERVICE_DIR, its namespaces are real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <libpamtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ino_t network(void)
{
	struct stat st;

	assert_int_equal(stat("/proc/thread-self/ns/net", &st), 0);
	return st.st_ino;
}

static void test_session(void **state)
{
	struct pam_testcase tests[] = { pam_test(PAMTEST_ACCOUNT, PAM_SUCCESS), pam_test(PAMTEST_OPEN_SESSION, PAM_SUCCESS),
					pam_test(PAMTEST_GETENVLIST, PAM_SUCCESS),
					pam_test(PAMTEST_CLOSE_SESSION, PAM_SUCCESS) };
	ino_t before = network();
	int boxed = 0;

	(void)state;
	assert_int_equal(run_pamtest("both", "alice", NULL, tests, NULL), PAMTEST_ERR_OK);
	assert_int_equal(network(), before);
	for (char **text = tests[2].case_out.envlist; *text != NULL; text++)
		boxed += strncmp(*text, "NSBOX_ID=", 9) == 0 && strlen(*text) == 19;
	pamtest_free_env(tests[2].case_out.envlist);
	assert_int_equal(boxed, 1);
}

/* The application is in the box as long as the handle is kept. */
static void test_inside(void **state)
{
	struct pam_testcase open[] = { pam_test(PAMTEST_OPEN_SESSION, PAM_SUCCESS), pam_test(PAMTEST_KEEPHANDLE, PAM_SUCCESS) };
	struct pam_testcase end[] = { pam_test(PAMTEST_CLOSE_SESSION, PAM_SUCCESS) };

	(void)state;
	assert_int_not_equal(access("/run/host/container-manager", F_OK), 0);
	assert_int_equal(run_pamtest("both", "alice", NULL, open, NULL), PAMTEST_ERR_OK);
	assert_int_equal(access("/run/host/container-manager", F_OK), 0);
	assert_int_equal(run_pamtest("both", "alice", NULL, end, open[1].case_out.ph), PAMTEST_ERR_OK);
	assert_int_not_equal(access("/run/host/container-manager", F_OK), 0);
}

/* No profile: the module stands aside, the stack's other module decides. */
static void test_no_profile(void **state)
{
	struct pam_testcase tests[] = { pam_test(PAMTEST_ACCOUNT, PAM_SUCCESS), pam_test(PAMTEST_OPEN_SESSION, PAM_SUCCESS),
					pam_test(PAMTEST_GETENVLIST, PAM_SUCCESS),
					pam_test(PAMTEST_CLOSE_SESSION, PAM_SUCCESS) };

	(void)state;
	assert_int_equal(run_pamtest("both", "bob", NULL, tests, NULL), PAMTEST_ERR_OK);
	for (char **text = tests[2].case_out.envlist; *text != NULL; text++)
		assert_int_not_equal(strncmp(*text, "NSBOX_ID=", 9), 0);
	pamtest_free_env(tests[2].case_out.envlist);
}

static void test_bad_word(void **state)
{
	struct pam_testcase tests[] = { pam_test(PAMTEST_ACCOUNT, PAM_PERM_DENIED),
					pam_test(PAMTEST_OPEN_SESSION, PAM_SERVICE_ERR) };

	(void)state;
	assert_int_equal(run_pamtest("bad-word", "alice", NULL, tests, NULL), PAMTEST_ERR_OK);
}

static void test_message(void **state)
{
	char text[512] = "", *errors[] = { text, NULL };
	struct pamtest_conv_data conversation = { .out_err = errors };
	struct pam_testcase tests[] = { pam_test(PAMTEST_ACCOUNT, PAM_PERM_DENIED) };

	(void)state;
	assert_int_equal(run_pamtest("profile", "alice", &conversation, tests, NULL), PAMTEST_ERR_OK);
	assert_non_null(strstr(text, "Login refused: your session could not be isolated (nsbox "));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_session), cmocka_unit_test(test_inside),
					    cmocka_unit_test(test_no_profile), cmocka_unit_test(test_bad_word),
					    cmocka_unit_test(test_message) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
