/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of the text of a registry entry. What is taken must be what nsb_entry_format() writes, byte by byte. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/registry-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	nsb_entry entry;
	char *text;
	size_t length;
	int r = nsb_entry_parse((const char *)data, size, &entry);

	must(r == 0 || r == -EBADMSG || r == -EPROTO);
	if (r < 0)
		return 0;
	must(nsb_id_valid(entry.id));
	must(entry.n_members <= NSB_ENTRY_MEMBERS_MAX && entry.n_cgroups <= NSB_ENTRY_CGROUPS_MAX &&
	     entry.n_limits <= NSB_ENTRY_LIMITS_MAX);
	must(nsb_entry_format(&entry, &text, &length) == 0);
	must(length == size && memcmp(text, data, size) == 0);
	free(text);
	return 0;
}
