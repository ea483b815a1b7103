/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of nsbox-bus's limits: each line is one KEY=VALUE. What is taken must be printed so that it is taken
 * again and means the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/bus-values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

/* Changes `text`. */
static int parse_lines(char *text, bus_values *values)
{
	nsb_error error = { 0 };
	char *line;

	memset(values, 0, sizeof(*values));
	while ((line = strsep(&text, "\n")) != NULL) {
		if (text == NULL && *line == '\0')
			return 0;
		if (bus_values_parse(values, line, &error) < 0) {
			must(error.words[0] != '\0');
			return -1;
		}
	}
	return 0;
}

static char *print(const bus_values *values)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	must(to != NULL);
	bus_values_print(values, to);
	must(fclose(to) == 0);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bus_values first, second;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (parse_lines(text, &first) == 0) {
		char *printed = print(&first), *copy = strdup(printed), *again;

		must(parse_lines(copy, &second) == 0);
		must(memcmp(first.has, second.has, sizeof(first.has)) == 0);
		must(memcmp(first.cpus, second.cpus, sizeof(first.cpus)) == 0);
		must(first.n_devices == second.n_devices);
		again = print(&second);
		must(strcmp(printed, again) == 0);
		bus_values_done(&second);
		free(again);
		free(copy);
		free(printed);
	}
	bus_values_done(&first);
	free(text);
	return 0;
}
