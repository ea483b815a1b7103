/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_IDENTITY_H
#define NSB_CTL_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/session.h"

/* Who runs what in the box: all of it found out on the host, before the box was entered. */
typedef struct identity {
	const nsb_session *user;
	const char *id;		  /* of the box */
	char *const *environment; /* "NAME=VALUE"; a name alone is one that is not to be set */
	size_t n_environment;
	char *const *command; /* ends with NULL; empty: the user's login shell */
	bool as_caller;	      /* environment and working directory are nsboxctl's */
} identity;

/*
 * Becomes the user for good and executes the command; for a child of nsboxctl in the box, as root. Nothing of the
 * caller's is left to it: groups, ids, keyring, environment (but with `as_caller`), umask; the working directory is then the
 * home or "/".
 * `parent`: pidfd of nsboxctl, whose end is a hangup for the command.
 * Does not come back: a failure is told on standard error, with the shell's exit statuses.
 * Sources: credentials(7), setresuid(2), session-keyring(7), OpenSSH's permanently_set_uid as a model of checking.
 */
void identity_exec(const identity *who, int parent) __attribute__((noreturn));

#endif
