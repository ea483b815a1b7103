/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words of the keys users, services and from: what is allowed, and what matches.
 *
 * users     NAME or glob     the user's name, fnmatch(3); a backslash is an ordinary character (DOM\user)
 *           N, N-M           the uid. Digits alone are never a name: a user called "1000" is not matched by 1000 unless
 *                            that is his uid. ("+1" and "1a" are names.)
 *           @NAME or glob    any group of the session, the primary one included
 *           @N, @N-M         any gid of the session
 * services  NAME or glob     the PAM service
 * from      ADDRESS, ADDRESS/PREFIX   the remote host's address; an IPv4-mapped IPv6 address counts as IPv4; a zone
 *                            ("%eth0") is ignored. Host names are never resolved.
 *           NAME or glob     the remote host as the application gave it, upper and lower case alike; "*" matches "" too
 *           local            no remote host
 * "!" in front excludes; only one, and before "@".
 */
#ifndef NSB_PATTERN_H
#define NSB_PATTERN_H

#include <stddef.h>

#include "common/error.h"
#include "common/session.h"

/* Whether the word (with its "!") is one that the list can hold: 0, or -EINVAL with a sentence. */
int nsb_pattern_check_user(const char *word, nsb_error *error);
int nsb_pattern_check_service(const char *word, nsb_error *error);
int nsb_pattern_check_from(const char *word, nsb_error *error);

/* Whether the word (without its "!") matches: 1 with what it matched in `what` ("group students"), 0, or -ENOMEM. */
int nsb_pattern_match_user(const char *word, const nsb_session *session, char *what, size_t size);
int nsb_pattern_match_service(const char *word, const nsb_session *session, char *what, size_t size);
int nsb_pattern_match_from(const char *word, const nsb_session *session, char *what, size_t size);

#endif
