/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For LD_PRELOAD into an application: one call of the module fails there, or does nothing and says that it did. What the
 * application starts has an environment without it, so the helper is as it always is.
 *
 *   NSBOX_FAIL_CALL="FUNCTION NUMBER ERRNO"    syscall, prctl or setrlimit; its first argument; 0: pretend success
 *   NSBOX_FAIL_CALL="setns 0 ERRNO"
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Whether this call is the one. Sets errno and *ret. */
static int is_chosen(const char *function, long number, int *ret)
{
	const char *text = getenv("NSBOX_FAIL_CALL");
	char wanted[32];
	long which;
	int error;

	if (text == NULL || sscanf(text, "%31s %ld %d", wanted, &which, &error) != 3 || strcmp(wanted, function) != 0 ||
	    which != number)
		return 0;
	errno = error;
	*ret = error == 0 ? 0 : -1;
	return 1;
}

static void *real(const char *function)
{
	void *found = dlsym(RTLD_NEXT, function);

	if (found == NULL)
		abort();
	return found;
}

#define ARGUMENTS(last)                                                                                                \
	long a, b, c, d, e, f;                                                                                         \
	va_list list;                                                                                                  \
	va_start(list, last);                                                                                          \
	a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long), d = va_arg(list, long);                \
	e = va_arg(list, long), f = va_arg(list, long);                                                                \
	va_end(list)

long syscall(long number, ...)
{
	int r;
	ARGUMENTS(number);

	if (is_chosen("syscall", number, &r))
		return r;
	return ((long (*)(long, ...))real("syscall"))(number, a, b, c, d, e, f);
}

int prctl(int number, ...)
{
	int r;
	ARGUMENTS(number);

	(void)e, (void)f;
	if (is_chosen("prctl", number, &r))
		return r;
	return ((int (*)(int, ...))real("prctl"))(number, a, b, c, d);
}

int setns(int fd, int type)
{
	int r;

	if (is_chosen("setns", 0, &r))
		return r;
	return ((int (*)(int, int))real("setns"))(fd, type);
}

int setrlimit(__rlimit_resource_t number, const struct rlimit *limit)
{
	int r;

	if (is_chosen("setrlimit", (long)number, &r))
		return r;
	return ((int (*)(__rlimit_resource_t, const struct rlimit *))real("setrlimit"))(number, limit);
}

int setrlimit64(__rlimit_resource_t number, const struct rlimit64 *limit)
{
	int r;

	if (is_chosen("setrlimit", (long)number, &r))
		return r;
	return ((int (*)(__rlimit_resource_t, const struct rlimit64 *))real("setrlimit64"))(number, limit);
}
