/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests/attacks/victim.c and who attacks it agree on. */
#pragma once

#include <sys/types.h>

#define ACCOMPLICE  "/home/alice/nsbox-accomplice" /* sends "/" and its mount namespace to whoever connects */
#define VICTIM_PORT 4022			   /* that of the host listens here on its loopback */

/* System V's name for a victim. */
static inline key_t victim_key(const char *name)
{
	key_t key = 0x6e73;

	for (; *name != '\0'; name++)
		key = key * 31 + *name;
	return key & 0x7fffffff;
}
