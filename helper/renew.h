/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bind of one file or directory goes on showing what was there when it was made. Boxes live for weeks, and meanwhile
 * syslogd, nscd and resolvconf put something new in its place on the host. The monitor looks from time to time, and has
 * it bound again.
 */
#ifndef NSB_HELPER_RENEW_H
#define NSB_HELPER_RENEW_H

#include <stddef.h>

#include "helper/box.h"

/* `nsbox-helper renew ID`: binds again what differs, of the steps of the default view with NSB_STEP_RENEW. What the host
 * does not have (any more) stays as it is. Exit status. */
int renew_box(const char *id);

/* The last arguments of nsbox-monitor (init-fds.h), at most `max`: what it looks at. How many. Nothing is ever freed, for an
 * exec follows. */
size_t renew_arguments(const nsb_box *box, char **arguments, size_t max);

#endif
