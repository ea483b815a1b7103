/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's utmp and wtmp record of a boxed login, line "nsbox/ID". Sources: utmp(5), getutent(3). */
#ifndef NSB_HELPER_UTMP_RECORD_H
#define NSB_HELPER_UTMP_RECORD_H

#include "common/registry.h"

/* Writes the record of a login: the user, the application's pid, the remote host. Fills entry->ut_id, which is taken by
 * no other record. A host without utmp file: 0, and ut_id stays "". */
int utmp_record_open(nsb_entry *entry, pid_t app);

/* Closes the record of entry->ut_id, if there is one. */
void utmp_record_close(const nsb_entry *entry, pid_t app);

#endif
