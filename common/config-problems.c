/* SPDX-License-Identifier: BSD-3-Clause */
/* What is wrong with the configuration: all of it, in sentences. */
#include "common/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/string-util.h"

void nsb_problems_add(nsb_problems *problems, nsb_origin at, const char *format, ...)
{
	char words[NSB_WORDS_MAX];
	char **lines, *line = NULL;
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	lines = problems->n < NSB_CONFIG_PROBLEMS_MAX ? nsb_grow(problems->lines, problems->n, sizeof(*lines)) : NULL;
	if (lines != NULL) {
		problems->lines = lines;
		if (at.file == NULL)
			line = strdup(words);
		else if (at.line == 0)
			line = nsb_format("%s: %s", at.file, words);
		else
			line = nsb_format("%s:%u: %s", at.file, at.line, words);
	}
	if (line == NULL) {
		problems->dropped++;
		return;
	}
	nsb_make_printable(line);
	problems->lines[problems->n++] = line;
}

void nsb_problems_done(nsb_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++)
		free(problems->lines[i]);
	free(problems->lines);
	memset(problems, 0, sizeof(*problems));
}
