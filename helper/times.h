/* SPDX-License-Identifier: BSD-3-Clause */
/* What each stage takes, for whoever asks by `debug` in the PAM line. */
#ifndef NSB_HELPER_TIMES_H
#define NSB_HELPER_TIMES_H

#include "common/error.h"

/* From now on the times are kept where the builder, a child, can write them as well. Before, they are known to this process
 * only; without it they cost two calls of the vDSO a stage. */
void times_share(void);

/* A stage begins, and with it ends the one before. */
void times_enter(nsb_stage stage);

/* Tells syslog, LOG_DEBUG: "nsbox LOGIN: times in us: lock_down 110, request 250, ...". The last stage is not over yet: it is
 * left out. */
void times_tell(const char *login);

#endif
