/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"

#define HOME_POSITION "\033[H"
#define ERASE_ALL     "\033[2J"
#define ERASE_LINE    "\033[K"
#define ERASE_BELOW   "\033[J"

#define LINES_UNKNOWN	24
#define COLUMNS_UNKNOWN 80

static const int heard[] = { SIGWINCH, SIGCONT, SIGTSTP, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };

/* Keys come one by one and unseen. Ctrl-C and Ctrl-Z stay signals, so that they work whatever this program is doing. */
static void take(const screen *s)
{
	struct termios modes = s->before;

	if (!s->keys)
		return;
	modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	modes.c_cc[VMIN] = 1;
	modes.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
}

/* What was typed and not read is not meant for the shell. */
static void give_back(const screen *s)
{
	if (s->keys)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->before);
}

/* What whoever started us ignores stays ignored. */
static int catch_signals(void)
{
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++)
		if (sigaction(heard[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&set, heard[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int screen_open(screen *ret, nsb_error *error)
{
	*ret = (screen){ .signals = catch_signals() };
	if (ret->signals < 0)
		return nsb_error_set(error, errno, "cannot wait for signals: %s", strerror(errno));
	ret->keys = tcgetattr(STDIN_FILENO, &ret->before) == 0;
	take(ret);
	return nsb_write_all(STDOUT_FILENO, HOME_POSITION ERASE_ALL, strlen(HOME_POSITION ERASE_ALL));
}

void screen_size(size_t *ret_lines, size_t *ret_columns)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*ret_lines = size.ws_row > 0 ? size.ws_row : LINES_UNKNOWN;
	*ret_columns = size.ws_col > 0 ? size.ws_col : COLUMNS_UNKNOWN;
}

int screen_show(const char *text)
{
	NSB_FREE char *all = NULL;
	size_t size;
	FILE *out = open_memstream(&all, &size);

	if (out == NULL)
		return -errno;
	fputs(HOME_POSITION, out);
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputs(ERASE_LINE, out);
		fputc(*text, out);
	}
	fputs(ERASE_BELOW, out);
	if (fclose(out) != 0)
		return -ENOMEM;
	return nsb_write_all(STDOUT_FILENO, all, size);
}

/* Ctrl-Z: the shell gets its terminal back until it lets us go on. */
static void stop(const screen *s)
{
	sigset_t set;

	give_back(s);
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	take(s);
}

static screen_event hear(const screen *s, int *ret_signal)
{
	struct signalfd_siginfo info;
	bool redraw = false;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		*ret_signal = (int)info.ssi_signo;
		if (info.ssi_signo == SIGINT)
			return SCREEN_END;
		if (info.ssi_signo != SIGTSTP && info.ssi_signo != SIGCONT && info.ssi_signo != SIGWINCH)
			return SCREEN_SIGNAL;
		if (info.ssi_signo == SIGTSTP)
			stop(s);
		if (info.ssi_signo == SIGCONT)
			take(s);
		redraw = true;
	}
	return redraw ? SCREEN_REDRAW : SCREEN_TIME;
}

/* Whether a key says that it is enough. */
static bool typed_end(void)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n <= 0)
		return n == 0 || (errno != EINTR && errno != EAGAIN);
	return memchr(keys, 'q', (size_t)n) != NULL || memchr(keys, 'Q', (size_t)n) != NULL;
}

screen_event screen_wait(screen *s, int64_t deadline, int *ret_signal)
{
	for (;;) {
		struct pollfd polls[] = { { .fd = s->signals, .events = POLLIN },
					  { .fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN } };
		int64_t left = deadline - nsb_now();
		int n = left <= 0 ? 0 : poll(polls, 2, (int)left);

		if (n == 0)
			return SCREEN_TIME;
		if (n < 0)
			continue;
		if (polls[0].revents != 0) {
			screen_event event = hear(s, ret_signal);

			if (event != SCREEN_TIME)
				return event;
		}
		if (polls[1].revents != 0 && typed_end())
			return SCREEN_END;
	}
}

void screen_close(screen *s, int number)
{
	sigset_t set;

	give_back(s);
	s->signals = nsb_close(s->signals);
	if (number == 0)
		return;
	signal(number, SIG_DFL);
	raise(number);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
