/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/usage.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"

/* One row a file: where a number stands. `word`: the first of its line; NULL: the file is the number. The first that is
 * found counts, so the better source stands first. */
static const struct {
	size_t offset;
	const char *file, *word;
	unsigned divide; /* into the unit of nsb_usage */
} sources[] = {
	{ offsetof(nsb_usage, cpu), "cpu.stat", "usage_usec", 1 },
	{ offsetof(nsb_usage, cpu), "cpuacct.usage", NULL, 1000 },
	{ offsetof(nsb_usage, memory), "memory.current", NULL, 1 },
	{ offsetof(nsb_usage, memory), "memory.usage_in_bytes", NULL, 1 },
	{ offsetof(nsb_usage, memory_peak), "memory.peak", NULL, 1 },
	{ offsetof(nsb_usage, memory_peak), "memory.max_usage_in_bytes", NULL, 1 },
	{ offsetof(nsb_usage, processes), "pids.current", NULL, 1 },
	{ offsetof(nsb_usage, processes_peak), "pids.peak", NULL, 1 },
	{ offsetof(nsb_usage, process_hits), "pids.events", "max", 1 },
	{ offsetof(nsb_usage, memory_kills), "memory.events", "oom_kill", 1 },
	{ offsetof(nsb_usage, memory_kills), "memory.oom_control", "oom_kill", 1 },
};
#define N_SOURCES (sizeof(sources) / sizeof(sources[0]))

/* The number in a text: behind the word at the beginning of a line, or the text itself. */
static uint64_t find_number(const char *text, const char *word)
{
	size_t length = word != NULL ? strlen(word) : 0;

	for (const char *line = text; word != NULL; line++) {
		if (strncmp(line, word, length) == 0 && line[length] == ' ') {
			text = line + length + 1;
			break;
		}
		line = strchr(line, '\n');
		if (line == NULL)
			return NSB_USAGE_UNKNOWN;
	}
	return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : NSB_USAGE_UNKNOWN;
}

static void read_group(const char *directory, nsb_usage *usage)
{
	NSB_CLOSE int group = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; group >= 0 && i < N_SOURCES; i++) {
		uint64_t *place = (uint64_t *)((char *)usage + sources[i].offset);
		char text[4096];

		if (*place != NSB_USAGE_UNKNOWN || nsb_read_text_at(group, sources[i].file, text, sizeof(text)) < 0)
			continue;
		*place = find_number(text, sources[i].word);
		if (*place != NSB_USAGE_UNKNOWN)
			*place /= sources[i].divide;
	}
}

uint64_t usage_count(const char *directory, const char *file, const char *word)
{
	NSB_CLOSE int group = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[4096];

	if (group < 0 || nsb_read_text_at(group, file, text, sizeof(text)) < 0)
		return NSB_USAGE_UNKNOWN;
	return find_number(text, word);
}

void usage_read(const nsb_entry *entry, nsb_usage *ret)
{
	memset(ret, 0xff, sizeof(*ret));
	if (entry->scope[0] != '\0')
		read_group(entry->scope, ret);
	for (size_t i = 0; i < entry->n_cgroups; i++)
		read_group(entry->cgroups[i], ret);
}

const char *usage_limit(const nsb_entry *entry, const char *key)
{
	for (size_t i = 0; i < entry->n_limits; i++) {
		const char *value = nsb_after_prefix(entry->limits[i], key);

		if (value != NULL && *value == ' ')
			return value + 1;
	}
	return NULL;
}
