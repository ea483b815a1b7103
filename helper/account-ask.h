/* SPDX-License-Identifier: BSD-3-Clause */
/* Who the user is: asked of nsbox-account, which may load what name services need. */
#ifndef NSB_ACCOUNT_ASK_H
#define NSB_ACCOUNT_ASK_H

#include "common/error.h"
#include "common/session.h"
#include "helper/run-program.h"

typedef struct account_question {
	run_started program;
	int answer; /* a file: what it prints */
} account_question;

/* Begins to ask. 0; negative errno with a sentence. */
int account_ask(const char *user, account_question *ret, nsb_error *error);

/* Waits for the answer until `deadline` (CLOCK_MONOTONIC ms), and fills in uid, gid, gecos, home, shell and groups; what was
 * filled in is the session's to free. Once for each account_ask(). 0; negative errno with a sentence: -ENOENT if there is no
 * such user, and for nothing else. */
int account_ask_done(account_question *question, int64_t deadline, nsb_session *session, nsb_error *error);

#endif
