/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes as the kernel's file systems and the limits take them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/config-keys.h"
#include "common/fd-util.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

char *plan_size_text(int64_t size)
{
	if (size >= 0)
		return nsb_format("%" PRId64, size);
	if (size % 100 == 0)
		return nsb_format("%" PRId64 "%%", -size / 100);
	return nsb_format("%" PRId64 ".%02" PRId64 "%%", -size / 100, -size % 100);
}

/* The value of the key of that name, which has a size. */
static char *value_of(const planner *p, const char *name, size_t length)
{
	for (size_t i = 0; i < nsb_n_keys; i++) {
		const nsb_key *key = &nsb_keys[i];

		if (key->type == NSB_KEY_SIZE && strlen(key->name) == length && strncmp(key->name, name, length) == 0)
			return plan_size_text(*(const int64_t *)((const char *)p->settings + key->offset));
	}
	return NULL;
}

int plan_fill_size(const planner *p, char **data)
{
	NSB_FREE char *size = NULL;
	char *filled, *at = *data != NULL ? strchr(*data, '@') : NULL;
	size_t length;

	if (at == NULL)
		return 0;
	length = strcspn(at + 1, ",");
	size = value_of(p, at + 1, length);
	filled = size != NULL ? nsb_format("%.*s%s%s", (int)(at - *data), *data, size, at + 1 + length) : NULL;
	if (filled == NULL)
		return -ENOMEM;
	free(*data);
	*data = filled;
	return 0;
}
