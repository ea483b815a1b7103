/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capabilities of this process: what is read and written by plain system calls, of this thread alone, without a library
 * and without /proc. A set has a bit for each number. Sources: capabilities(7), capget(2), prctl(2).
 */
#ifndef NSB_CAPABILITY_SET_H
#define NSB_CAPABILITY_SET_H

#include <stdbool.h>
#include <stdint.h>

#define NSB_CAPABILITY(number) (1ULL << (number))

typedef struct nsb_capability_sets {
	uint64_t effective, permitted, inheritable;
} nsb_capability_sets;

/* 0 with *ret, or negative errno. */
int nsb_capabilities_get(nsb_capability_sets *ret);

/* 0, or negative errno: -EPERM for what may not be had. What is no more inheritable is no more ambient either. That the kernel
 * gave what was asked for is the caller's to look at: nsb_capabilities_are(). */
int nsb_capabilities_set(const nsb_capability_sets *sets);

/* Whether the three sets are exactly these, and the ambient set is empty; no if they cannot be read. What is not both permitted and
 * inheritable cannot be ambient, capabilities(7), so it is not asked for: each question is a system call. */
bool nsb_capabilities_are(const nsb_capability_sets *wanted);

/* Empties the ambient set. 0 or negative errno. */
int nsb_ambient_clear(void);

/*
 * Takes out of the bounding set what is not in `keep`, from 0 on until the kernel knows no more, and looks that it is out.
 * What `keep` has and the bounding set has not is left as it is. 0, or negative errno with the number in *ret_which:
 * -EPERM without CAP_SETPCAP, -EIO if one is still there or cannot be looked at.
 */
int nsb_bounding_keep(uint64_t keep, unsigned *ret_which);

/* Gives up all but `keep`: that is effective, permitted and in the bounding set afterwards, nothing is inheritable or ambient. 0 or
 * negative errno as the calls above; what the kernel gave is the caller's to look at. */
int nsb_capabilities_reduce(uint64_t keep);

#endif
