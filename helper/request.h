/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_REQUEST_H
#define NSB_HELPER_REQUEST_H

#include "helper/box.h"

/* Stage 2: receives the request, checks every field, looks the user up once (host's name service), fills
 * box->request, session, app, deadline. Errors: -EPROTO, -EINVAL with a sentence, -ENOENT: no such user. */
int request_receive(nsb_box *box);

/* Fills the facts about a user that the name service knows (uid, gid, home, shell, groups) into a session whose `user`
 * is set. -ENOENT: no such user; others as the name service gives them. Sources: getpwnam_r(3), getgrouplist(3). */
int request_look_up(nsb_session *session, nsb_error *error);

void request_session_done(nsb_session *session);

#endif
