/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_LOCK_DOWN_H
#define NSB_HELPER_LOCK_DOWN_H

#include "common/error.h"

/*
 * Stage 1: takes away whatever a hostile caller of su or sudo may have handed down. Afterwards: uid and gid 0 in all
 * sets, no supplementary groups, a session of its own, "/" as directory, no descriptor but `keep` (and 0 to 2 on
 * /dev/null), default signal actions (SIGPIPE and SIGXFSZ ignored) and none blocked, resource limits raised or, without
 * CAP_SYS_RESOURCE, at least above a floor, ordinary priority, umask 077, no environment, not dumpable.
 * Each id is compared with what was wanted. Errors: -EPERM, -EMFILE (a limit below its floor).
 * Sources: credentials(7), getrlimit(2), prctl(2), OpenSSH's permanently_set_uid as a model of checking.
 */
int lock_down(int keep, nsb_error *error);

#endif
