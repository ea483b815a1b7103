/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl run: a box without a login. nsboxctl takes the place of the application: it asks the helper, joins, runs the
 * command as the user and leaves. Whatever happens to it, the monitor ends the box.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/registry.h"
#include "common/session.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/inside.h"
#include "ctl/options.h"
#include "ctl/tell.h"
#include "pam_nsbox/join.h"

#define SERVICE "nsboxctl"

typedef struct wishes {
	const char *user, *profile, *conf;
} wishes;

/* What became of nsboxctl's own membership. */
typedef struct stay {
	nsb_membership *membership; /* NULL after leaving */
	int signal;		    /* that ended it early; 0 */
} stay;

/* The monitor sees us leave and ends the box; the command dies of that, and is waited for. */
static void told(void *argument, pid_t child, int number)
{
	stay *here = argument;
	nsb_error error = { 0 };

	(void)child;
	if (here->membership == NULL)
		return;
	here->signal = number;
	if (join_leave(nsb_steal_pointer(&here->membership), &error) < 0)
		tell_error(&error);
}

/* The helper's answer if it is anything but a box. */
static int say_no(const nsb_answer *answer, const nsb_session *session)
{
	if (answer->result == NSB_RESULT_IGNORE) {
		fprintf(stderr,
			"nsboxctl: no profile is for %s and the service " SERVICE
			": name one with --profile (nsboxctl explain --user %s --service " SERVICE " says why)\n",
			session->user, session->user);
		return COMMAND_PROBLEM;
	}
	/* on_error=allow is for logins: nobody has to be let in here */
	return tell_error(&answer->error);
}

static int run_joined(const nsb_session *session, nsb_answer *answer, stay *here, char **argv)
{
	const identity who = { .user = session,
			       .id = session->login,
			       .environment = answer->environment,
			       .n_environment = answer->n_environment,
			       .command = argv };
	const inside what = { .who = &who, .told = told, .argument = here };
	nsb_error error = { 0 };
	int r = inside_run(&what, &error);

	if (here->membership != NULL && join_leave(nsb_steal_pointer(&here->membership), &error) < 0 && r >= 0)
		tell_error(&error);
	if (r < 0)
		return tell_error(&error);
	return here->signal != 0 ? COMMAND_SIGNALLED + here->signal : r;
}

static int run_session(const nsb_session *session, const wishes *wish, char **argv)
{
	__attribute__((cleanup(nsb_answer_done))) nsb_answer answer = NSB_ANSWER_NONE;
	NSB_FREE char *conf = wish->conf != NULL ? ask_absolute(wish->conf) : NULL;
	NSB_CLOSE int socket = -1;
	nsb_error error = { 0 };
	stay here = { 0 };

	if (ask_helper(NSB_VERB_OPEN, session, wish->profile, conf, &answer, &socket, &error) < 0)
		return tell_error(&error);
	if (answer.result != NSB_RESULT_OK)
		return say_no(&answer, session);
	if (join_box(&answer, socket, true, &here.membership, &error) < 0)
		return tell_error(&error);
	nsb_steal_fd(&socket); /* the membership's */
	return run_joined(session, &answer, &here, argv);
}

int command_run(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(nsb_session_done))) nsb_session session = { 0 };
	wishes wish = { 0 };
	const option_row rows[] = { { "user", &wish.user, NULL, NULL },
				    { "profile", &wish.profile, NULL, NULL },
				    { "conf", &wish.conf, NULL, NULL } };
	nsb_error error = { 0 };
	int first;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), -1, &first) != 0)
		return first;
	if (wish.user == NULL)
		return options_usage(self, "--user is missing");
	if (ask_outside(&error) < 0 || ask_session(wish.user, SERVICE, "", "", &session, &error) < 0 ||
	    nsb_id_make(session.login) < 0)
		return tell_error(&error);
	return run_session(&session, &wish, argv + first);
}
