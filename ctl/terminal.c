/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/fd-util.h"

#define DRAIN_MAX 64 /* reads after the end of the command: what it left running may write for ever */

/* Which of 0 to 2 are terminals. */
static void look(terminal *t)
{
	static const int outputs[] = { STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO };

	for (int fd = 0; fd <= 2; fd++)
		t->replaced[fd] = isatty(fd);
	t->raw = t->replaced[STDIN_FILENO] && t->replaced[STDOUT_FILENO];
	t->input.from = t->replaced[STDIN_FILENO] ? STDIN_FILENO : -1;
	/* some programs write to /dev/tty whatever their output is: shown where that can be done */
	for (size_t i = 0; i < 3 && t->outer < 0; i++)
		if (t->replaced[outputs[i]] && (fcntl(outputs[i], F_GETFL) & O_ACCMODE) != O_RDONLY)
			t->outer = t->output.to = outputs[i];
	if (t->outer < 0 && t->replaced[STDIN_FILENO])
		t->outer = STDIN_FILENO;
}

static int make(terminal *t, nsb_error *error)
{
	t->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (t->master < 0 || unlockpt(t->master) < 0)
		return nsb_error_set(error, errno, "cannot make a terminal in the box: %s", strerror(errno));
	/* by the master, not by a name */
	t->slave = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->slave < 0)
		return nsb_error_set(error, errno, "cannot open the terminal in the box: %s", strerror(errno));
	return 0;
}

/* As the outer one is; where that one does the work (echo, line ends) the inner one must not do it again. */
static void set_modes(const terminal *t)
{
	struct termios modes = t->before;

	if (!t->raw) {
		modes.c_lflag &= ~(tcflag_t)ECHO;
		modes.c_oflag &= ~(tcflag_t)OPOST;
	}
	tcsetattr(t->slave, TCSANOW, &modes);
}

int terminal_open(terminal *ret, uid_t owner, nsb_error *error)
{
	int r;

	*ret = (terminal){ .outer = -1, .master = -1, .slave = -1 };
	ret->input.from = ret->input.to = ret->output.from = ret->output.to = -1;
	look(ret);
	if (ret->outer < 0)
		return 0;
	r = make(ret, error);
	if (r < 0)
		return r;
	ret->input.to = ret->output.from = ret->master;
	/* the group is the devpts instance's */
	if (tcgetattr(ret->outer, &ret->before) < 0 || fchown(ret->slave, owner, (gid_t)-1) < 0)
		return nsb_error_set(error, errno, "cannot prepare the terminal in the box: %s", strerror(errno));
	set_modes(ret);
	terminal_resize(ret);
	return 0;
}

int terminal_adopt(const terminal *t)
{
	/* without a terminal too: else the administrator's would be /dev/tty */
	if (setsid() < 0)
		return -errno;
	if (t->outer < 0)
		return 0;
	if (ioctl(t->slave, TIOCSCTTY, 0) < 0)
		return -errno;
	for (int fd = 0; fd <= 2; fd++)
		if (t->replaced[fd] && dup2(t->slave, fd) < 0)
			return -errno;
	return 0;
}

void terminal_start(terminal *t)
{
	struct termios modes = t->before;

	if (!t->raw)
		return;
	cfmakeraw(&modes);
	t->is_raw = tcsetattr(t->outer, TCSADRAIN, &modes) == 0;
	terminal_resize(t);
}

static bool pump_full(const pump *p)
{
	return p->start < p->end;
}

static void pump_wish(const pump *p, struct pollfd polls[2])
{
	polls[0] = (struct pollfd){ .fd = pump_full(p) ? -1 : p->from, .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = pump_full(p) ? p->to : -1, .events = POLLOUT };
}

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void pump_write(pump *p)
{
	ssize_t n = write(p->to, p->data + p->start, p->end - p->start);

	if (n > 0)
		p->start += (size_t)n;
	else if (n < 0 && !again())
		p->start = p->end; /* nobody sees it any more; the box must not wait for that */
}

/* Whether something came; `from` is given up at its end. */
static bool pump_read(pump *p)
{
	ssize_t n = read(p->from, p->data, sizeof(p->data));

	p->start = 0;
	p->end = n > 0 ? (size_t)n : 0;
	if (n == 0 || (n < 0 && !again()))
		p->from = -1;
	return n > 0;
}

static void pump_move(pump *p, const struct pollfd polls[2])
{
	if (polls[1].fd >= 0 && polls[1].revents != 0)
		pump_write(p);
	if (polls[0].fd >= 0 && polls[0].revents != 0)
		pump_read(p);
	if (p->to < 0)
		p->start = p->end;
}

/* End of input: said to the box as it was said to us, by the character for it; a raw terminal has none, it is gone. */
static void end_input(terminal *t)
{
	if (t->raw) {
		t->hung_up = true;
		return;
	}
	t->input.data[0] = (char)t->before.c_cc[VEOF];
	t->input.start = 0;
	t->input.end = 1;
}

void terminal_wishes(const terminal *t, struct pollfd polls[TERMINAL_POLLS])
{
	pump_wish(&t->input, polls);
	pump_wish(&t->output, polls + 2);
}

void terminal_move(terminal *t, const struct pollfd polls[TERMINAL_POLLS])
{
	bool open = t->input.from >= 0;

	pump_move(&t->input, polls);
	if (open && t->input.from < 0)
		end_input(t);
	pump_move(&t->output, polls + 2);
}

void terminal_resize(const terminal *t)
{
	struct winsize size;

	if (t->outer >= 0 && ioctl(t->outer, TIOCGWINSZ, &size) == 0)
		ioctl(t->master, TIOCSWINSZ, &size);
}

static void drain(terminal *t)
{
	if (t->output.to < 0)
		return;
	for (int i = 0; i < DRAIN_MAX; i++) {
		if (pump_full(&t->output))
			nsb_write_all(t->output.to, t->output.data + t->output.start, t->output.end - t->output.start);
		if (!pump_read(&t->output))
			return;
	}
}

void terminal_close(terminal *t)
{
	if (t->master >= 0)
		drain(t);
	if (t->is_raw)
		tcsetattr(t->outer, TCSADRAIN, &t->before);
	t->is_raw = false;
	t->slave = nsb_close(t->slave);
	t->master = nsb_close(t->master);
}
