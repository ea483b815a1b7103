/* SPDX-License-Identifier: BSD-3-Clause */
/* A resolv.conf that was made for a box (NSB_OP_RESOLVER), when the host's has changed. */
#ifndef NSB_RENEW_RESOLVER_H
#define NSB_RENEW_RESOLVER_H

#include "helper/box.h"

/* The arguments of the monitor for what the step depends on, each the caller's; at most `max`. Returns how many. */
size_t renew_resolver_watched(const nsb_step *step, char **arguments, size_t max);

/* On the host: makes the text anew, if the box's plan has such a step. 0, -ENOMEM. */
int renew_resolver_find(const nsb_box *box, const char *plan);

/* In the box's tree: puts a new file in the place of the old one if it says something else. Binding it is then due, as for all
 * files whose source is in the box. 0, or negative errno with a sentence. */
int renew_resolver(nsb_box *box);

#endif
