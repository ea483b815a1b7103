/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PAM application that is linked with the sanitizers, because a module of a sanitizer build does not load into stock
 * programs.
 *
 *   asan-app SERVICE USER TTY VERB...
 *
 *   acct open close	pam_acct_mgmt, pam_open_session, pam_close_session
 *   run		a child that becomes the user says where it is: user, PID, PID 1's name, host name, NSBOX_ID
 *   child-end		a child calls pam_end, as login's and su's do
 *   child-close	a child calls pam_close_session
 *   drop-fds		closes every descriptor above 2, as daemons do
 *   thread		a second thread from here on
 *   wait		until a line, or the end, of standard input
 *   again		pam_end and pam_start
 *
 * Prints "VERB: CODE" for each that has one, "message: TEXT" for each of the conversation's. pam_end comes by itself; the
 * exit status is 0 unless a sanitizer found something.
 */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *service, *user, *tty;
static pam_handle_t *pamh;
static int last = PAM_SUCCESS;

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)data;
	*responses = calloc((size_t)n, sizeof(**responses));
	for (int i = 0; i < n; i++)
		printf("message: %s\n", messages[i]->msg);
	return *responses != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
}

static void begin(void)
{
	static const struct pam_conv conversation = { .conv = converse };

	if (pam_start(service, user, &conversation, &pamh) != PAM_SUCCESS || pam_set_item(pamh, PAM_TTY, tty) != PAM_SUCCESS)
		exit(3);
}

static void finish(void)
{
	pam_end(pamh, last);
}

/* Runs `what` in a child; the child leaves by _exit, as sshd's and su's do after a failure. */
static void in_child(void (*what)(void))
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		what();
		fflush(stdout);
		_exit(0);
	}
	if (child < 0)
		printf("fork: %s\n", strerror(errno));
	else
		waitpid(child, NULL, 0);
}

/* setresuid makes a process undumpable, which LeakSanitizer could not stand: hence exec. */
static void become_user(void)
{
	const struct passwd *entry = getpwnam(user);
	char **environment = pam_getenvlist(pamh);

	if (entry == NULL || initgroups(user, entry->pw_gid) < 0 || setgid(entry->pw_gid) < 0 || setuid(entry->pw_uid) < 0)
		_exit(4);
	execle("/bin/sh", "sh", "-c", "echo run: $(id -un) $$ $(cat /proc/1/comm) $(hostname) $NSBOX_ID", (char *)NULL,
	       environment);
	_exit(5);
}

static void close_session(void)
{
	last = pam_close_session(pamh, 0);
	printf("close: %d\n", last);
}

static void drop_fds(void)
{
	for (int fd = 3; fd < 256; fd++)
		close(fd);
}

static void *sleep_on(void *nothing)
{
	pause();
	return nothing;
}

static void start_thread(void)
{
	static pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_on, NULL) != 0)
		exit(3);
}

static void do_verb(const char *verb)
{
	if (strcmp(verb, "acct") == 0)
		printf("acct: %d\n", last = pam_acct_mgmt(pamh, 0));
	else if (strcmp(verb, "open") == 0)
		printf("open: %d\n", last = pam_open_session(pamh, 0));
	else if (strcmp(verb, "close") == 0)
		close_session();
	else if (strcmp(verb, "run") == 0)
		in_child(become_user);
	else if (strcmp(verb, "child-end") == 0)
		in_child(finish);
	else if (strcmp(verb, "child-close") == 0)
		in_child(close_session);
	else if (strcmp(verb, "drop-fds") == 0)
		drop_fds();
	else if (strcmp(verb, "wait") == 0)
		while (getchar() != '\n' && !feof(stdin))
			;
	else if (strcmp(verb, "thread") == 0)
		start_thread();
	else if (strcmp(verb, "again") == 0) {
		finish();
		begin();
	} else
		exit(2);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	setlinebuf(stdout);
	service = argv[1];
	user = argv[2];
	tty = argv[3];
	begin();
	for (int i = 4; i < argc; i++)
		do_verb(argv[i]);
	finish();
	return 0;
}
