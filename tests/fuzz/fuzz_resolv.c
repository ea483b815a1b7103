/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of resolv.conf texts: the first line is the key dns, the rest the host's file. What comes out names as many
 * servers as it says, none of which is local where they are the host's, and stays the same when it is made again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/resolv-text.h"
#include "common/string-util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check(const char *made, const char *servers, size_t n)
{
	size_t found = 0;

	must(made[0] == '#' && strchr(made, '\n') != NULL && made[strlen(made) - 1] == '\n');
	for (const char *line = strchr(made, '\n') + 1; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *server = nsb_after_prefix(line, "nameserver ");

		found += server != NULL;
		must(server != NULL || nsb_after_prefix(line, "search") || nsb_after_prefix(line, "domain") ||
		     nsb_after_prefix(line, "options") || nsb_after_prefix(line, "sortlist"));
		if (server != NULL && strcmp(servers, NSB_DNS_HOST) == 0)
			must(nsb_after_prefix(server, "127.") == NULL && nsb_after_prefix(server, "::1\n") == NULL);
	}
	must(found == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *behind, *made, *again;
	size_t n = 0, n_again = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	behind = text + strcspn(text, "\n");
	if (*behind == '\n')
		*behind++ = '\0';
	made = nsb_resolv_text(behind, text, &n);
	must(made != NULL);
	check(made, text, n);
	again = nsb_resolv_text(made, text, &n_again);
	must(again != NULL && n == n_again && strcmp(made, again) == 0);
	if (nsb_resolv_is_stub(behind) && strcmp(text, NSB_DNS_HOST) == 0)
		must(n == 0);
	free(again);
	free(made);
	free(text);
	return 0;
}
