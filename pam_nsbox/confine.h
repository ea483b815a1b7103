/* SPDX-License-Identifier: BSD-3-Clause */
/* What the application takes upon itself in the box, and hands down to all that it starts. */
#ifndef NSB_MODULE_CONFINE_H
#define NSB_MODULE_CONFINE_H

#include <linux/filter.h>

#include "common/error.h"
#include "common/protocol.h"

/* A filter of system calls, read before the join: afterwards nothing but the calls themselves may fail. */
typedef struct nsb_filter {
	struct sock_filter *program; /* NULL: none */
	unsigned short length;	     /* instructions */
} nsb_filter;

/* Reads the program that `fd` holds; none for -1. 0 with *ret, whose program the caller frees; -errno with a sentence. */
int confine_load(int fd, nsb_filter *ret, nsb_error *error);

/* What can be known before the join: whether this process may set the bounding set and RLIMIT_CORE, and may change
 * its real user id for a moment. 0; -EPERM with a sentence. */
int confine_check(const nsb_confinement *confinement, nsb_error *error);

/*
 * Confines this process as `confinement` says: a new session keyring, no core dumps into a program, empty inheritable and
 * ambient sets, the bounding set, no new privileges, the filter of system calls. Each is compared with what was wanted.
 * What this process can do now (permitted and effective set) stays, so that it can leave the box again. None of it can be
 * taken back: the last thing of a join. 0, or -errno with a sentence, with some of it done.
 * Sources: capabilities(7), prctl(2), seccomp(2), keyctl(2), core(5).
 */
int confine_self(const nsb_confinement *confinement, const nsb_filter *filter, nsb_error *error);

/* Its two halves, for who enters a user namespace between them: keyring and core dumps belong to root of the host, and need
 * its capabilities (sudo comes with a hard limit of 0, which from within is not raised); the rest is about those of the namespace. */
int confine_resources(const nsb_confinement *confinement, nsb_error *error);
int confine_privileges(const nsb_confinement *confinement, const nsb_filter *filter, nsb_error *error);

#endif
