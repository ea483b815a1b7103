/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of a registry entry: `key value` lines between a version line and `end`. */
#ifndef NSB_REGISTRY_TEXT_H
#define NSB_REGISTRY_TEXT_H

#include <stddef.h>

#include "common/registry.h"

#define NSB_ENTRY_TEXT_MAX 16384

/* The entry as text in *ret (the caller frees). -EINVAL if a string holds a control character (whoever made the entry
 * must have refused it). */
int nsb_entry_format(const nsb_entry *entry, char **ret, size_t *ret_size);

/* The reverse. -EBADMSG for anything that nsb_entry_format() does not write; -EPROTO for another version. */
int nsb_entry_parse(const char *text, size_t size, nsb_entry *ret);

#endif
