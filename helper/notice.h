/* SPDX-License-Identifier: BSD-3-Clause */
/* What a session and the log hear while the box lives: a limit was hit, the time is up. */
#ifndef NSB_NOTICE_H
#define NSB_NOTICE_H

/* `nsbox-helper notice ID WHAT`, run by the monitor. WHAT: "max" (a fork failed), "oom_kill" (a process was killed for
 * its memory), "runtime" (runtime_max is over). Goes on in a child, so that whoever waits is not held up by a slow
 * syslogd or terminal; but the last words are waited for, for 2 s at most. Exit status. */
int notice_tell(const char *id, const char *what);

#endif
