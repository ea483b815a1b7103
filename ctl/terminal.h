/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stands between the administrator's terminal and a terminal of the box. No process of the box ever gets a descriptor
 * of the administrator's: by one it could read what is typed into it later, or push input into it.
 *
 * Each of the descriptors 0 to 2 that is a terminal is replaced by the box's one, the others are handed on as they are,
 * so that input and output can be files and pipes. Without any terminal there is none in the box either.
 *
 * If standard input and output are terminals, the outer one is raw: what is typed (Ctrl-C as well) goes to the box.
 * Otherwise the outer one stays as it is, and Ctrl-C reaches nsboxctl.
 * Sources: pty(7), termios(3), ioctl_tty(2).
 */
#ifndef NSB_CTL_TERMINAL_H
#define NSB_CTL_TERMINAL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

#include "common/error.h"

/* One direction: what was read and is not written yet. */
typedef struct pump {
	int from, to; /* -1: nothing (more) to come */
	size_t start, end;
	char data[2048];
} pump;

#define TERMINAL_POLLS 4

typedef struct terminal {
	int outer;	   /* a descriptor of the administrator's terminal; -1: none, and nothing below counts */
	bool replaced[3];  /* which of 0 to 2 become the box's terminal */
	bool raw, is_raw;  /* to be; is */
	struct termios before;
	int master, slave; /* of the box */
	pump input, output;
	bool hung_up;	   /* the administrator's terminal is gone */
} terminal;

/* Looks at 0 to 2 and makes the box's terminal, owned by `owner`; nsboxctl must be in the box's mount namespace. The
 * caller calls terminal_close(), also after an error. */
int terminal_open(terminal *ret, uid_t owner, nsb_error *error);

/* In the child: a session of its own, with the box's terminal where 0 to 2 were the administrator's. -errno. */
int terminal_adopt(const terminal *t);

/* In the parent, when the child is there: the outer terminal becomes raw. After a stop once more: the shell that stopped
 * nsboxctl has changed the terminal, and its size may be another one now. */
void terminal_start(terminal *t);

/* What to wait for, and what to do when poll(2) came back. */
void terminal_wishes(const terminal *t, struct pollfd polls[TERMINAL_POLLS]);
void terminal_move(terminal *t, const struct pollfd polls[TERMINAL_POLLS]);

/* SIGWINCH: the box's terminal gets the size of the outer one. */
void terminal_resize(const terminal *t);

/* The child has ended: what it wrote is shown, the outer terminal is as it was. */
void terminal_close(terminal *t);

#endif
