/* SPDX-License-Identifier: BSD-3-Clause */
/* Who the user is, looked up once in a login: kept by libpam from the account phase to the session. */
#ifndef NSB_KNOWN_ACCOUNT_H
#define NSB_KNOWN_ACCOUNT_H

#include <security/pam_modules.h>

#include "common/protocol.h"

/*
 * Adds the account of request->user to the request, where it is known, or the name service may be asked in this process: in the account
 * phase of services that root alone starts (NSB_SERVICE_DAEMON). Not in su and the like, nor in what we do not know, nor after
 * pam_limits: under limits that a caller or a user has, the name service may fail in part, and forget a group that has a profile. Without
 * it the helper asks, and says what is wrong. What is added is libpam's, and stays until the next call.
 */
void known_account_add(pam_handle_t *pamh, nsb_request *request);

/* Keeps what the helper has looked up, unless the request had it. Takes answer->account over. */
void known_account_keep(pam_handle_t *pamh, const nsb_request *request, nsb_answer *answer);

#endif
