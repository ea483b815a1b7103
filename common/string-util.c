/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/string-util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nsb_parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	bool too_big = false;

	if (nsb_str_empty(text))
		return -EINVAL;
	/* to the end even when it is too big already: "99x" is not a number at all, whatever `max` is */
	for (; *text != '\0'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (value > (UINT64_MAX - digit) / 10)
			too_big = true;
		else
			value = value * 10 + digit;
	}
	if (too_big || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

char *nsb_format(const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		return NULL;
	text = malloc((size_t)length + 1);
	if (text == NULL)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}

const char *nsb_after_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

void nsb_make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void *nsb_grow(void *array, size_t n, size_t size)
{
	/* the capacity is the next power of two, so it need not be kept anywhere */
	if ((n & (n - 1)) != 0)
		return array;
	return reallocarray(array, n == 0 ? 1 : 2 * n, size);
}

bool nsb_is_plain_name(const char *text, size_t max)
{
	size_t length = strlen(text);

	return length > 0 && length <= max && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}
