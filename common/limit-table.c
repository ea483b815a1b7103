/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/limit-table.h"

#include <string.h>

#include "common/settings.h"

static const char *const names[NSB_CONTROLLERS][2] = {
	[NSB_CONTROLLER_PIDS] = { "pids", "pids" }, [NSB_CONTROLLER_MEMORY] = { "memory", "memory" },
	[NSB_CONTROLLER_CPU] = { "cpu", "cpu" },    [NSB_CONTROLLER_CPUSET] = { "cpuset", "cpuset" },
	[NSB_CONTROLLER_IO] = { "blkio", "io" },    [NSB_CONTROLLER_CPUACCT] = { "cpuacct", NULL },
};

const char *nsb_controller_name(nsb_controller controller, int version)
{
	return names[controller][version - 1];
}

#define ROW(key, box_key, controller, kind, user, why)                                                                 \
	{                                                                                                              \
#key, #box_key, NSB_CONTROLLER_##controller, NSB_LIMIT_##kind, offsetof(nsb_settings, key), user, why  \
	}

const nsb_limit nsb_limits[] = {
	ROW(user_pids_max, pids_max, PIDS, COUNT, true, "processes of all boxes of the user"),
	ROW(user_memory_max, memory_max, MEMORY, SIZE, true, "memory of all boxes of the user, in bytes"),
	ROW(user_cpu_max, cpu_max, CPU, CPU, true, "CPU time of all boxes of the user, in microseconds a second"),
	ROW(pids_max, pids_max, PIDS, COUNT, false, "processes and threads"),
	ROW(memory_max, memory_max, MEMORY, SIZE, false, "memory in bytes; beyond it the kernel kills in the box"),
	ROW(memory_high, memory_high, MEMORY, SIZE, false, "memory in bytes; beyond it the box is slowed down"),
	ROW(swap_max, swap_max, MEMORY, SIZE, false, "swap space in bytes"),
	ROW(cpu_max, cpu_max, CPU, CPU, false, "CPU time in microseconds a second"),
	ROW(cpu_weight, cpu_weight, CPU, WEIGHT, false, "share of the CPU where several want it"),
	ROW(cpuset, cpuset, CPUSET, TEXT, false, "processors that the box may use"),
	ROW(io_weight, io_weight, IO, WEIGHT, false, "share of the disks where several want them"),
	ROW(io_max, io_max, IO, LIST, false, "bytes and operations a second on one disk"),
};
const size_t nsb_n_limits = sizeof(nsb_limits) / sizeof(nsb_limits[0]);

const nsb_limit *nsb_limit_find(const char *key)
{
	for (size_t i = 0; i < nsb_n_limits; i++)
		if (strcmp(nsb_limits[i].key, key) == 0)
			return &nsb_limits[i];
	return NULL;
}
