/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/inside.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "ctl/command.h"
#include "ctl/terminal.h"

#define PARENT_FD 3 /* in the child */

/* The signals that nsboxctl hears of while the command runs. */
static const int heard[] = { SIGCHLD, SIGWINCH, SIGCONT, SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* A signal that whoever started us ignores (nohup, a script's background) stays ignored. */
static int catch_signals(void)
{
	sigset_t set;

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++)
		if (!is_ignored(heard[i]))
			sigaddset(&set, heard[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Everything but 0 to 2 and the pidfd is the host's. */
static int keep_only(int parent)
{
	if (parent != PARENT_FD && dup2(parent, PARENT_FD) < 0)
		return -errno;
	return syscall(SYS_close_range, PARENT_FD + 1, ~0u, 0) < 0 ? -errno : 0;
}

static void __attribute__((noreturn)) child_main(const inside *what, const terminal *t, int parent)
{
	nsb_error error = { 0 };
	int r = 0;

	reset_signals();
	for (size_t i = 0; i < what->n_cgroups && r == 0; i++)
		if (write(what->cgroups[i], "0", 1) != 1)
			r = -errno;
	if (r == 0)
		r = terminal_adopt(t);
	if (r == 0)
		r = keep_only(parent);
	if (r == 0 && what->confinement != NULL)
		r = confine_privileges(what->confinement, what->filter, &error);
	if (r < 0) {
		fprintf(stderr, "nsboxctl: cannot prepare the command: %s\n",
			error.words[0] != '\0' ? error.words : strerror(-r));
		_exit(COMMAND_PROBLEM);
	}
	identity_exec(what->who, PARENT_FD);
}

/* Whether the child has ended, with its status in the shell's way. */
static bool reap(pid_t child, int *ret_status)
{
	int status;

	if (waitpid(child, &status, WNOHANG) != child)
		return false;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : COMMAND_SIGNALLED + WTERMSIG(status);
	return true;
}

/* Reads all signals that are there. Whether the child has ended. */
static bool hear(const inside *what, terminal *t, int signals, pid_t child, int *ret_status)
{
	struct signalfd_siginfo info;
	bool ended = false;

	while (!ended && read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			ended = reap(child, ret_status);
		else if (info.ssi_signo == SIGWINCH)
			terminal_resize(t);
		else if (info.ssi_signo == SIGCONT)
			terminal_start(t);
		else
			what->told(what->argument, child, (int)info.ssi_signo);
	}
	return ended;
}

static int wait_for(const inside *what, terminal *t, int signals, pid_t child)
{
	struct pollfd polls[2 + TERMINAL_POLLS] = { { .fd = signals, .events = POLLIN },
						    { .fd = what->hear != NULL ? what->heard : -1, .events = POLLIN } };
	int status;

	for (;;) {
		terminal_wishes(t, polls + 2);
		if (poll(polls, 2 + TERMINAL_POLLS, -1) < 0)
			continue;
		terminal_move(t, polls + 2);
		if (polls[1].revents != 0)
			what->hear(what->argument);
		if (t->hung_up)
			what->told(what->argument, child, SIGHUP);
		t->hung_up = false;
		if (polls[0].revents != 0 && hear(what, t, signals, child, &status))
			return status;
	}
}

int inside_run(const inside *what, nsb_error *error)
{
	NSB_CLOSE int signals = catch_signals();
	NSB_CLOSE int parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
	terminal t;
	pid_t child;
	int r = signals < 0 || parent < 0 ? nsb_error_set(error, errno, "cannot watch a command: %s", strerror(errno))
					  : 0;

	if (r < 0)
		return r;
	r = terminal_open(&t, what->who->user->uid, error);
	if (r == 0) {
		fflush(NULL);
		child = fork();
		if (child == 0)
			child_main(what, &t, parent);
		if (child < 0)
			r = nsb_error_set(error, errno, "cannot start a process in the box: %s", strerror(errno));
	}
	if (r == 0) {
		terminal_start(&t);
		r = wait_for(what, &t, signals, child);
	}
	terminal_close(&t);
	return r;
}
