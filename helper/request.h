/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_REQUEST_H
#define NSB_HELPER_REQUEST_H

#include "helper/box.h"

/* Stage 2: receives the request, checks every field, looks the user up (host's name service) unless the
 * account phase of the same login has, fills box->request, session, app, deadline. Errors: -EPROTO, -EINVAL with a sentence, -ENOENT: no such user. */
int request_receive(nsb_box *box);

void request_session_done(nsb_session *session);

#endif
