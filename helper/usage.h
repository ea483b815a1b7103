/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a box uses and how often it hit its limits, read from its control groups. Read-only; also for nsboxctl.
 * Sources: cgroup-v2.rst; cgroup-v1/{memory,cpuacct,pids}.rst.
 */
#ifndef NSB_USAGE_H
#define NSB_USAGE_H

#include <stdint.h>

#include "common/registry.h"

#define NSB_USAGE_UNKNOWN UINT64_MAX /* this kernel, or this version of control groups, does not tell */

typedef struct nsb_usage {
	uint64_t cpu;			     /* microseconds so far */
	uint64_t memory, memory_peak;	     /* bytes */
	uint64_t processes, processes_peak;  /* with threads */
	uint64_t process_hits, memory_kills; /* forks that failed by the limit; processes killed by the limit */
} nsb_usage;

/* Reads what there is; everything else is NSB_USAGE_UNKNOWN. */
void usage_read(const nsb_entry *entry, nsb_usage *ret);

/* One number of a group's file ("memory.events"): behind `word` at the beginning of a line, or NSB_USAGE_UNKNOWN. */
uint64_t usage_count(const char *directory, const char *file, const char *word);

/* The value of one limit as it was set ("256"), or NULL: a pointer into the entry. */
const char *usage_limit(const nsb_entry *entry, const char *key);

#endif
