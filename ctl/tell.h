/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts for people: nothing that a user chose reaches the administrator's terminal as a control sequence. */
#ifndef NSB_CTL_TELL_H
#define NSB_CTL_TELL_H

#include <stdint.h>

#include "common/config.h"
#include "common/error.h"

/* Prints "nsboxctl: sentence" to standard error. Returns COMMAND_PROBLEM. */
int tell_error(const nsb_error *error);

/* Prints all problems of the configuration to standard error, and if there are none, the error. */
int tell_problems(const nsb_problems *problems, const nsb_error *error);

/* The text with everything but printable ASCII as \xNN; `utf8`: well-formed UTF-8 stays, and control characters too (for
 * JSON, which has its own way to write them). NULL without memory; the caller frees. */
char *tell_escape(const char *text, bool utf8);

/* CLOCK_REALTIME seconds as local time: "2026-11-25 21:39:05"; "" for what is no time. */
#define TELL_TIME_SIZE 32
void tell_time(int64_t seconds, char buffer[TELL_TIME_SIZE]);

#endif
