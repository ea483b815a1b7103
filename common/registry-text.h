/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of a registry entry and of a login in it: `key value` lines between a version line and `end`. */
#ifndef NSB_REGISTRY_TEXT_H
#define NSB_REGISTRY_TEXT_H

#include <stddef.h>

#include "common/registry.h"

#define NSB_ENTRY_TEXT_MAX 16384

/* The entry as text of its version in *ret (the caller frees). -EINVAL if a string holds a control character (whoever made the entry
 * must have refused it). */
int nsb_entry_format(const nsb_entry *entry, char **ret, size_t *ret_size);

/* The reverse. -EBADMSG for anything that nsb_entry_format() does not write; -EPROTO for a version that is not known. */
int nsb_entry_parse(const char *text, size_t size, nsb_entry *ret);

/* The same for a login. */
int nsb_member_format(const nsb_member *member, char **ret, size_t *ret_size);
int nsb_member_parse(const char *text, size_t size, nsb_member *ret);

#endif
