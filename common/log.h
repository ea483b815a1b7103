/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's syslog, as syslog(3), for programs whose C library has a poor one: musl writes the time as UTC, which some
 * syslogds take for the local time, and cuts lines at 1023 bytes. Only processes log that end by themselves: nsbox-helper
 * and what nsboxctl shares with it. The module uses pam_syslog(3); nothing else in common/ logs.
 */
#ifndef NSB_LOG_H
#define NSB_LOG_H

#include <syslog.h>

#define NSB_LOG_MAX 4000 /* bytes of one line: what every syslogd takes (rsyslog 8 kB, RFC 5424 at least 2 kB) */

/* One line of this program (its name, its pid) with the facility authpriv: `priority` is LOG_ERR, LOG_INFO and so on.
 * Without a time: the receiver's own is better, and RFC 3164 4.3 lets it take that. Keeps errno, and %m works. Waits for
 * a syslogd that does not read for 1 s, once in the process; a line that cannot be sent is lost. */
void nsb_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
