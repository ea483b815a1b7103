/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules for a box's packets: nftables. The tables are made once, with the first box; a box is elements in their sets. */
#ifndef NSB_HELPER_NET_RULES_H
#define NSB_HELPER_NET_RULES_H

#include "common/network.h"

/*
 * Adds the box, in one transaction; makes the table (inet nsbox, for bridges also bridge nsbox) if it is not there.
 * -EADDRINUSE: a port to be published is another box's; -ESTALE: a table of that name exists that is not as this program
 * makes it. Each with a sentence. A failure leaves nothing.
 */
int net_rules_up(const nsb_network_record *record, nsb_error *error);

/* Removes the box's elements, those that are there. The tables stay. */
int net_rules_down(const nsb_network_record *record, nsb_error *error);

/* Adds what is missing of the box, and the table, where somebody has removed them (nft flush ruleset). */
int net_rules_renew(const nsb_network_record *record, nsb_error *error);

#endif
