/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * THE table of the system calls that a filtered session does not have: nsbox-seccomp makes the filter of it. What no
 * row names is allowed, except for calls that libseccomp does not know: those answer ENOSYS, as if the kernel were
 * older.
 *
 * A filter sees numbers, never what a pointer leads to. Most of the kernel's arguments are 32 bits wide in a register
 * of 64; whatever stands above them is ignored by the kernel and must be by the comparison (CVE-2019-10063).
 */
#ifndef NSB_SYSCALL_TABLE_H
#define NSB_SYSCALL_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define NSB_COMPARES_MAX 2
#define NSB_VALUES_MAX	 8

typedef enum nsb_compare_kind {
	NSB_COMPARE_NOTHING,
	NSB_COMPARE_IS,	    /* the lower 32 bits, of them those in `mask`, are one of the values */
	NSB_COMPARE_IS_NOT, /* the lower 32 bits are none of the values */
	NSB_COMPARE_HAS,    /* a bit of one of the values is set */
	NSB_COMPARE_GIVEN,  /* a pointer that is not NULL */
} nsb_compare_kind;

typedef struct nsb_compare {
	nsb_compare_kind kind;
	unsigned argument; /* 0 to 5 */
	uint32_t mask;	   /* of NSB_COMPARE_IS; 0: all 32 */
	size_t n;
	uint32_t values[NSB_VALUES_MAX];
} nsb_compare;

enum nsb_denied_flags {
	NSB_DENIED_STRICT = 1 << 0,	   /* with seccomp = strict only */
	NSB_DENIED_UNLESS_NESTED = 1 << 1, /* not with nested_namespaces = yes */
	NSB_DENIED_UNLESS_CORE = 1 << 2,   /* not with core = yes */
	NSB_DENIED_SOCKETCALL = 1 << 3,	   /* not where the C library has no other way than socketcall(2) */
};

/* Denied if all comparisons hold. */
typedef struct nsb_denied {
	const char *calls; /* names, a blank between them */
	int error;	   /* what the caller sees; 0: success, without anything being done */
	unsigned flags;	   /* nsb_denied_flags */
	const char *why;   /* one clause */
	nsb_compare compare[NSB_COMPARES_MAX];
} nsb_denied;

extern const nsb_denied nsb_denied_calls[];
extern const size_t nsb_n_denied_calls;

#endif
