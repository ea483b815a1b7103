/* SPDX-License-Identifier: BSD-3-Clause */
/* Running nsbox-bus, the only program here that speaks D-Bus: it is a process of its own, because the bus library has
 * no business in every login. */
#ifndef NSB_BUS_H
#define NSB_BUS_H

#include <stdint.h>

#include "common/error.h"

/* exit status: of `leader` without words: the process leads no session; with words: systemd has no such unit (any more)
 */
#define NSB_BUS_NOT_FOUND 3

/* Runs nsbox-bus with `arguments` (ended by NULL, the program's name first) and waits for it until `deadline`
 * (nsb_now() based; INT64_MAX: none of the caller's), but for at most 6 s; then it is killed. What it printed is in
 * *ret_output (may be NULL: nobody wants it), also after a failure; the caller frees. NULL if it was not run. Returns
 * its exit status 0 or NSB_BUS_NOT_FOUND; negative errno with a sentence (nsbox-bus's own, if it said one): -ETIMEDOUT,
 * -ESTALE: systemd has no such unit (any more). */
int bus_run(char *const arguments[], int64_t deadline, char **ret_output, nsb_error *error);

#endif
