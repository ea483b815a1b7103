/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports of the host that lead into a box. */
#ifndef NSB_HELPER_NET_PORTS_H
#define NSB_HELPER_NET_PORTS_H

#include "common/network.h"

/* Whether no service of the host has a port that is to be published: what comes for it would go to the box from then on,
 * the administrator's ssh too. Changes nothing. -EBUSY with a sentence. */
int net_ports_check(const nsb_network_record *record, nsb_error *error);

#endif
