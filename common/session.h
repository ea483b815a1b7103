/* SPDX-License-Identifier: BSD-3-Clause */
/* The facts about one login: gathered once, never changed afterwards. */
#ifndef NSB_SESSION_H
#define NSB_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NSB_ID_LENGTH 10 /* characters of a box id, without the NUL */

typedef struct nsb_group {
	gid_t gid;
	char *name; /* NULL where the number has no name */
} nsb_group;

typedef struct nsb_session {
	/* from the application (the module's request) */
	char *user;	  /* PAM_USER: for su and sudo the target */
	char *service;	  /* PAM_SERVICE */
	char *tty;	  /* PAM_TTY as the application gave it ("ssh", "cron", "/dev/pts/3", "tty1"); "" if unset */
	char *rhost;	  /* PAM_RHOST; "" if unset */
	char *krb5ccname; /* KRB5CCNAME of the PAM environment; "" if unset */
	pid_t app_pid;	  /* SO_PEERCRED of the request's socket, in the helper's PID namespace */
	/* from the name service, looked up once by the helper */
	uid_t uid;
	gid_t gid;
	char *gecos; /* the user's name in life and the like, passwd(5); NULL: not asked for */
	char *home;
	char *shell;
	nsb_group *groups; /* primary and supplementary ones */
	size_t n_groups;
	/* made by the helper */
	char login[NSB_ID_LENGTH + 1]; /* of this login, made by the module: [a-z0-9] */
	char id[NSB_ID_LENGTH + 1];    /* of the box: that of the login that makes it */
	char *host_name;	       /* the host's node name */
} nsb_session;

/* Frees the strings and the groups, and leaves nothing. */
void nsb_session_done(nsb_session *session);

#endif
