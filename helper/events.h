/* SPDX-License-Identifier: BSD-3-Clause */
/* The counters of limits that the monitor watches. */
#ifndef NSB_EVENTS_H
#define NSB_EVENTS_H

#include "helper/box.h"

#define NSB_EVENTS_MAX 4
#define NSB_EVENT_SIZE 48

/* Opens the counters of the limits that are set, inheritable, and writes an argument of nsbox-monitor for each
 * (init-fds.h). How many; one that cannot be watched is left out: a limit holds without being told of. */
size_t events_open(const nsb_box *box, char arguments[NSB_EVENTS_MAX][NSB_EVENT_SIZE]);

#endif
