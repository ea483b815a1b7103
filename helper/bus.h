/* SPDX-License-Identifier: BSD-3-Clause */
/* Running nsbox-bus, the only program here that speaks D-Bus: it is a process of its own, because the bus library has
 * no business in every login. */
#ifndef NSB_BUS_H
#define NSB_BUS_H

#include "common/error.h"

#define NSB_BUS_NOT_FOUND 3 /* exit status of `leader`: the process leads no session */

/* Runs nsbox-bus with `arguments` (ended by NULL, the program's name first) and waits for at most 6 s. What it printed
 * is in *ret_output (may be NULL: nobody wants it), also after a failure; the caller frees. NULL if it was not run.
 * Returns its exit status 0 or NSB_BUS_NOT_FOUND; negative errno with a sentence (nsbox-bus's own, if it said one). */
int bus_run(char *const arguments[], char **ret_output, nsb_error *error);

#endif
