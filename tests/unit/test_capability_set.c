/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process may do is given up, looked at, and not had back: in children of the test, as root. And a kernel that says
 * something else than it was asked for, which --wrap=prctl plays.
 */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/capability-set.h"

#define KILL NSB_CAPABILITY(CAP_KILL)
#define RAW  NSB_CAPABILITY(CAP_NET_RAW)

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);

static int lies;   /* the option of which is said: */
static int answer; /* this, or an errno if it is negative */

int __wrap_prctl(int option, ...)
{
	va_list list;
	long words[4];

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		words[i] = va_arg(list, long);
	va_end(list);
	if (option != lies)
		return __real_prctl(option, words[0], words[1], words[2], words[3]);
	errno = answer < 0 ? -answer : 0;
	return answer < 0 ? -1 : answer;
}

/* 0 if the child says so; else the line in which it was wrong. */
static int in_child(int (*run)(void))
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(run());
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define EXPECT(what)                                                                                                   \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			return __LINE__ % 250 + 1;                                                                     \
	} while (0)

static uint64_t bounding(void)
{
	uint64_t set = 0;

	for (unsigned long number = 0; number < 64; number++)
		if (prctl(PR_CAPBSET_READ, number, 0L, 0L, 0L) == 1)
			set |= NSB_CAPABILITY(number);
	return set;
}

static int keep_one(void)
{
	const nsb_capability_sets one = { KILL, KILL, 0 }, half = { 0, KILL, 0 }, more = { KILL | RAW, KILL | RAW, 0 };
	nsb_capability_sets have;
	unsigned which;

	EXPECT(nsb_capabilities_get(&have) == 0 && (have.permitted & more.permitted) == more.permitted);
	EXPECT(bounding() & RAW);
	EXPECT(nsb_bounding_keep(KILL, &which) == 0 && bounding() == KILL);
	EXPECT(nsb_bounding_keep(KILL, &which) == 0);
	EXPECT(!nsb_capabilities_are(&one));
	EXPECT(nsb_capabilities_set(&one) == 0 && nsb_capabilities_are(&one) && !nsb_capabilities_are(&half));
	EXPECT(nsb_capabilities_set(&more) == -EPERM && nsb_capabilities_are(&one));
	EXPECT(nsb_capabilities_set(&half) == 0 && nsb_capabilities_are(&half));
	EXPECT(nsb_capabilities_set(&one) == 0);
	EXPECT(nsb_capabilities_set(&(nsb_capability_sets){ 0, 0, 0 }) == 0 && nsb_capabilities_set(&half) == -EPERM);
	return 0;
}

static int ambient(void)
{
	const nsb_capability_sets sets = { KILL | RAW, KILL | RAW, RAW };
	nsb_capability_sets none = sets;

	EXPECT(nsb_capabilities_set(&sets) == 0 && nsb_capabilities_are(&sets));
	EXPECT(prctl(PR_CAP_AMBIENT, (long)PR_CAP_AMBIENT_RAISE, (long)CAP_NET_RAW, 0L, 0L) == 0);
	EXPECT(!nsb_capabilities_are(&sets));
	EXPECT(nsb_ambient_clear() == 0 && nsb_capabilities_are(&sets));
	EXPECT(prctl(PR_CAP_AMBIENT, (long)PR_CAP_AMBIENT_RAISE, (long)CAP_NET_RAW, 0L, 0L) == 0);
	none.inheritable = 0;
	EXPECT(!nsb_capabilities_are(&none));
	EXPECT(nsb_capabilities_set(&none) == 0 && nsb_capabilities_are(&none)); /* not inheritable, so not ambient */
	for (long number = 0; number < 64; number++) /* which is true of the kernel that we run on */
		EXPECT(prctl(PR_CAP_AMBIENT, (long)PR_CAP_AMBIENT_IS_SET, number, 0L, 0L) <= 0);
	return 0;
}

static int without_setpcap(void)
{
	unsigned which = 99;

	EXPECT(nsb_capabilities_set(&(nsb_capability_sets){ KILL, KILL, 0 }) == 0);
	EXPECT(nsb_bounding_keep(~NSB_CAPABILITY(CAP_FOWNER), &which) == -EPERM && which == CAP_FOWNER);
	EXPECT(nsb_bounding_keep(~0ULL, &which) == 0);
	return 0;
}

static int kernel_lies(void)
{
	static const struct {
		int option, answer, wanted;
	} rows[] = { { PR_CAPBSET_READ, -ENOSYS, -EIO },
		     { PR_CAPBSET_DROP, 0, -EIO },
		     { PR_CAPBSET_DROP, -EPERM, -EPERM } };
	nsb_capability_sets have;
	unsigned which;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lies = rows[i].option;
		answer = rows[i].answer;
		which = 99;
		EXPECT(nsb_bounding_keep(KILL, &which) == rows[i].wanted && which == 0);
	}
	lies = 0;
	EXPECT(nsb_capabilities_get(&have) == 0 && nsb_capabilities_are(&have));
	have.inheritable = have.permitted & KILL; /* root is needed for something to be there to lie about */
	EXPECT(nsb_capabilities_set(&have) == 0 && nsb_capabilities_are(&have));
	lies = PR_CAP_AMBIENT;
	answer = 1;
	EXPECT(!nsb_capabilities_are(&have));
	answer = -EINVAL;
	EXPECT(!nsb_capabilities_are(&have) && nsb_ambient_clear() == -EINVAL);
	return 0;
}

static void as_root(int (*run)(void))
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(run), 0);
}

static void test_keep_one(void **state)
{
	(void)state;
	as_root(keep_one);
}

static void test_ambient(void **state)
{
	(void)state;
	as_root(ambient);
}

static void test_without_setpcap(void **state)
{
	(void)state;
	as_root(without_setpcap);
}

static void test_kernel_lies(void **state)
{
	(void)state;
	as_root(kernel_lies);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_keep_one), cmocka_unit_test(test_ambient),
					    cmocka_unit_test(test_without_setpcap),
					    cmocka_unit_test(test_kernel_lies) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
