/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The session hooks of a PAM service, in a new process each time, as sshd and cron do: what the module takes upon the application stays
 * there. Starting the process is not counted, nor what libpam does before the hook. With `account` that hook is called before, by the same
 * process, as sshd and login(1) do; su, sudo and cron do not.
 */
#include <fcntl.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/timer.h"

typedef struct login {
	const char *service, *user;
	int account;  /* the account hook, too */
	int until_fd; /* the session lasts until the end of this; -1: no longer than it takes */
	int ready_fd; /* told when the session is open, if it is to last */
} login;

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)data;
	for (int i = 0; i < n; i++)
		fprintf(stderr, "%s\n", messages[i]->msg);
	*responses = calloc((size_t)n, sizeof(**responses));
	return *responses == NULL ? PAM_BUF_ERR : PAM_SUCCESS;
}

/* ---- a service or profile that boxes nobody would be the fastest of all ---- */

static const char *const places[] = { "/proc/self/ns/mnt", "/proc/self/ns/net" };

#define PLACES (sizeof(places) / sizeof(places[0]))

static void look(ino_t *namespaces)
{
	struct stat st;

	for (size_t i = 0; i < PLACES; i++)
		namespaces[i] = stat(places[i], &st) < 0 ? 0 : st.st_ino;
}

static int stayed(const ino_t *before)
{
	ino_t now[PLACES];

	look(now);
	return memcmp(before, now, sizeof(now)) == 0;
}

/* ---- one login ---- */

static int open_and_close(timer *t, const login *how, pam_handle_t *handle)
{
	ino_t before[PLACES];
	char byte;
	int r = PAM_SUCCESS;

	timer_start(t);
	if (how->account) {
		r = pam_acct_mgmt(handle, 0);
		timer_step(t, "account");
	}
	if (r != PAM_SUCCESS)
		return r;
	look(before);
	timer_again(t);
	r = pam_open_session(handle, 0);
	timer_step(t, "open");
	if (r != PAM_SUCCESS)
		return r;
	if (stayed(before)) {
		fprintf(stderr, "%s for %s: the session is in no namespace of its own\n", how->service, how->user);
		r = PAM_SESSION_ERR;
	}
	if (how->until_fd >= 0 && (write(how->ready_fd, "r", 1) != 1 || read(how->until_fd, &byte, 1) < 0))
		r = PAM_SYSTEM_ERR;
	timer_again(t);
	if (pam_close_session(handle, 0) != PAM_SUCCESS)
		r = PAM_SESSION_ERR;
	timer_step(t, "close");
	return r;
}

static int use(timer *t, const login *how)
{
	const struct pam_conv conversation = { converse, NULL };
	pam_handle_t *handle;
	int r = pam_start(how->service, how->user, &conversation, &handle);

	if (r != PAM_SUCCESS)
		return 1;
	r = open_and_close(t, how, handle);
	if (r != PAM_SUCCESS)
		fprintf(stderr, "%s for %s: %s\n", how->service, how->user, pam_strerror(handle, r));
	pam_end(handle, r);
	return r == PAM_SUCCESS ? 0 : 1;
}

/* SERVICE USER [account] */
static int read_arguments(login *how, char **arguments, const char *name)
{
	*how = (login){ .service = arguments[0], .until_fd = -1 };
	if (how->service != NULL) {
		how->user = arguments[1];
		how->account = how->user != NULL && arguments[2] != NULL;
	}
	if (how->user != NULL && (!how->account || strcmp(arguments[2], "account") == 0))
		return 0;
	fprintf(stderr, "usage: contestant %s SERVICE USER [account]\n", name);
	return 1;
}

int session_round(timer *t, char **arguments)
{
	timer *shared;
	int status;
	login how;
	pid_t child;

	if (read_arguments(&how, arguments, "session") != 0)
		return 1;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	child = fork();
	if (child == 0)
		_exit(use(shared, &how));
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		return 1;
	*t = *shared;
	return munmap(shared, sizeof(*shared)) < 0;
}

/* ---- sessions that last ---- */

/* What all of them wait for: the end of the file, when this process has closed its other end or has died. */
static int until[2] = { -1, -1 };

static int spawn(timer *t, login *how)
{
	int ready[2], r;
	pid_t child;
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		close(until[1]);
		close(ready[0]);
		how->until_fd = until[0];
		how->ready_fd = ready[1];
		_exit(use(t, how));
	}
	close(ready[1]);
	r = child > 0 && read(ready[0], &byte, 1) == 1 ? 0 : -1;
	close(ready[0]);
	return r;
}

int hold_round(timer *t, char **arguments)
{
	login how;

	if (read_arguments(&how, arguments, "hold") != 0)
		return 1;
	if (until[0] < 0 && pipe2(until, O_CLOEXEC) < 0)
		return 1;
	timer_start(t);
	if (spawn(t, &how) < 0)
		return 1;
	timer_step(t, "all");
	return 0;
}

void hold_end(void)
{
	int status;

	close(until[1]);
	while (wait(&status) > 0)
		if (status != 0)
			fprintf(stderr, "hold: a session ended with status %#x\n", (unsigned)status);
}
