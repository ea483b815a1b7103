/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_MODULE_FACTS_H
#define NSB_MODULE_FACTS_H

#include <security/pam_modules.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/protocol.h"

/* The words behind pam_nsbox.so in /etc/pam.d. */
typedef struct nsb_words {
	bool open, close; /* do only this half of the session */
	bool debug;
	const char *profile, *conf; /* "" if not given */
} nsb_words;

/* Parses them. Unknown words are an error (-EINVAL, sentence): a typo in "profile=" must not box by another profile. */
int facts_words(int argc, const char **argv, nsb_words *ret, nsb_error *error);

/* Gathers who logs in, from where, on which terminal. The strings of *ret belong to libpam or to `words`, except `id`,
 * a buffer of the caller's (NSB_ID_LENGTH + 1). -EINVAL without a user, -errno of getrandom(2); a sentence in `error`.
 */
int facts_gather(pam_handle_t *pamh, const nsb_words *words, nsb_verb verb, char *id, nsb_request *ret,
		 nsb_error *error);

/* Whether this process is in a box already: /run/host/container-manager, which only root can make, says "nsbox". */
bool facts_boxed(void);

/* Why this session is none of ours whatever the configuration says (systemd's user manager, graphical logins), or
 * NULL.*/
const char *facts_out_of_scope(const nsb_request *request);

/* 0 if this process has one thread; -EBUSY with a sentence if it has more: setns(2) would leave the others behind, in
 * the host's mount namespace with their root moved. */
int facts_single_thread(nsb_error *error);

#endif
