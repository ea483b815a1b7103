/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of the choice of a cgroup tree: /proc/self/mountinfo, a line "===", /proc/self/cgroup. What is chosen must
 * be absolute and the group below the mount. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "helper/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char divider[] = "===\n";
	static nsb_cgroup_tree tree;
	nsb_error error = { 0 };
	char *text = malloc(size + 1), *second;

	memcpy(text, data, size);
	text[size] = '\0';
	second = strstr(text, divider);
	if (second != NULL) {
		*second = '\0';
		second += strlen(divider);
	}
	if (nsb_cgroup_choose(text, second != NULL ? second : "", &tree, &error) == 0) {
		char back[PATH_MAX + 16];

		must(tree.version == 1 || tree.version == 2);
		must(strncmp(tree.own, tree.mount, strlen(tree.mount)) == 0);
		must(strstr(tree.own + strlen(tree.mount), "/..") == NULL);
		must(nsb_cgroup_way_back(&tree, back, sizeof(back)) == 0 && strncmp(back, tree.own, strlen(tree.own)) == 0);
	} else {
		must(error.words[0] != '\0');
	}
	free(text);
	return 0;
}
