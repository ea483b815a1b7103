/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What went wrong, where, in words: travels unchanged from the place that knows to the one place that tells.
 *
 * Functions return 0 or a negative errno. Those that can say more than the number take an nsb_error; whoever has the
 * context fills it once, callers above pass it on. common/ never logs of its own accord (log.h).
 */
#ifndef NSB_ERROR_H
#define NSB_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#define NSB_WORDS_MAX 768

/* The stages of one login, by the names that helper/nsbox-helper.c and DESIGN use. The numbers travel over the socket:
 * add at the end only. */
typedef enum nsb_stage {
	NSB_STAGE_LAUNCH, /* in the app: before the helper runs */
	NSB_STAGE_LOCK_DOWN,
	NSB_STAGE_REQUEST,
	NSB_STAGE_CONFIGURE,
	NSB_STAGE_PLAN,
	NSB_STAGE_CHECK,
	NSB_STAGE_HOST,
	NSB_STAGE_SPAWN,
	NSB_STAGE_BUILD,
	NSB_STAGE_ENCLOSE,
	NSB_STAGE_PROVE,
	NSB_STAGE_EXEC,
	NSB_STAGE_PUBLISH,
	NSB_STAGE_ANSWER,
	NSB_STAGE_JOIN, /* in the app */
	NSB_STAGE_COMMIT,
	NSB_STAGE_MAX
} nsb_stage;

typedef struct nsb_error {
	int err;		   /* errno, positive; 0: nothing went wrong */
	nsb_stage stage;	   /* where; filled by whoever runs the stages */
	char words[NSB_WORDS_MAX]; /* one sentence: what, where, how to mend; never a trailing newline */
} nsb_error;

/* Fills `error` (may be NULL) unless it already holds words: the first, closest description wins.
 * `err`: errno, positive or negative. Returns the negative errno, so that `return nsb_error_set(...)` reads well. */
int nsb_error_set(nsb_error *error, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The stage's name as it stands in the documentation ("build"); "unknown" for a number out of range. */
const char *nsb_stage_name(int stage);

/* The symbolic name of an errno ("ENOENT"), or "?" ; takes either sign. */
const char *nsb_errno_name(int err);

#endif
