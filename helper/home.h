/* SPDX-License-Identifier: BSD-3-Clause */
/* The user's home, which may lie where root has no rights, and whose owner may want to lead us elsewhere. */
#ifndef NSB_HELPER_HOME_H
#define NSB_HELPER_HOME_H

#include "helper/box.h"

/* The step's src, a directory of the host, opened with the user's rights (O_PATH). -ENOENT: there is none, without a
 * sentence; others with one. */
int home_open_source(nsb_box *box, const nsb_step *step);

#endif
