/* SPDX-License-Identifier: BSD-3-Clause */
/* The network of a box's own (veth, bridge) as the helper sees it: leases, and runs of nsbox-net. */
#ifndef NSB_HELPER_NETWORK_H
#define NSB_HELPER_NETWORK_H

#include "helper/box.h"

/* Stage 5, no side effects: nsbox-net is there; an address is free, perhaps after a wait for a box that ends. For the account
 * hook, after which nobody asks again, also whether links and rules could be made. 0 or negative errno with a sentence. */
int network_check(nsb_box *box);

/* The addresses and names of the box, in box->network. *ret_lock keeps others from choosing until it is closed; that is when
 * the record is written. Nothing where the plan has no such network. */
int network_choose(nsb_box *box, int *ret_lock);

/* Removes what there is of the box's network, then its record. 0 also if it has none. A failure leaves the record. */
int network_remove(int boxes, const char *id, nsb_error *error);

/* `nsbox-helper renew`: puts rules that somebody has removed in again. 0 also without a network. */
int network_renew(int boxes, const char *id, nsb_error *error);

#endif
