/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/freezer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"

const char *freezer_home(const nsb_entry *entry)
{
	return entry->n_cgroups > 0 ? entry->cgroups[0] : entry->scope;
}

int freezer_event(int group, const char *word)
{
	char text[512];
	size_t length = strlen(word);

	if (nsb_read_text_at(group, "cgroup.events", text, sizeof(text)) < 0)
		return -1;
	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, word, length) == 0 && line[length] == ' ')
			return atoi(line + length);
	}
	return -1;
}

/* FREEZING counts: whoever froze it may have been killed half-way. */
static bool state_is_frozen(int directory, const char *file)
{
	char text[32];

	return nsb_read_text_at(directory, file, text, sizeof(text)) > 0 && strncmp(text, "THAWED", 6) != 0;
}

bool freezer_is_frozen(const nsb_entry *entry, const nsb_cgroup_tree *tree)
{
	NSB_CLOSE int home = open(freezer_home(entry), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_MAX + 64];
	int frozen = home < 0 ? -1 : freezer_event(home, "frozen");

	if (frozen >= 0)
		return frozen > 0;
	if (home >= 0 && state_is_frozen(home, "freezer.state"))
		return true;
	if (tree == NULL)
		return false;
	snprintf(path, sizeof(path), "%s/" NSB_FREEZER_BASE "/%s/freezer.state", tree->mount, entry->id);
	return state_is_frozen(AT_FDCWD, path);
}
