/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of attempt.c share. An attempt runs in a process of its own and gives 0 where the attack worked, else the
 * errno that stopped it. It has to be harmless where it works: the control runs are on the unboxed host, as root. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define HOST_VICTIM  "victim-host" /* names of tests/attacks/victim.c, on the host and in another session */
#define OTHER_VICTIM "victim-other"
#define USER	     2001 /* alice, when root looks for what she can write */

typedef struct attempt {
	const char *name;
	int (*run)(void);
} attempt;

/* Ended by a row without a name. */
extern const attempt call_attempts[], file_attempts[], namespace_attempts[], process_attempts[], socket_attempts[];

extern const char *marker; /* a path that is on the host and in no box */
extern bool careful;	   /* where success would reach the machine itself: files are opened, and not written */

/* What was seen, beside the errno. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* 0, or errno if r is negative. */
int outcome(long r);

/* The process whose name is this; 0: none. */
pid_t find_process(const char *comm);

/* A mount namespace of one's own whose mounts go nowhere, where that is allowed; where not, so be it. */
void unshare_mounts(void);

/* Calls use() for every mount point that alice may write, and a few directories beside. The first that gives 0 ends it; else
 * the last errno, ENOENT without any. */
int on_writable(int (*use)(const char *directory));
