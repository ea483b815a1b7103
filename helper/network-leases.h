/* SPDX-License-Identifier: BSD-3-Clause */
/* Which box has which address. `leases` is a descriptor of /run/nsbox/leases, -1 where there is none; `boxes` the registry. */
#ifndef NSB_HELPER_NETWORK_LEASES_H
#define NSB_HELPER_NETWORK_LEASES_H

#include <stdbool.h>

#include "common/network.h"

/* Whether a box has the address. */
bool lease_is_taken(int boxes, int leases, const char *address);

/* For a holder of the pool's lock: the address is the box's. A lease of a box that is gone makes way. 0, negative errno. */
int lease_take(int leases, const char *address, const char *id);

/* Removes the box's own leases: another may have the addresses by now. */
void leases_give_back(int leases, const nsb_network_record *record);

/* Removes those of boxes that have no record: a login was killed between the two. */
void leases_sweep(int boxes);

#endif
