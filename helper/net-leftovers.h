/* SPDX-License-Identifier: BSD-3-Clause */
/* Elements of a box of which there is no record any more. */
#ifndef NSB_HELPER_NET_LEFTOVERS_H
#define NSB_HELPER_NET_LEFTOVERS_H

#include "common/network.h"

/* Removes every element that names an address or the link of this box, whoever made it. 0, or a negative errno. */
int net_leftovers_remove(const nsb_network_record *record);

#endif
