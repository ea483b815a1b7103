/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses that rest: net-table.h's sets rest4 and rest6. */
#ifndef NSB_HELPER_NET_REST_H
#define NSB_HELPER_NET_REST_H

#include "common/address.h"

/* 1 if each of the addresses (family 0: none) rests for a minute from now at least; 0 if not; negative errno. One look at the place of
 * each in its set, however many rest. */
int net_rest_all(const nsb_address addresses[2]);

#endif
