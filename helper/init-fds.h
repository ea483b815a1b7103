/* SPDX-License-Identifier: BSD-3-Clause */
/* What the resident programs are started with. */
#ifndef NSB_INIT_FDS_H
#define NSB_INIT_FDS_H

enum {
	NSB_INIT_FD_LIFE = 3,	/* read end of the life pipe: anything to read, or its end, ends the box */
	NSB_INIT_FD_STATUS = 4, /* takes one byte NSB_INIT_RUNNING */
};
#define NSB_INIT_RUNNING 'R'

/* nsbox-monitor ID JOINED_MS RUNTIME_MS LINGER_MS SOCKET APP LIFE INIT LISTENER [EVENT...] [PATH...] [MOUNTS] [RULES]
 * nsbox-helper end|unjoined ID LIFE INIT
 * JOINED_MS: until when (CLOCK_MONOTONIC) the application must have said JOINED. RUNTIME_MS 0: as long as it takes. LINGER_MS: how long the box outlives its last member, -1: for good. EVENT is a counter of a limit (cgroup file): WORD:FILE, which poll(2) watches,
 * or WORD:FILE:look, which must be looked at from time to time. PATH (absolute) is one of the host that may be replaced by
 * another file. MOUNTS is "mounts:FILE", /proc/PID/mountinfo of a box that hides accounts: it tells at once that something was
 * replaced. Each
 * of SOCKET to INIT is the number of an open descriptor: the application's socket and pidfd, the write end of the
 * life pipe, the pidfd of PID 1 (-1 for a session that is unboxed). LISTENER: the control socket, -1 where nobody joins.
 * The registry's lock is open as well, but has no
 * place in the list: a record lock is lost as soon as any descriptor of its file is closed, so nobody moves or closes
 * it.
 *
 * nsbox-monitor guard ID: descriptor NSB_INIT_FD_LIFE is the read end of the life pipe. */

/* What the cleaner writes to the life pipe when there is nothing left to clean: the guard may go. */
#define NSB_LIFE_CLEAN 'q'

#endif
