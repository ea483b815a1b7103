/* SPDX-License-Identifier: BSD-3-Clause */
/* The % specifiers of configuration values: %u user, %U uid, %g group, %G gid, %h home, %H host name, %s service,
 * %i box id, %% percent. */
#ifndef NSB_EXPAND_H
#define NSB_EXPAND_H

#include <stdbool.h>

#include "common/error.h"
#include "common/session.h"

/* The template with its specifiers replaced, in *ret (the caller frees).
 * A primary group without a name gives its number for %g.
 * `as_path`: a value that would change the shape of a path is refused: %u, %g, %s, %H holding "/" or being "", "." or
 * ".."; %h not absolute or with a ".." component.
 * -EINVAL with a sentence (unknown specifier, value unfit), -ENOMEM. */
int nsb_expand(const char *text, const nsb_session *session, bool as_path, char **ret, nsb_error *error);

/* Whether every specifier in the text is known: 0 or -EINVAL with a sentence. */
int nsb_expand_check(const char *text, nsb_error *error);

/* A valid host name made of any text: letters, digits and "-" stay (upper case made lower), every other run becomes one
 * "-", none at the ends, at most 63 characters (hostname(7)); "box" if nothing is left. `buffer`: 64 bytes. */
void nsb_make_hostname(const char *text, char buffer[64]);

#endif
