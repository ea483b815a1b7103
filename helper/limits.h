/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a limit of the plan to what is written into which file of a control group.
 * Sources: Documentation/admin-guide/cgroup-v2.rst; cgroup-v1/{memory,cpusets,blkio-controller,pids}.rst,
 * scheduler/sched-bwc.rst. Where version 1 counts otherwise, values are translated as systemd.resource-control(5) does.
 */
#ifndef NSB_LIMITS_H
#define NSB_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/limit-table.h"
#include "common/plan.h"

#define NSB_LIMIT_WRITES_MAX 4
#define NSB_LIMIT_TEXT_MAX   1280 /* the longest cpuset that the configuration takes has 1024 characters */

/* The machine, as far as limits are measured in it. */
typedef struct nsb_machine {
	uint64_t memory, swap; /* bytes */
	char cpus[1024];       /* a list of all that there may ever be; "": not known */
} nsb_machine;

typedef struct nsb_limit_write {
	const char *file;
	const char *or_file; /* written instead where `file` does not exist; NULL: none */
	char text[NSB_LIMIT_TEXT_MAX];
	char or_text[NSB_LIMIT_TEXT_MAX];
} nsb_limit_write;

typedef struct nsb_limit_writes {
	nsb_limit_write items[NSB_LIMIT_WRITES_MAX];
	size_t n;
} nsb_limit_writes;

/* Reads physical memory and swap from /proc/meminfo, and which CPUs are possible (cputopology.rst) from /sys. 0 or
 * negative errno with a sentence. */
int limits_machine(nsb_machine *ret, nsb_error *error);

/* The value of a step without percentages and, in io_max, with MAJOR:MINOR in the place of the path: in `buffer` of
 * NSB_LIMIT_TEXT_MAX bytes. -ENOENT, -ENODEV with a sentence for a disk that is not there, -EINVAL for a CPU. */
int limits_resolve(const nsb_limit *limit, const char *value, const nsb_machine *machine, char *buffer,
		   nsb_error *error);

/* The same on this machine, of which only what the value needs is read. */
int limits_resolve_here(const nsb_limit *limit, const char *value, char *buffer, nsb_error *error);

/* What to write for a resolved value in a tree of `version` (1, 2). `memory`: memory_max of the same group in bytes,
 * for swap_max in version 1, which limits the sum; INT64_MAX if there is none. Pure. -ENOTSUP with a sentence where the
 * version has no such limit. */
int limits_translate(const nsb_limit *limit, const char *value, int version, int64_t memory, nsb_limit_writes *ret,
		     nsb_error *error);

/* Writes them into the group. -ENOENT if this kernel has no such file; any error with a sentence. */
int limits_write(int group, const nsb_limit *limit, const nsb_limit_writes *writes, nsb_error *error);

/* A file that every group with the controller has: whether the kernel knows a limit is seen beside it. */
const char *limits_probe_file(nsb_controller controller, int version);

#endif
