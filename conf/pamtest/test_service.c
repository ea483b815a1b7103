/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A test program of libpamtest and cmocka, without pam_wrapper: the stack, the modules and the users are real ones, those of a
 * throw-away copy of the host, and the program is root in it.
 *
 * Needs libpamtest, cmocka and a compiler (Debian: libpamtest0-dev libcmocka-dev gcc). As root:
 *
 *     gcc -o test_service test_service.c -lpamtest -lcmocka
 *     mkdir stack
 *     printf 'auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_env.so envfile=/etc/door.env\n' >stack/door
 *     echo DOOR=open >door.env
 *     nsboxctl pamtest --pam-dir stack --user test:secret --file door.env:/etc/door.env \
 *         --file test_service:/usr/local/bin/test_service -- test_service
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libpamtest.h>
#include <security/pam_appl.h>

#define SERVICE "door"

/* Authenticates with one password and expects one code of PAM. */
static void authenticate(const char *user, const char *password, int expected)
{
	const char *answers[] = { password, NULL };
	struct pamtest_conv_data conversation = { .in_echo_off = answers };
	struct pam_testcase cases[] = { pam_test(PAMTEST_AUTHENTICATE, expected) };

	assert_int_equal(run_pamtest(SERVICE, user, &conversation, cases, NULL), PAMTEST_ERR_OK);
}

static void test_right_password(void **state)
{
	(void)state;
	authenticate("test", "secret", PAM_SUCCESS);
}

static void test_wrong_password(void **state)
{
	(void)state;
	authenticate("test", "wrong", PAM_AUTH_ERR);
}

static void test_unknown_user(void **state)
{
	(void)state;
	authenticate("nobody-knows", "secret", PAM_USER_UNKNOWN);
}

static void test_environment_of_a_session(void **state)
{
	struct pam_testcase cases[] = { pam_test(PAMTEST_ACCOUNT, PAM_SUCCESS),
					pam_test(PAMTEST_OPEN_SESSION, PAM_SUCCESS),
					pam_test(PAMTEST_GETENVLIST, PAM_SUCCESS),
					pam_test(PAMTEST_CLOSE_SESSION, PAM_SUCCESS) };
	char **environment;

	(void)state;
	assert_int_equal(run_pamtest(SERVICE, "test", NULL, cases, NULL), PAMTEST_ERR_OK);
	environment = cases[2].case_out.envlist;
	assert_string_equal(environment[0], "DOOR=open");
	pamtest_free_env(environment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_password),
		cmocka_unit_test(test_wrong_password),
		cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_environment_of_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
