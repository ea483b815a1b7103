/* SPDX-License-Identifier: BSD-3-Clause */
/* Small text helpers without state. */
#ifndef NSB_STRING_UTIL_H
#define NSB_STRING_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only, no sign, no blanks, nothing behind: 0 with *ret; -EINVAL; -ERANGE beyond `max`. */
int nsb_parse_u64(const char *text, uint64_t max, uint64_t *ret);

/* snprintf into a new string; NULL without memory. The caller frees. */
char *nsb_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline bool nsb_str_empty(const char *text)
{
	return text == NULL || text[0] == '\0';
}

/* The text behind `prefix`, or NULL if it does not begin so. */
const char *nsb_after_prefix(const char *text, const char *prefix);

/* Whether the text is 1 to `max` of A-Z a-z 0-9 . _ - and not "." or "..": a name that is no path, and nothing but itself in any
 * text. */
bool nsb_is_plain_name(const char *text, size_t max);

/* Replaces control characters by "?", for sentences that quote what strangers sent. */
void nsb_make_printable(char *text);

/* Room for one more element in an array of `n` elements of `size` bytes that has only ever grown by this function: the
 * array, perhaps moved; NULL without memory (the old one stays as it is). */
void *nsb_grow(void *array, size_t n, size_t size);

#endif
