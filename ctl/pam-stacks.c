/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/pam-stacks.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/service-table.h"
#include "common/string-util.h"

#define CLOSE_LINE "as the first of its session lines write \"session required " PAM_NSBOX " close\""
#define OPEN_LINE  "as the last of its session lines write \"session required " PAM_NSBOX " open\""

/* Where our module stands in a stack, with what it includes. */
typedef struct lines {
	const pam_line *account, *session; /* the first of each */
	const pam_line *opens, *closes;
} lines;

static bool opens(const pam_line *line)
{
	return pam_line_has(line, "open") || !pam_line_has(line, "close");
}

static bool closes(const pam_line *line)
{
	return pam_line_has(line, "close") || !pam_line_has(line, "open");
}

static lines find_lines(const pam_stack *stack)
{
	lines found = { 0 };

	for (size_t i = stack->n; i-- > 0;) {
		const pam_line *line = &stack->lines[i];
		bool session = strcmp(line->type, "session") == 0;

		if (!pam_line_is(line, PAM_NSBOX))
			continue;
		if (strcmp(line->type, "account") == 0)
			found.account = line;
		if (session)
			found.session = line;
		if (session && opens(line))
			found.opens = line;
		if (session && closes(line))
			found.closes = line;
	}
	return found;
}

const pam_line *pam_stacks_opener(const pam_stack *stack)
{
	return find_lines(stack).opens;
}

size_t pam_stacks_judge(const char *service, const pam_stack *stack, pam_tell *tell, void *argument)
{
	bool caller = nsb_service_traits(service) & NSB_SERVICE_CALLER;
	bool early = strcmp(service, "sshd") == 0 || strcmp(service, "login") == 0;
	const lines found = find_lines(stack);
	const struct {
		bool holds;
		finding_severity severity;
		const pam_line *at;
		const char *sentence, *remedy;
	} rows[] = {
		{ found.session != NULL && found.account == NULL && early, FINDING_WARNING, NULL,
		  "the account line is missing: a user who cannot be boxed is turned away too late (ssh -N stays "
		  "connected)",
		  "behind its other account lines write \"account required " PAM_NSBOX "\"" },
		{ found.account != NULL && found.session == NULL, FINDING_PROBLEM, found.account,
		  "the session line is missing: nobody is boxed", CLOSE_LINE ", and " OPEN_LINE },
		{ found.account != NULL && caller, FINDING_WARNING, found.account,
		  "the account line asks about the caller here, not about the user whose session it will be",
		  "remove that line: the session line refuses by itself" },
		{ found.session != NULL && found.opens == NULL, FINDING_PROBLEM, found.session,
		  "no session line opens the box: the one with \"open\" is missing", OPEN_LINE },
		{ found.session != NULL && found.closes == NULL, FINDING_WARNING, found.session,
		  "no session line leaves the box: the one with \"close\" is missing", CLOSE_LINE },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].holds)
			continue;
		tell(argument, service, rows[i].at, rows[i].severity, rows[i].sentence, rows[i].remedy);
		n++;
	}
	return n;
}

static void warn(void *argument, const char *service, const pam_line *at, finding_severity severity,
		 const char *sentence, const char *remedy)
{
	const pam_stack *stack = argument;
	NSB_FREE char *file = strdup(stack->n_files > 0 ? stack->files[0] : service);

	(void)at;
	(void)severity;
	(void)remedy;
	if (file == NULL)
		return;
	nsb_make_printable(file);
	fprintf(stderr, "%s: warning: %s\n", file, sentence);
}

size_t pam_stacks_warn(void)
{
	__attribute__((cleanup(pam_services_done))) pam_services services = { 0 };
	bool any = false;
	size_t n = 0;

	(void)pam_services_list(&pam_standard_places, &services);
	for (size_t i = 0; i < services.n; i++) {
		__attribute__((cleanup(pam_stack_done))) pam_stack stack = { 0 };

		if (pam_stack_load(&pam_standard_places, services.names[i], &stack) < 0)
			continue;
		any |= find_lines(&stack).session != NULL;
		n += pam_stacks_judge(services.names[i], &stack, warn, &stack);
	}
	if (!any) {
		fprintf(stderr, "%s: warning: no service names " PAM_NSBOX " in session: nobody is boxed\n",
			pam_standard_places.directories[0]);
		n++;
	}
	return n;
}
