/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session hooks of a PAM service, in a new process each time, as sshd and cron do: what the module takes upon the application stays
 * there. Starting the process is not counted, nor what libpam does before the hook.
 */
#include <errno.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/timer.h"

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)data;
	for (int i = 0; i < n; i++)
		fprintf(stderr, "%s\n", messages[i]->msg);
	*responses = calloc((size_t)n, sizeof(**responses));
	return *responses == NULL ? PAM_BUF_ERR : PAM_SUCCESS;
}

static int use(timer *t, const char *service, const char *user)
{
	const struct pam_conv conversation = { converse, NULL };
	pam_handle_t *handle;
	int r = pam_start(service, user, &conversation, &handle);

	if (r != PAM_SUCCESS)
		return r;
	timer_start(t);
	r = pam_open_session(handle, 0);
	timer_step(t, "open");
	if (r == PAM_SUCCESS) {
		r = pam_close_session(handle, 0);
		timer_step(t, "close");
	}
	if (r != PAM_SUCCESS)
		fprintf(stderr, "%s for %s: %s\n", service, user, pam_strerror(handle, r));
	pam_end(handle, r);
	return r;
}

int session_round(timer *t, char **arguments)
{
	timer *shared;
	int status;
	pid_t child;

	if (arguments[0] == NULL || arguments[1] == NULL) {
		fprintf(stderr, "usage: contestant session SERVICE USER\n");
		return 1;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	child = fork();
	if (child == 0)
		_exit(use(shared, arguments[0], arguments[1]) == PAM_SUCCESS ? 0 : 1);
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		return 1;
	*t = *shared;
	return munmap(shared, sizeof(*shared)) < 0;
}
