/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of the choice of cgroup trees: /proc/self/mountinfo, a line "===", /proc/self/cgroup, and perhaps another
 * line "===" and the controllers of the version 2 tree. What is chosen must be absolute and each group below its mount,
 * and every controller in one tree, or in none. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "helper/cgroup.h"

#define ALL ((1u << NSB_CONTROLLERS) - 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

/* Ends `text` before the next divider. What is behind it, "" if there is none. */
static char *cut(char *text)
{
	static const char divider[] = "===\n";
	char *at = strstr(text, divider);

	if (at == NULL)
		return text + strlen(text);
	*at = '\0';
	return at + strlen(divider);
}

static void check_tree(const nsb_cgroup_tree *tree)
{
	char back[PATH_MAX + 16];

	must(tree->version == 1 || tree->version == 2);
	must(strncmp(tree->own, tree->mount, strlen(tree->mount)) == 0);
	must(strstr(tree->own + strlen(tree->mount), "/..") == NULL);
	must(nsb_cgroup_way_back(tree, back, sizeof(back)) == 0 && strncmp(back, tree->own, strlen(tree->own)) == 0);
}

static void check_layout(const nsb_cgroup_layout *layout, unsigned asked)
{
	unsigned found = 0;

	must(layout->n_trees > 0 && layout->n_trees <= NSB_CGROUP_TREES_MAX);
	for (size_t i = 0; i < layout->n_trees; i++) {
		check_tree(&layout->trees[i]);
		must((found & layout->trees[i].controllers) == 0);
		found |= layout->trees[i].controllers;
		must(i == 0 || layout->trees[i].controllers != 0);
		must(layout->trees[i].version == 1 || layout->unified[0] == '\0');
	}
	must((found & ~asked) == 0);
	for (int i = 0; i < NSB_CONTROLLERS; i++) {
		int at = layout->tree_of[i];

		must(at >= -1 && at < (int)layout->n_trees && (at >= 0) == ((found >> i) & 1));
		must(at < 0 || (layout->trees[at].controllers & 1u << i));
	}
	must(layout->unified_own[0] == '\0' ||
	     strncmp(layout->unified_own, layout->unified, strlen(layout->unified)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned asked[][2] = { { 1u << NSB_CONTROLLER_PIDS, 0 }, { ALL, 0 }, { 0, ALL }, { 0, 0 },
					     { 1u << NSB_CONTROLLER_MEMORY, ALL } };
	static nsb_cgroup_layout layout;
	char *text = malloc(size + 1), *self, *unified;

	memcpy(text, data, size);
	text[size] = '\0';
	self = cut(text);
	unified = cut(self);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		nsb_error error = { 0 };

		if (nsb_cgroup_choose(text, self, unified, asked[i][0], asked[i][1], &layout, &error) == 0)
			check_layout(&layout, asked[i][0] | asked[i][1]);
		else
			must(error.words[0] != '\0');
	}
	free(text);
	return 0;
}
