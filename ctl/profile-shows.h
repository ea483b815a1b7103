/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_PROFILE_SHOWS_H
#define NSB_CTL_PROFILE_SHOWS_H

#include <stdbool.h>

#include "common/settings.h"

/* Whether a box of the profile has this path of the host somewhere in sight, as far as its lines tell. `ret_origin` (may
 * be NULL): the line that binds it; file NULL if it is the root that shows it. Pure. */
bool profile_shows(const nsb_settings *settings, const char *path, nsb_origin *ret_origin);

#endif
