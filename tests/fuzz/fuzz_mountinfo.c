/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of mountinfo lines: what is taken are parts of the line in their order, and a name does not grow. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void decode(const char *text)
{
	char *plain = mountinfo_decode(text);

	must(plain != NULL && strlen(plain) <= strlen(text));
	must(strchr(text, '\\') != NULL || strcmp(plain, text) == 0);
	free(plain);
}

static void check(const mount_row *row, const char *end)
{
	const char *const parts[] = { row->root, row->point, row->options, row->type, row->source, row->super_options };
	size_t n = sizeof(parts) / sizeof(parts[0]);

	for (size_t i = 0; i < n; i++) {
		must(parts[i] >= row->line && parts[i] + strlen(parts[i]) <= end);
		must(i == 0 || parts[i] > parts[i - 1]);
		must(i == n - 1 || strchr(parts[i], ' ') == NULL);
		decode(parts[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	mount_row row;
	int r;

	must(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	size = strlen(line);
	r = mountinfo_parse(line, &row);
	must(r == 0 || r == -EBADMSG);
	if (r == 0)
		check(&row, line + size);
	free(line);
	return 0;
}
