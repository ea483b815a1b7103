/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A terminal that is written anew again and again, by plain control sequences, and a key that ends that. Whatever ends
 * the program but SIGKILL, the terminal is as it was before. Sources: termios(3), console_codes(4).
 */
#ifndef NSB_CTL_SCREEN_H
#define NSB_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "common/error.h"

typedef struct screen {
	int signals; /* signalfd */
	bool keys;   /* standard input is a terminal */
	struct termios before;
} screen;

typedef enum screen_event {
	SCREEN_TIME,   /* the time is over */
	SCREEN_REDRAW, /* another size, or back from a stop */
	SCREEN_END,    /* q, Ctrl-C, or the terminal is gone */
	SCREEN_SIGNAL, /* another signal: screen_close() dies of it */
} screen_event;

/* Standard output must be a terminal. The caller calls screen_close(), also after an error. */
int screen_open(screen *ret, nsb_error *error);

/* The number of lines and columns. */
void screen_size(size_t *ret_lines, size_t *ret_columns);

/* Replaces what is shown. Each line of the text ends with "\n"; it must fit. -errno if the terminal is gone. */
int screen_show(const char *text);

/* Waits for an event until `deadline` (CLOCK_MONOTONIC ms). *ret_signal: which one, for SCREEN_SIGNAL. */
screen_event screen_wait(screen *s, int64_t deadline, int *ret_signal);

/* The terminal is as before. If `number` is not 0, the process dies of that signal. */
void screen_close(screen *s, int number);

#endif
