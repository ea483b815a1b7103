/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PAM entry points.
 *
 * open_session
 *   facts	who logs in; whether this is any of our business
 *   launch	nsbox-helper builds the whole box beside us; nothing about this process changes
 *   join	one setns(2) into the box; the monitor takes it over
 * close_session
 *   leave	back to the host's namespaces; the monitor ends the box
 * acct_mgmt	the same questions as open_session, asked early: sshd does not disconnect when open_session fails
 *
 * This is a guest in sshd, login, su, sudo, cron: it never exits, leaves no handler, no child, no open descriptor that
 * survives exec, and acts in the process that opened only.
 */
#include <errno.h>
#include <limits.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/registry.h"
#include "common/service-table.h"
#include "common/string-util.h"
#include "pam_nsbox/facts.h"
#include "pam_nsbox/join.h"
#include "pam_nsbox/known-account.h"
#include "pam_nsbox/launch.h"

#define DATA "pam_nsbox"

PAM_EXTERN int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv);
PAM_EXTERN int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv);
PAM_EXTERN int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv);

/* What the helper's answer means to libpam. SESSION_ERR is never used: sudo takes it as harmless and runs the command
 * unconfined. `told`: the user reads the refusal. */
static const struct {
	int account, session;
	bool told;
} codes[NSB_RESULT_MAX] = {
	[NSB_RESULT_OK] = { PAM_SUCCESS, PAM_SUCCESS, false },
	[NSB_RESULT_IGNORE] = { PAM_IGNORE, PAM_IGNORE, false },
	[NSB_RESULT_UNBOXED] = { PAM_SUCCESS, PAM_SUCCESS, false },
	[NSB_RESULT_FAILED] = { PAM_PERM_DENIED, PAM_SYSTEM_ERR, true },
	[NSB_RESULT_BAD_CONFIG] = { PAM_PERM_DENIED, PAM_SERVICE_ERR, true },
	[NSB_RESULT_UNKNOWN_USER] = { PAM_PERM_DENIED, PAM_SYSTEM_ERR, true },
};

/* What is said to the user, and why to the administrator, with one reference in both. */
static void tell_refusal(pam_handle_t *pamh, int flags, const nsb_request *request, const nsb_error *error)
{
	char user[LOGIN_NAME_MAX];

	/* whatever the stranger typed: whole lines and terminal sequences are not for the log */
	snprintf(user, sizeof(user), "%s", request->user);
	nsb_make_printable(user);
	pam_syslog(pamh, LOG_ERR, "nsbox %s: login of %s refused: %s (stage %s, %s)", request->id, user,
		   error->words[0] != '\0' ? error->words : strerror(error->err), nsb_stage_name((int)error->stage),
		   nsb_errno_name(error->err));
	/* cron has no conversation: a message that cannot be shown is no error */
	if ((flags & PAM_SILENT) == 0)
		pam_error(pamh, "Login refused: your session could not be isolated (nsbox %s). Ask the administrator.",
			  request->id);
}

/* The code for an answer that is not OK. */
static int settle(pam_handle_t *pamh, int flags, const nsb_request *request, const nsb_answer *answer)
{
	bool account = request->verb == NSB_VERB_CHECK;

	/* A typo in nsbox.conf must not lock out every administrator. That the configuration is wrong is the helper's
	 * own finding, not a failure that a caller of su could bring about. */
	if (answer->result == NSB_RESULT_BAD_CONFIG && answer->uid == 0) {
		if (!account)
			pam_syslog(pamh, LOG_ALERT, "nsbox %s: %s is let in WITHOUT a box: %s", request->id,
				   request->user, answer->error.words);
		return PAM_SUCCESS;
	}
	if (answer->result == NSB_RESULT_UNBOXED && !account)
		pam_syslog(pamh, LOG_ALERT, "nsbox %s: %s is let in WITHOUT a box (profile %s, on_error=allow): %s",
			   request->id, request->user, answer->profile, answer->error.words);
	if (codes[answer->result].told)
		tell_refusal(pamh, flags, request, &answer->error);
	return account ? codes[answer->result].account : codes[answer->result].session;
}

/* Words, facts and the reasons to stay away. PAM_SUCCESS: go on. */
static int begin(pam_handle_t *pamh, int flags, int argc, const char **argv, nsb_verb verb, nsb_words *words, char *id,
		 nsb_request *request)
{
	nsb_error error = { .stage = NSB_STAGE_LAUNCH };
	const char *reason;

	*words = (nsb_words){ .profile = "", .conf = "" };
	*request = (nsb_request){ .id = (char *)"-", .user = (char *)"?" };
	if (facts_words(argc, argv, words, &error) < 0) {
		pam_syslog(pamh, LOG_ERR, "%s", error.words);
		return PAM_SERVICE_ERR;
	}
	if (verb == NSB_VERB_OPEN && words->close && !words->open)
		return PAM_IGNORE; /* the other of two lines */
	if (facts_gather(pamh, words, verb, id, request, &error) < 0) {
		tell_refusal(pamh, flags, request, &error);
		return PAM_SYSTEM_ERR;
	}
	reason = facts_out_of_scope(request);
	if (reason != NULL) {
		pam_syslog(pamh, LOG_INFO, "%s: %s", request->service, reason);
		return PAM_IGNORE;
	}
	return PAM_SUCCESS;
}

static int ask(pam_handle_t *pamh, int flags, const nsb_request *request, nsb_answer *answer, int *socket)
{
	nsb_error error = { 0 };

	if (facts_single_thread(&error) == 0 && launch_helper(request, answer, socket, &error) == 0)
		return PAM_SUCCESS;
	tell_refusal(pamh, flags, request, &error);
	return request->verb == NSB_VERB_CHECK ? PAM_PERM_DENIED : PAM_SYSTEM_ERR;
}

/* What libpam keeps for us: emptied at close, so that neither a second close nor the end of the handle finds it. */
typedef struct nsb_slot {
	nsb_membership *membership;
} nsb_slot;

/* libpam calls this also in children that login and su fork, and with PAM_DATA_SILENT or without, so it only forgets.
 */
static void forget(pam_handle_t *pamh, void *data, int status)
{
	nsb_slot *slot = data;

	(void)pamh;
	(void)status;
	if (slot->membership != NULL)
		join_forget(slot->membership);
	free(slot);
}

static int set_environment(pam_handle_t *pamh, const nsb_request *request, const nsb_answer *answer)
{
	for (size_t i = 0; i < answer->n_environment; i++) {
		const char *text = answer->environment[i];

		if (strchr(text, '=') != NULL) {
			if (pam_putenv(pamh, text) != PAM_SUCCESS)
				return PAM_BUF_ERR;
			continue;
		}
		/* Unset in the PAM environment, where it may not be, and in the application's own: su and sudo hand
		 * down theirs, whose sockets lead out of the box. The one change of environ that this module makes. */
		if (pam_getenv(pamh, text) != NULL)
			pam_putenv(pamh, text);
		if (nsb_service_traits(request->service) & NSB_SERVICE_CALLER)
			unsetenv(text);
	}
	return PAM_SUCCESS;
}

/* An empty slot that libpam keeps, or NULL. */
static nsb_slot *new_slot(pam_handle_t *pamh)
{
	nsb_slot *slot = calloc(1, sizeof(*slot));

	if (slot != NULL && pam_set_data(pamh, DATA, slot, forget) != PAM_SUCCESS) {
		free(slot);
		return NULL;
	}
	return slot;
}

static int join(pam_handle_t *pamh, int flags, const nsb_request *request, nsb_answer *answer, int *socket)
{
	nsb_slot *slot = new_slot(pamh); /* what may fail for want of memory comes before the join */
	nsb_error error = { 0 };

	if (slot == NULL)
		return PAM_BUF_ERR;
	if (join_box(answer, *socket, nsb_service_traits(request->service) & NSB_SERVICE_CALLER, &slot->membership,
		     &error) < 0) {
		tell_refusal(pamh, flags, request, &error);
		return PAM_SYSTEM_ERR;
	}
	*socket = -1; /* the membership's now */
	if (set_environment(pamh, request, answer) != PAM_SUCCESS) {
		join_leave(nsb_steal_pointer(&slot->membership), &error);
		return PAM_BUF_ERR;
	}
	pam_syslog(pamh, LOG_INFO, "nsbox %s: session of %s (profile %s) opened", request->id, request->user,
		   answer->profile);
	return PAM_SUCCESS;
}

/* on_error=allow: the monitor watches the session so that nsboxctl lists it; if it does not, the session runs all the
 * same. */
static void watch_unboxed(pam_handle_t *pamh, const nsb_request *request, int *socket)
{
	nsb_slot *slot = new_slot(pamh);

	if (slot != NULL && join_nothing(*socket, &slot->membership) == 0)
		*socket = -1; /* the membership's now */
	else
		pam_syslog(pamh, LOG_WARNING, "nsbox %s: the unboxed session is not listed", request->id);
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	char id[NSB_ID_LENGTH + 1];
	nsb_answer answer = NSB_ANSWER_NONE;
	NSB_CLOSE int socket = -1;
	nsb_request request;
	nsb_words words;
	int r = begin(pamh, flags, argc, argv, NSB_VERB_OPEN, &words, id, &request);

	if (r != PAM_SUCCESS)
		return r;
	if (facts_boxed())
		return PAM_SUCCESS;
	known_account_add(pamh, &request);
	r = ask(pamh, flags, &request, &answer, &socket);
	if (r != PAM_SUCCESS)
		return r;
	if (words.debug)
		pam_syslog(pamh, LOG_DEBUG, "nsbox %s: result %u, profile \"%s\"", id, answer.result, answer.profile);
	if (answer.result == NSB_RESULT_OK) {
		r = join(pamh, flags, &request, &answer, &socket);
	} else {
		r = settle(pamh, flags, &request, &answer);
		if (answer.result == NSB_RESULT_UNBOXED)
			watch_unboxed(pamh, &request, &socket);
	}
	nsb_answer_done(&answer);
	return r;
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	nsb_error error = { 0 };
	const void *data = NULL;
	nsb_slot *slot;
	nsb_membership *membership;
	nsb_words words;

	(void)flags;
	if (facts_words(argc, argv, &words, &error) < 0) {
		pam_syslog(pamh, LOG_ERR, "%s", error.words);
		return PAM_SERVICE_ERR;
	}
	if (words.open && !words.close)
		return PAM_IGNORE; /* the other of two lines */
	if (pam_get_data(pamh, DATA, &data) != PAM_SUCCESS || data == NULL)
		return PAM_IGNORE; /* nothing was opened here */
	slot = (nsb_slot *)data;
	membership = slot->membership;
	if (membership == NULL)
		return PAM_IGNORE; /* closed before */
	if (membership->owner != getpid())
		return PAM_SUCCESS; /* a child that inherited the handle */
	slot->membership = NULL;
	if (join_leave(membership, &error) < 0) {
		pam_syslog(pamh, LOG_ALERT, "cannot leave the box: %s (%s)", error.words, nsb_errno_name(error.err));
		return error.err == EBADF ? PAM_SUCCESS : PAM_SYSTEM_ERR;
	}
	return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	char id[NSB_ID_LENGTH + 1];
	nsb_answer answer = NSB_ANSWER_NONE;
	NSB_CLOSE int socket = -1;
	nsb_request request;
	nsb_words words;
	int r = begin(pamh, flags, argc, argv, NSB_VERB_CHECK, &words, id, &request);

	if (r == PAM_SYSTEM_ERR || r == PAM_SERVICE_ERR)
		return PAM_PERM_DENIED;
	if (r != PAM_SUCCESS)
		return r;
	if (facts_boxed())
		return PAM_SUCCESS;
	known_account_add(pamh, &request);
	r = ask(pamh, flags, &request, &answer, &socket);
	if (r == PAM_SUCCESS) {
		r = settle(pamh, flags, &request, &answer);
		known_account_keep(pamh, &request, &answer);
		nsb_answer_done(&answer);
	}
	return r;
}
