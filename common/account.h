/* SPDX-License-Identifier: BSD-3-Clause */
/* Who the user is, as the name service says, in a form that travels. */
#ifndef NSB_ACCOUNT_H
#define NSB_ACCOUNT_H

#include <stddef.h>

#include "common/error.h"
#include "common/session.h"

/* What was looked up, as a list of strings of any length: nsbox-account prints it. To be freed by nsb_list_free(); NULL and
 * *ret_n 0 for want of memory. */
char **account_list(const nsb_session *session, size_t *ret_n);

/*
 * The same for a message: the application keeps it from its account phase to its session, so that a login asks the name
 * service once. To the module it means nothing.
 *
 * To be freed by nsb_list_free(); account_unpack() gives the same session back. NULL and *ret_n 0 if it is too long for a message, as of a
 * user with very many groups, and for want of memory: then it is looked up again.
 */
char **account_pack(const nsb_session *session, size_t *ret_n);
/* The first string is the user's name, and is for the caller to look at. 0, or -EINVAL for a list that account_list() does
 * not make, or -ENOMEM; what was filled in is the session's to free. */
int account_unpack(nsb_session *session, char *const *list, size_t n);

#endif
