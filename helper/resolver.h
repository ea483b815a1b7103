/* SPDX-License-Identifier: BSD-3-Clause */
/* resolv.conf(5) of a box with a network, or with name servers, of its own (key dns). */
#ifndef NSB_HELPER_RESOLVER_H
#define NSB_HELPER_RESOLVER_H

#include <stddef.h>

/* The text that a step NSB_OP_RESOLVER writes: `servers` is its data, `host` the root of the host's tree. A host without a
 * resolv.conf, or with one that cannot be read, has no servers. 0 (the caller frees *ret), -ENOMEM. */
int resolver_text(int host, const char *servers, char **ret, size_t *ret_servers);

#endif
