/* SPDX-License-Identifier: BSD-3-Clause */
/* Running nsbox-bus, the only program here that speaks D-Bus: it is a process of its own, because the bus library has
 * no business in every login. */
#ifndef NSB_BUS_H
#define NSB_BUS_H

#include <stddef.h>

#include "common/error.h"

#define NSB_BUS_NOT_FOUND 3 /* exit status of `leader`: the process leads no session */

/* Runs nsbox-bus with `arguments` (ended by NULL, the program's name first) and waits for at most 6 s. What it prints
 * is in `output`, NUL-terminated. Returns its exit status 0 or NSB_BUS_NOT_FOUND; negative errno with a sentence
 * (nsbox-bus's own, if it said one). */
int bus_run(char *const arguments[], char *output, size_t size, nsb_error *error);

#endif
