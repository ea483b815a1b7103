/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_REQUEST_H
#define NSB_HELPER_REQUEST_H

#include "helper/box.h"

/* Stage 2: receives the request, checks every field, begins to look the user up (host's name service) unless the account phase
 * of the same login has; fills box->request, session, app, deadline. Errors: -EPROTO, -EINVAL with a sentence. */
int request_receive(nsb_box *box);

/* The end of stage 2: what the account is, waited for. Once after each request_receive(), whatever fails between. -ENOENT: no
 * such user. */
int request_account(nsb_box *box);

#endif
