/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's utmp and wtmp record of a boxed login, line "nsbox/ID". Sources: utmp(5), getutent(3). */
#ifndef NSB_HELPER_UTMP_RECORD_H
#define NSB_HELPER_UTMP_RECORD_H

#include "common/registry.h"

/* Chooses entry->ut_id, which no other record has; "" on a host without utmp file. To be written to the registry before
 * the record is: whoever cleans after a crash must find it. */
void utmp_record_choose(nsb_entry *entry, pid_t app);

/* Writes the record of a login: the user, the application's pid, the remote host. Nothing without entry->ut_id.
 * -ETIMEDOUT if somebody holds the files locked: the record may be there or not, so it is to be closed all the same. */
int utmp_record_open(const nsb_entry *entry, pid_t app);

/* Closes the record of entry->ut_id, if there is one. Errors as above. */
int utmp_record_close(const nsb_entry *entry, pid_t app);

#endif
