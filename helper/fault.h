/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults on demand, for tests only: built in by configure --enable-fault-injection, and by that alone.
 *
 * NSB_FAULT_FILE holds one line:
 *   fail N        step N of the plan (from 0) fails with EIO
 *   request N     request N (from 0) of nsbox-net to the kernel fails with EIO, before it is sent
 *   pause STAGE   whoever begins the stage writes "STAGE PID" to NSB_FAULT_FILE.reached and waits until it is killed or
 *                 the fault file is gone (at most 20 s)
 */
#ifndef NSB_HELPER_FAULT_H
#define NSB_HELPER_FAULT_H

#include <stddef.h>

#include "common/error.h"

#ifdef NSB_FAULT_INJECTION
#define NSB_FAULT_FILE "/run/nsbox-fault"
int fault_at_step(size_t number);
void fault_at_stage(nsb_stage stage);
int fault_at_request(void); /* counts by itself */
#else
static inline int fault_at_step(size_t number)
{
	(void)number;
	return 0;
}
static inline void fault_at_stage(nsb_stage stage)
{
	(void)stage;
}
static inline int fault_at_request(void)
{
	return 0;
}
#endif

#endif
