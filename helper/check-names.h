/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_CHECK_NAMES_H
#define NSB_HELPER_CHECK_NAMES_H

#include "helper/box.h"

/* Refuses a plan that hides a name service which the box's /etc/nsswitch.conf names: the application looks users up
 * there once it is in the box, and the user would have no name. -EHOSTUNREACH with a sentence. Source:
 * nsswitch.conf(5).*/
int check_names(nsb_box *box);

#endif
