/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes one allocation of the code under test fail. For one source file per program, linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup
 */
#ifndef NSB_TESTS_ALLOC_FAIL_H
#define NSB_TESTS_ALLOC_FAIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t n, size_t size);
char *__wrap_strdup(const char *text);

static long alloc_left = -1; /* allocations that still succeed before one fails; -1: all do */
static bool alloc_failed;    /* one did */

static bool alloc_fails(void)
{
	if (alloc_left < 0 || alloc_left-- > 0)
		return false;
	alloc_failed = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return alloc_fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t n, size_t size)
{
	return alloc_fails() ? NULL : __real_reallocarray(memory, n, size);
}

char *__wrap_strdup(const char *text)
{
	return alloc_fails() ? NULL : __real_strdup(text);
}

/* The n-th allocation from now on fails (from 0), those after it succeed. */
static void alloc_fail_at(long n)
{
	alloc_left = n;
	alloc_failed = false;
}

/* No more failures. Whether there was one: if not, `n` was beyond the last allocation. */
static bool alloc_fail_end(void)
{
	alloc_left = -1;
	return alloc_failed;
}

#endif
