/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of account files, passwd(5), group(5), shadow(5), subuid(5) and nsswitch.conf(5). Pure. */
#ifndef NSB_ACCOUNT_TEXT_H
#define NSB_ACCOUNT_TEXT_H

#include "common/error.h"
#include "common/session.h"

/*
 * /etc/passwd and /etc/group of a box in which there is nobody but the user: root, the user, nobody; root, tty, the user's
 * groups by their numbers, nogroup. A supplementary group without a name, or with one that these files cannot hold, has its
 * number for a name: without a line the user would not be in it any more, initgroups(3). The order of the name service makes
 * no difference, so that logins of one user have the same plan.
 * 0 and both texts (the caller frees); -EINVAL with a sentence for a user or a home that cannot be written there; -ENOMEM.
 */
int nsb_account_texts(const nsb_session *session, char **ret_passwd, char **ret_group, nsb_error *error);

/* Of `text`, a file with a line "NAME:..." for each account, the lines that `wanted` tells, one a line: NAME: all of that
 * name; NAME:REST: this very line. Nothing is there for a name that an earlier line of `wanted` has found. NULL without
 * memory; the caller frees. */
char *nsb_account_lines(const char *text, const char *wanted);

/* `text`, an nsswitch.conf, in which the databases (names with a blank between) ask files only. NULL without memory; the
 * caller frees. */
char *nsb_account_switch(const char *text, const char *databases);

#endif
