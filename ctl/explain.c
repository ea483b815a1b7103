/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl explain: what would happen at a login, told by the same functions that do it: the choice of the profile, the
 * plan, and the helper's own checks (asked of the helper, as the account hook asks).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/fd-util.h"
#include "common/plan.h"
#include "common/profile.h"
#include "common/service-table.h"
#include "common/session.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/ids.h"
#include "ctl/name-servers.h"
#include "ctl/options.h"
#include "ctl/tell.h"

typedef struct question {
	const char *user, *service, *tty, *from, *profile, *conf;
} question;

/* What stock programs set PAM_TTY to. */
static const struct {
	const char *service, *tty;
} terminals[] = { { "sshd", "ssh" }, { "cron", "cron" } };

static const char *usual_terminal(const char *service)
{
	const char *own;

	for (size_t i = 0; i < sizeof(terminals) / sizeof(terminals[0]); i++)
		if (strcmp(terminals[i].service, service) == 0)
			return terminals[i].tty;
	/* su and sudo, and login as well, run on a terminal: on this one, if it is asked here */
	own = nsb_service_traits(service) & NSB_SERVICE_CALLER || strcmp(service, "login") == 0 ? ttyname(STDIN_FILENO)
												: NULL;
	return own != NULL ? own : "";
}

static void print_origin(nsb_origin at)
{
	if (at.file != NULL)
		printf(" (%s:%u)", at.file, at.line);
}

static void print_session(const nsb_session *s)
{
	printf("login of %s (uid %u, gid %u", s->user, s->uid, s->gid);
	for (size_t i = 0; i < s->n_groups; i++)
		printf("%s%s", i == 0 ? "; groups " : " ", s->groups[i].name != NULL ? s->groups[i].name : "?");
	printf(") by the service %s", s->service);
	if (s->tty[0] != '\0')
		printf(" on %s", s->tty);
	printf("%s%s\n", s->rhost[0] != '\0' ? " from " : "", s->rhost);
}

static void print_choice(const nsb_choice *choice)
{
	for (size_t i = 0; i < choice->n_verdicts; i++) {
		const nsb_verdict *verdict = &choice->verdicts[i];

		printf("%s %s", verdict->matches ? "profile" : "passed over", verdict->profile->name);
		print_origin(verdict->profile->at);
		printf(": %s\n", verdict->why);
	}
	if (choice->profile == NULL)
		printf("no profile matches: the login is left alone, without a box\n");
}

static void print_step(size_t number, const nsb_step *step)
{
	NSB_FREE char *text = nsb_plan_step_text(step);

	printf("%4zu  %s  # %s", number, text != NULL ? text : "?", step->why);
	print_origin(step->origin);
	putchar('\n');
}

static void print_plan(const nsb_plan *plan)
{
	NSB_FREE char *privileges = nsb_plan_privileges_text(plan);
	NSB_FREE char *network = nsb_plan_network_text(plan);

	printf("\nplan, in this order (" ASK_SAMPLE_ID " stands for the box's id):\n");
	for (size_t i = 0; i < plan->n_steps; i++)
		print_step(i, &plan->steps[i]);
	printf("\nwhat its processes may do:\n%s", privileges != NULL ? privileges : "?\n");
	if (network == NULL || network[0] != '\0')
		printf("\nthe network of its own:\n%s", network != NULL ? network : "?\n");
	printf("\nenvironment of the session:\n");
	for (size_t i = 0; i < plan->n_environment; i++) {
		const char *text = plan->environment[i];

		printf("  %s %s\n", strchr(text, '=') != NULL ? "set  " : "unset", text);
	}
	printf("\nwhat this box does not protect against:\n");
	for (size_t i = 0; i < plan->n_unprotected; i++)
		printf("  - %s\n", plan->unprotected[i]);
}

static void print_left_out(void *argument, const char *sentence)
{
	(void)argument;
	printf("\n%s\n", sentence);
}

static int print_refusal(const char *how, const nsb_error *error)
{
	nsb_error printable = *error;

	nsb_make_printable(printable.words);
	printf("a login now would be %s: %s (stage %s, %s)\n", how, printable.words,
	       nsb_stage_name((int)printable.stage), nsb_errno_name(printable.err));
	return COMMAND_PROBLEM;
}

/* What the helper says now. */
static int print_answer(const question *q, const nsb_session *session, const char *conf)
{
	__attribute__((cleanup(nsb_answer_done))) nsb_answer answer = NSB_ANSWER_NONE;
	NSB_CLOSE int socket = -1;
	nsb_error error = { 0 };

	putchar('\n');
	if (ask_helper(NSB_VERB_CHECK, session, q->profile, conf, &answer, &socket, &error) < 0)
		return print_refusal("refused", &error);
	if (answer.result == NSB_RESULT_OK) {
		printf("a login now would be boxed\n");
		return COMMAND_OK;
	}
	return print_refusal(answer.result == NSB_RESULT_UNBOXED ? "let in WITHOUT a box (on_error=allow)" : "refused",
			     &answer.error);
}

static int explain_box(const nsb_config *config, const nsb_choice *choice, const question *q,
		       const nsb_session *session, const char *conf)
{
	__attribute__((cleanup(nsb_settings_done))) nsb_settings settings = { 0 };
	__attribute__((cleanup(nsb_plan_done))) nsb_plan plan = { 0 };
	nsb_error error = { 0 };
	int r = nsb_config_settings(config, choice->profile, &settings, &error);

	if (r == 0)
		r = nsb_plan_make(session, &settings, &plan, &error);
	if (r < 0) {
		error.stage = NSB_STAGE_PLAN;
		return print_refusal("refused", &error);
	}
	print_plan(&plan);
	ids_left_out(&plan, print_left_out, NULL);
	name_servers_lacking(&plan, print_left_out, NULL);
	return print_answer(q, session, conf);
}

/* What pam_nsbox.so decides before it asks. */
static bool out_of_scope(const nsb_session *session)
{
	if (session->tty[0] != ':' && !(nsb_service_traits(session->service) & NSB_SERVICE_NEVER))
		return false;
	printf("graphical sessions and user service managers are never boxed, whatever the configuration says\n");
	return true;
}

static int explain(const nsb_config *config, const question *q, const nsb_session *session, const char *conf)
{
	__attribute__((cleanup(nsb_choice_done))) nsb_choice choice = { 0 };
	nsb_error error = { 0 };

	if (nsb_profile_choose(config, session, q->profile, &choice, &error) < 0)
		return tell_error(&error);
	print_session(session);
	if (out_of_scope(session))
		return COMMAND_PROBLEM;
	print_choice(&choice);
	if (choice.profile == NULL)
		return COMMAND_PROBLEM;
	return explain_box(config, &choice, q, session, conf);
}

static int answer_question(const question *q)
{
	__attribute__((cleanup(nsb_session_done))) nsb_session session = { 0 };
	__attribute__((cleanup(nsb_problems_done))) nsb_problems problems = { 0 };
	NSB_FREE char *conf = q->conf != NULL ? ask_absolute(q->conf) : NULL;
	const char *tty = q->tty != NULL ? q->tty : usual_terminal(q->service);
	nsb_config *config = NULL;
	nsb_error error = { 0 };
	int status;

	if (ask_outside(&error) < 0 ||
	    ask_session(q->user, q->service, tty, q->from != NULL ? q->from : "", &session, &error) < 0)
		return tell_error(&error);
	if (nsb_config_load(conf, &config, &problems, &error) < 0) {
		status = tell_problems(&problems, &error);
		fprintf(stderr, "nsboxctl: with this configuration only root can log in, without a box\n");
		return status;
	}
	status = explain(config, q, &session, conf);
	nsb_config_free(config);
	return status;
}

int command_explain(const command *self, int argc, char **argv)
{
	question q = { 0 };
	const option_row rows[] = { { "user", &q.user, NULL, NULL },	     { "service", &q.service, NULL, NULL },
				    { "tty", &q.tty, NULL, NULL },	     { "from", &q.from, NULL, NULL },
				    { "profile", &q.profile, NULL, NULL }, { "conf", &q.conf, NULL, NULL } };
	int first;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 0, &first) != 0)
		return first;
	if (q.user == NULL || q.service == NULL)
		return options_usage(self, "--user and --service are needed");
	return answer_question(&q);
}
