/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_APPARMOR_H
#define NSB_APPARMOR_H

#include "common/error.h"

/*
 * For whoever works in the tree of a box: changes from the AppArmor profile nsbox-helper to nsbox-builder (conf/apparmor).
 * Needs the host's /proc. 0, also where another profile or none confines this process; else negative errno with a sentence.
 */
int apparmor_become_builder(nsb_error *error);

#endif
