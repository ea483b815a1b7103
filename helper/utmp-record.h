/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's utmp and wtmp record of a boxed login, line "nsbox/SESSION", written as pututxline(3) and updwtmp(3) of the host's
 * C library do. Sources: utmp(5), getutent(3). */
#ifndef NSB_HELPER_UTMP_RECORD_H
#define NSB_HELPER_UTMP_RECORD_H

#include "common/registry.h"

#define UTMP_PATIENCE	    1000 /* ms for a lock on the files while a login waits, which has a deadline */
#define UTMP_PATIENCE_ALONE 3000 /* ms while nobody waits: many boxes that end together take turns */

/* Chooses member->ut_id, which no other record has; "" on a host without utmp file. To be written to the registry before
 * the record is: whoever cleans after a crash must find it. */
void utmp_record_choose(nsb_member *member);

/* Writes the record of a login: the user, the application's pid, the remote host. Nothing without member->ut_id.
 * -ETIMEDOUT if somebody holds the files locked: the record may be there or not, so it is to be closed all the same. */
int utmp_record_open(const nsb_member *member, const char *user);

/* Closes the record of member->ut_id, if there is one, within `patience` milliseconds. Errors as above. */
int utmp_record_close(const nsb_member *member, int patience);

#endif
