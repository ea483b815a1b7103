/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of a filter: which numbers are system calls at all. */
#ifndef NSB_KNOWN_CALLS_H
#define NSB_KNOWN_CALLS_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define NSB_PROGRAM_MAX 4096 /* BPF_MAXINSNS */

typedef struct nsb_program {
	struct sock_filter code[NSB_PROGRAM_MAX];
	size_t n;
} nsb_program;

/* Appends, for the architectures in `arches` (tokens of libseccomp, ended by 0), the part that answers ENOSYS to every
 * number that libseccomp has no name for, and ends the process where the architecture is none of them. What is left
 * runs on behind. 0; -E2BIG. */
int known_calls_append(nsb_program *program, const uint32_t *arches);

#endif
