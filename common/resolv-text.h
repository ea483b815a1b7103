/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of resolv.conf(5) for a box that has another network than the host. Pure. */
#ifndef NSB_RESOLV_TEXT_H
#define NSB_RESOLV_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* What systemd-resolved writes beside its stub: the servers behind it. */
#define NSB_RESOLV_BEHIND_STUB "/run/systemd/resolve/resolv.conf"

/* Words of the key dns that are no addresses. */
#define NSB_DNS_HOST "host"
#define NSB_DNS_NONE "none"

/* Whether the host's text names systemd-resolved's stub (127.0.0.53, 127.0.0.54), and no server that is not local. Then the
 * servers are in NSB_RESOLV_BEHIND_STUB. */
bool nsb_resolv_is_stub(const char *text);

/*
 * The host's text as a box can use it. `servers`: NSB_DNS_HOST: the host's, without those that are local to the host and so
 * out of reach (127.0.0.0/8, ::1, an address with a zone); NSB_DNS_NONE: none; or addresses with a blank between them, which
 * take the place of the host's. Lines of search, domain, options and sortlist stay, but for NSB_DNS_NONE.
 * NULL without memory; the caller frees. *ret_servers: how many there are.
 */
char *nsb_resolv_text(const char *text, const char *servers, size_t *ret_servers);

#endif
