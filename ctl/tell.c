/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/string-util.h"
#include "ctl/command.h"

int tell_error(const nsb_error *error)
{
	nsb_error printable = *error;

	nsb_make_printable(printable.words);
	fprintf(stderr, "nsboxctl: %s\n", printable.words[0] != '\0' ? printable.words : strerror(printable.err));
	return COMMAND_PROBLEM;
}

int tell_problems(const nsb_problems *problems, const nsb_error *error)
{
	/* printable already, config.h */
	for (size_t i = 0; i < problems->n; i++)
		fprintf(stderr, "%s\n", problems->lines[i]);
	if (problems->dropped > 0)
		fprintf(stderr, "and %zu more\n", problems->dropped);
	return problems->n > 0 ? COMMAND_PROBLEM : tell_error(error);
}

/* Bytes of the well-formed UTF-8 character at `text`, RFC 3629; 0 if it is none. */
static size_t utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, second_first, second_last, length;
	} rows[] = {
		{ 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (text[0] < rows[i].first || text[0] > rows[i].last)
			continue;
		if (rows[i].length > 1 && (text[1] < rows[i].second_first || text[1] > rows[i].second_last))
			return 0;
		for (size_t at = 2; at < rows[i].length; at++)
			if ((text[at] & 0xc0) != 0x80)
				return 0;
		return rows[i].length;
	}
	return 0;
}

char *tell_escape(const char *text, bool utf8)
{
	const unsigned char *at = (const unsigned char *)text;
	char *escaped = malloc(4 * strlen(text) + 1), *to = escaped;

	if (escaped == NULL)
		return NULL;
	while (*at != '\0') {
		size_t length = utf8 ? utf8_length(at) : *at >= 0x20 && *at < 0x7f;

		if (length == 0) {
			to += sprintf(to, "\\x%02x", *at++);
			continue;
		}
		memcpy(to, at, length);
		to += length;
		at += length;
	}
	*to = '\0';
	return escaped;
}

void tell_time(int64_t seconds, char buffer[TELL_TIME_SIZE])
{
	time_t at = (time_t)seconds;
	struct tm when;

	if (localtime_r(&at, &when) == NULL || strftime(buffer, TELL_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &when) == 0)
		buffer[0] = '\0';
}
