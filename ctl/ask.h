/* SPDX-License-Identifier: BSD-3-Clause */
/* The facts about a login that nobody makes, and the helper's opinion of it. */
#ifndef NSB_CTL_ASK_H
#define NSB_CTL_ASK_H

#include <stdbool.h>

#include "common/protocol.h"
#include "common/session.h"

/* Stands for the id of a box that is not made. */
#define ASK_SAMPLE_ID "xxxxxxxxxx"

/* Fills *ret as the helper would: what the name service knows of the user, the host's name; the id is ASK_SAMPLE_ID.
 * The caller frees by nsb_session_done(), also after an error. -ENOENT: no such user. */
int ask_session(const char *user, const char *service, const char *tty, const char *rhost, nsb_session *ret,
		nsb_error *error);

/* Asks nsbox-helper about the session as pam_nsbox.so does; `profile` and `conf` may be NULL. As launch_helper(). */
int ask_helper(nsb_verb verb, const nsb_session *session, const char *profile, const char *conf, nsb_answer *ret_answer,
	       int *ret_socket, nsb_error *error);

/* The file's name from the root on, without memory NULL; the caller frees. */
char *ask_absolute(const char *file);

/* -EPERM with a sentence in a box: from there neither boxes nor the host can be seen. */
int ask_outside(nsb_error *error);

#endif
