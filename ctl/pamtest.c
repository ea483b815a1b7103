/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl pamtest: a command in a throw-away copy of this host, in which PAM stacks can be tried. The copy is a box
 * like any other, of a profile that is installed for it (conf/pamtest.conf); nsboxctl takes the place of the
 * application, as in run.c, and prepares the copy from inside. Whatever happens to it, the monitor ends the box.
 *
 *  1 read      options; what is to be put into the copy is opened. Nothing is made before all of that is good.
 *  2 join      the helper makes the box, nsboxctl enters its mount namespace
 *  3 prepare   users, files, modules, stacks, /dev/log: in this order, so that no stack under test makes the users
 *  4 run       the command
 *  5 leave     --keep; then out, and the end of the box is waited for: what the command has left running is gone
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/registry.h"
#include "common/session.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/inside.h"
#include "ctl/options.h"
#include "ctl/pamtest.h"
#include "ctl/tell.h"
#include "pam_nsbox/join.h"

#define CONF	    NSB_VENDORDIR "/pamtest.conf"
#define KEEP_PARENT "/var/tmp"
#define PATIENCE    10000 /* ms for the end of the box, which kills after one second */

typedef struct wishes {
	const char *pam_dir, *network, *log;
	option_list modules, users, files;
	bool keep;
} wishes;

typedef struct test {
	pamtest_sources sources;
	pamtest_user *users;
	size_t n_users;
	pamtest_log log;
	int keep; /* the directory on the host; -1: nothing is kept */
	nsb_session session;
	nsb_membership *membership; /* NULL after leaving */
	int signal;		    /* that ended it early; 0 */
} test;

static void wishes_done(wishes *wish)
{
	free(wish->modules.items);
	free(wish->users.items);
	free(wish->files.items);
}

static void test_done(test *t)
{
	for (size_t i = 0; i < t->n_users; i++)
		pamtest_user_done(&t->users[i]);
	free(t->users);
	pamtest_sources_done(&t->sources);
	pamtest_log_done(&t->log);
	nsb_close(t->keep);
	nsb_session_done(&t->session);
}

/* ---- 1 read ---- */

/* First of all, so that the passwords are out of sight. */
static int read_users(test *t, const option_list *words, nsb_error *error)
{
	int r = 0;

	t->users = calloc(words->n + 1, sizeof(*t->users));
	if (t->users == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < words->n && r == 0; i++)
		r = pamtest_user_parse(words->items[i], &t->users[t->n_users++], error);
	return r;
}

/* In the order of preparing: the stacks last. */
static int open_sources(test *t, const wishes *wish, nsb_error *error)
{
	int r = 0;

	for (size_t i = 0; i < wish->files.n && r == 0; i++)
		r = pamtest_open_file(wish->files.items[i], &t->sources, error);
	for (size_t i = 0; i < wish->modules.n && r == 0; i++)
		r = pamtest_open_module(wish->modules.items[i], &t->sources, error);
	if (r == 0 && wish->pam_dir != NULL)
		r = pamtest_open_pam_dir(wish->pam_dir, &t->sources, error);
	return r;
}

static int open_keep(test *t, nsb_error *error)
{
	t->keep = open(KEEP_PARENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->keep < 0 ? nsb_error_set(error, errno, "--keep: " KEEP_PARENT ": %s", strerror(errno)) : 0;
}

static int read_wishes(test *t, const wishes *wish, nsb_error *error)
{
	int r = read_users(t, &wish->users, error);

	if (r == 0)
		r = open_sources(t, wish, error);
	if (r == 0 && wish->keep)
		r = open_keep(t, error);
	if (r == 0)
		r = pamtest_log_open(&t->log, wish->log, error);
	return r;
}

/* ---- 3 prepare, 4 run ---- */

static int prepare(test *t, nsb_error *error)
{
	int r = 0;

	for (size_t i = 0; i < t->n_users && r == 0; i++)
		r = pamtest_make_user(&t->users[i], error);
	if (r == 0)
		r = pamtest_copy(&t->sources, error);
	return r == 0 ? pamtest_log_listen(&t->log, error) : r;
}

static void hear(void *argument)
{
	pamtest_log_take(&((test *)argument)->log);
}

/* The monitor sees us leave and ends the box; the command dies of that, and is waited for. */
static void told(void *argument, pid_t child, int number)
{
	test *t = argument;
	nsb_error error = { 0 };

	(void)child;
	if (t->membership == NULL)
		return;
	t->signal = number;
	if (join_leave(nsb_steal_pointer(&t->membership), &error) < 0)
		tell_error(&error);
}

static int run_command(test *t, const nsb_answer *answer, char **argv, nsb_error *error)
{
	const identity who = { .user = &t->session,
			       .id = t->session.login,
			       .environment = answer->environment,
			       .n_environment = answer->n_environment,
			       .command = argv,
			       .as_caller = true };
	const inside what = { .who = &who, .hear = hear, .heard = t->log.socket, .told = told, .argument = t };
	int r = inside_run(&what, error);

	pamtest_log_take(&t->log);
	return r < 0 ? r : t->signal != 0 ? COMMAND_SIGNALLED + t->signal : r;
}

/* In the copy, and out of it again. An exit status, or -errno with a sentence. */
static int use_copy(test *t, const nsb_answer *answer, char **argv, nsb_error *error)
{
	nsb_error second = { 0 };
	int r = prepare(t, error);

	if (r == 0)
		r = run_command(t, answer, argv, error);
	if (r >= 0 && t->membership != NULL && t->keep >= 0 && pamtest_keep(t->keep, KEEP_PARENT, error) < 0)
		r = -error->err;
	if (t->membership != NULL && join_leave(nsb_steal_pointer(&t->membership), &second) < 0)
		tell_error(&second);
	return r;
}

/* ---- 5 leave ---- */

/* Until PID 1 and the record of the box are gone: then nothing of it is left on the host. */
static void wait_for_end(int init, const char *id)
{
	NSB_FREE char *record = nsb_format(NSB_RUNDIR "/boxes/%s", id);
	int64_t deadline = nsb_now() + PATIENCE;

	if (init >= 0 && nsb_wait_readable(init, deadline) < 0)
		fprintf(stderr, "nsboxctl: the copy %s has not ended yet: nsboxctl list\n", id);
	while (record != NULL && access(record, F_OK) == 0 && nsb_now() < deadline)
		nanosleep(&(struct timespec){ .tv_nsec = 2 * 1000 * 1000 }, NULL);
}

static int run_test(test *t, const char *network, char **argv, nsb_error *error)
{
	__attribute__((cleanup(nsb_answer_done))) nsb_answer answer = NSB_ANSWER_NONE;
	NSB_CLOSE int socket = -1;
	NSB_CLOSE int init = -1;
	int r = ask_helper(NSB_VERB_OPEN, &t->session, network, CONF, &answer, &socket, error);

	if (r < 0)
		return r;
	if (answer.result != NSB_RESULT_OK) {
		*error = answer.error;
		return nsb_error_set(error, error->err > 0 ? -error->err : -EIO, "the copy could not be made");
	}
	init = fcntl(answer.init, F_DUPFD_CLOEXEC, 0);
	r = join_box(&answer, socket, true, &t->membership, error);
	if (r == 0) {
		nsb_steal_fd(&socket); /* the membership's */
		r = use_copy(t, &answer, argv, error);
	}
	socket = nsb_close(socket);
	wait_for_end(init, t->session.login);
	return r;
}

/* Said by itself, because the helper's sentence is for the services of a host. */
static int check_power(nsb_error *error)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, sets) < 0)
		return -errno;
	if (sets[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN))
		return 0;
	return nsb_error_set(
		error, EPERM,
		"a copy of the host needs CAP_SYS_ADMIN, which root does not have here: in a container that "
		"takes a privileged one (docker run --privileged)");
}

static int run_wishes(const wishes *wish, char **argv)
{
	__attribute__((cleanup(test_done))) test t = { .log = PAMTEST_LOG_NONE, .keep = -1 };
	nsb_error error = { 0 };
	int r = read_wishes(&t, wish, &error);

	if (r == 0)
		r = ask_outside(&error);
	if (r == 0)
		r = check_power(&error);
	if (r == 0)
		r = ask_session("root", "nsboxctl", "", "", &t.session, &error);
	if (r == 0)
		r = nsb_id_make(t.session.login);
	if (r == 0)
		r = run_test(&t, wish->network, argv, &error);
	if (r < 0) {
		nsb_error_set(&error, r, "%s", strerror(-r));
		return tell_error(&error);
	}
	if (r > 0 && t.signal == 0)
		pamtest_log_print(&t.log);
	return r;
}

int command_pamtest(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(wishes_done))) wishes wish = { .network = "loopback" };
	const option_row rows[] = { { "pam-dir", &wish.pam_dir, NULL, NULL }, { "module", NULL, NULL, &wish.modules },
				    { "user", NULL, NULL, &wish.users },      { "file", NULL, NULL, &wish.files },
				    { "network", &wish.network, NULL, NULL }, { "log", &wish.log, NULL, NULL },
				    { "keep", NULL, &wish.keep, NULL } };
	int first;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), -1, &first) != 0)
		return first;
	if (strcmp(wish.network, "loopback") != 0 && strcmp(wish.network, "host") != 0)
		return options_usage(self, "--network is loopback or host");
	return run_wishes(&wish, argv + first);
}
