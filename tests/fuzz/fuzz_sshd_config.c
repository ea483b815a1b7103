/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of the lines of sshd_config(5): a keyword has no blank, both are parts of the line. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/sshd-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	const char *keyword = NULL, *value = NULL;

	must(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	size = strlen(line);
	if (sshd_config_split(line, &keyword, &value)) {
		must(keyword >= line && keyword + strlen(keyword) <= line + size && keyword[0] != '\0');
		must(keyword[0] != '#' && keyword[strcspn(keyword, " \t=")] == '\0');
		must(value > keyword && value + strlen(value) <= line + size);
		must(value[0] == '\0' || value[-1] == '"' || (value[0] != ' ' && value[0] != '\t'));
	}
	free(line);
	return 0;
}
