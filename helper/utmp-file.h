/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record of utmp and wtmp as the host's C library has it. By hand, because nsbox-helper may be linked against another one, to
 * which there is no utmp. NSB_UTMP_TIME is what configure has found there; tests/unit/test_utmp.c compares each member.
 * Source: utmp(5).
 */
#ifndef NSB_HELPER_UTMP_FILE_H
#define NSB_HELPER_UTMP_FILE_H

#include <stdint.h>

/* for tests: another directory */
#ifndef NSB_UTMP_FILE
#define NSB_UTMP_FILE "/var/run/utmp"
#define NSB_WTMP_FILE "/var/log/wtmp"
#endif

enum { UTMP_EMPTY = 0, UTMP_INIT = 5, UTMP_USER = 7, UTMP_DEAD = 8 };

/* Texts that fill their member have no NUL. */
typedef struct utmp_file_record {
	int16_t type;
	int32_t pid;
	char line[32];
	char id[4];
	char user[32];
	char host[256];
	int16_t termination, exit;
	NSB_UTMP_TIME session;
	NSB_UTMP_TIME seconds, microseconds;
	uint32_t address[4]; /* in network order; of IPv4 the first */
	char unused[20];
} utmp_file_record;

#endif
