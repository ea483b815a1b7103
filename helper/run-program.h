/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs one of our own small programs and takes what it says. It is killed with the helper, and after a deadline. */
#ifndef NSB_HELPER_RUN_PROGRAM_H
#define NSB_HELPER_RUN_PROGRAM_H

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

#define NSB_WORDS_SAID 512

typedef struct run_wish {
	const char *path;	 /* absolute */
	char *const *arguments;	 /* the first is its name; the last NULL */
	int64_t deadline;	 /* CLOCK_MONOTONIC ms */
	const char *how_to_mend; /* where it cannot be started: "install nsbox built with ..." */
	/* descriptors; -1: as ours (/dev/null), or none */
	int program;	     /* the file of `path`, where it was looked at before */
	int input, output;   /* a file: nobody reads while it runs */
	int extra;	     /* its descriptor 3 */
	uint64_t output_max; /* bytes that a file of it may get; 0: any number */
} run_wish;

/* Its exit status, and the first line of its standard error in `said`, printable. Negative errno with a sentence: it could
 * not be started (-ENOENT where it is not there), died of a signal (-EIO), or was killed at the deadline (-ETIMEDOUT). */
int run_program(const run_wish *wish, char said[NSB_WORDS_SAID], nsb_error *error);

/* The same in two parts, with something else to do between: who has started one finishes it. Errors as above. */
typedef struct run_started {
	pid_t pid;
	int words; /* what it says */
} run_started;
int run_program_start(const run_wish *wish, run_started *ret, nsb_error *error);
int run_program_finish(const run_wish *wish, run_started *started, char said[NSB_WORDS_SAID], nsb_error *error);

#endif
