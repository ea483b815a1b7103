/* SPDX-License-Identifier: BSD-3-Clause */
/* What registry.c and registry-members.c share. */
#ifndef NSB_REGISTRY_INTERNAL_H
#define NSB_REGISTRY_INTERNAL_H

#include <stddef.h>

/* Writes a file beside the old one and puts it in its place. 0 or negative errno. */
int nsb_registry_replace(int dir, const char *name, const char *text, size_t size);

/* Removes all logins of an entry, and their directory. -errno; that there is none is no error. */
int nsb_registry_remove_members(int dir);

#endif
