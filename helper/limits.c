/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/cpu-list.h"
#include "common/fd-util.h"
#include "common/settings.h"
#include "common/string-util.h"

#define CPU_PERIOD 100000 /* microseconds: the kernel's own default */
#define CPUS_FILE  "/sys/devices/system/cpu/possible"

/* ---- the machine ---- */

static uint64_t meminfo_bytes(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10) * 1024;
}

int limits_machine(nsb_machine *ret, nsb_error *error)
{
	char text[8192];
	ssize_t n = nsb_read_text_at(-1, "/proc/meminfo", text, sizeof(text));

	if (n < 0)
		return nsb_error_set(error, (int)n, "cannot read /proc/meminfo: %s", strerror((int)-n));
	ret->memory = meminfo_bytes(text, "MemTotal:");
	ret->swap = meminfo_bytes(text, "SwapTotal:");
	if (nsb_read_text_at(-1, CPUS_FILE, ret->cpus, sizeof(ret->cpus)) < 0)
		ret->cpus[0] = '\0'; /* a host without /sys: the kernel will say */
	ret->cpus[strcspn(ret->cpus, "\n")] = '\0';
	return 0;
}

/* ---- disks ---- */

/* Limits are per disk: of a partition its whole disk, of a file the disk below its file system. */
static int find_disk(const char *path, unsigned *ret_major, unsigned *ret_minor, nsb_error *error)
{
	char place[64], text[32];
	struct stat st;
	dev_t device;

	if (stat(path, &st) < 0)
		return nsb_error_set(error, errno, "io_max: cannot look at %s: %s", path, strerror(errno));
	device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	snprintf(place, sizeof(place), "/sys/dev/block/%u:%u/partition", major(device), minor(device));
	if (stat(place, &st) == 0) {
		snprintf(place, sizeof(place), "/sys/dev/block/%u:%u/../dev", major(device), minor(device));
		if (nsb_read_text_at(-1, place, text, sizeof(text)) < 0 ||
		    sscanf(text, "%u:%u", ret_major, ret_minor) != 2)
			return nsb_error_set(error, ENODEV, "io_max: cannot find the disk that %s is a partition of",
					     path);
		return 0;
	}
	snprintf(place, sizeof(place), "/sys/dev/block/%u:%u", major(device), minor(device));
	if (stat(place, &st) < 0)
		return nsb_error_set(error, ENODEV,
				     "io_max: %s is on no disk (device %u:%u): name the disk, as in /dev/sda", path,
				     major(device), minor(device));
	*ret_major = major(device);
	*ret_minor = minor(device);
	return 0;
}

static int resolve_disk(const char *value, char *buffer, nsb_error *error)
{
	size_t length = strcspn(value, " ");
	NSB_FREE char *path = strndup(value, length);
	unsigned number_major = 0, number_minor = 0;
	int r = path == NULL ? -ENOMEM : find_disk(path, &number_major, &number_minor, error);

	if (r < 0)
		return r;
	if (snprintf(buffer, NSB_LIMIT_TEXT_MAX, "%u:%u%s", number_major, number_minor, value + length) >=
	    NSB_LIMIT_TEXT_MAX)
		return nsb_error_set(error, EINVAL, "io_max: the line of %s is too long", path);
	return 0;
}

/* Version 1 would refuse it with a number, version 2 take it and not hold it. One that is offline may come back. */
static int check_cpus(const nsb_limit *limit, const char *value, const nsb_machine *machine, nsb_error *error)
{
	if (machine->cpus[0] != '\0' && nsb_cpu_list_within(value, machine->cpus) == 0)
		return nsb_error_set(error, EINVAL,
				     "%s = %.64s%s: this machine has the CPUs %.64s (" CPUS_FILE "): name no others",
				     limit->key, value, strlen(value) > 64 ? "..." : "", machine->cpus);
	return 0;
}

/* "12.5%": 1250 */
static unsigned parse_hundredths(const char *value)
{
	unsigned percent = 0;
	char places[3] = "";

	if (sscanf(value, "%u.%2[0-9]", &percent, places) < 2)
		return percent * 100;
	return percent * 100 + (unsigned)atoi(places) * (places[1] == '\0' ? 10 : 1);
}

int limits_resolve(const nsb_limit *limit, const char *value, const nsb_machine *machine, char *buffer,
		   nsb_error *error)
{
	size_t length = strlen(value);

	if (limit->kind == NSB_LIMIT_LIST)
		return resolve_disk(value, buffer, error);
	if (limit->kind == NSB_LIMIT_SIZE && length > 0 && value[length - 1] == '%') {
		uint64_t whole = strcmp(limit->box_key, "swap_max") == 0 ? machine->swap : machine->memory;

		/* divided first: of 16 EiB a percentage would not fit */
		snprintf(buffer, NSB_LIMIT_TEXT_MAX, "%" PRIu64, whole / 10000 * parse_hundredths(value));
		return 0;
	}
	if (length >= NSB_LIMIT_TEXT_MAX)
		return nsb_error_set(error, EINVAL, "%s: the value is too long", limit->key);
	if (limit->kind == NSB_LIMIT_TEXT && check_cpus(limit, value, machine, error) < 0)
		return -EINVAL;
	memcpy(buffer, value, length + 1);
	return 0;
}

static bool needs_machine(const nsb_limit *limit, const char *value)
{
	return limit->kind == NSB_LIMIT_TEXT || (limit->kind == NSB_LIMIT_SIZE && strchr(value, '%') != NULL);
}

int limits_resolve_here(const nsb_limit *limit, const char *value, char *buffer, nsb_error *error)
{
	nsb_machine machine = { 0 };
	int r = needs_machine(limit, value) ? limits_machine(&machine, error) : 0;

	return r < 0 ? r : limits_resolve(limit, value, &machine, buffer, error);
}

/* ---- translation ---- */

typedef struct translation {
	const nsb_limit *limit;
	const char *value;
	int64_t number; /* of the value, where it is one */
	int version;
	int64_t memory;
	nsb_limit_writes *writes;
	nsb_error *error;
} translation;

static nsb_limit_write *next(translation *t, const char *file)
{
	nsb_limit_write *write = &t->writes->items[t->writes->n++];

	*write = (nsb_limit_write){ .file = file };
	return write;
}

static int plain(translation *t, const char *v1, const char *v2)
{
	nsb_limit_write *write = next(t, t->version == 1 ? v1 : v2);

	snprintf(write->text, sizeof(write->text), "%s", t->value);
	return 0;
}

static int pids_max(translation *t)
{
	return plain(t, "pids.max", "pids.max");
}

static int memory_max(translation *t)
{
	return plain(t, "memory.limit_in_bytes", "memory.max");
}

static int memory_high(translation *t)
{
	/* soft_limit_in_bytes is something else: it slows nobody down */
	if (t->version == 1)
		return nsb_error_set(t->error, ENOTSUP, "memory_high: control groups version 1 have no such limit");
	return plain(t, NULL, "memory.high");
}

static int swap_max(translation *t)
{
	nsb_limit_write *write;

	if (t->version == 2)
		return plain(t, NULL, "memory.swap.max");
	if (t->memory == INT64_MAX)
		return nsb_error_set(
			t->error, ENOTSUP,
			"swap_max: control groups version 1 limit memory and swap together: set memory_max "
			"as well");
	write = next(t, "memory.memsw.limit_in_bytes");
	snprintf(write->text, sizeof(write->text), "%" PRId64,
		 t->number > INT64_MAX - t->memory ? INT64_MAX : t->memory + t->number);
	return 0;
}

static int cpu_max(translation *t)
{
	int64_t quota = t->number / (1000000 / CPU_PERIOD);

	if (t->version == 1) {
		snprintf(next(t, "cpu.cfs_period_us")->text, NSB_LIMIT_TEXT_MAX, "%d", CPU_PERIOD);
		snprintf(next(t, "cpu.cfs_quota_us")->text, NSB_LIMIT_TEXT_MAX, "%" PRId64, quota);
	} else {
		snprintf(next(t, "cpu.max")->text, NSB_LIMIT_TEXT_MAX, "%" PRId64 " %d", quota, CPU_PERIOD);
	}
	return 0;
}

static int cpu_weight(translation *t)
{
	int64_t shares = t->number * 1024 / NSB_WEIGHT_DEFAULT;

	if (t->version == 2)
		return plain(t, NULL, "cpu.weight");
	snprintf(next(t, "cpu.shares")->text, NSB_LIMIT_TEXT_MAX, "%" PRId64,
		 shares < 2	   ? 2
		 : shares > 262144 ? 262144
				   : shares);
	return 0;
}

static int cpuset(translation *t)
{
	return plain(t, "cpuset.cpus", "cpuset.cpus");
}

/* 1 to 10000 around 100 become 1 to 1000 around 100, as bfq counts. */
static int64_t bfq_weight(int64_t weight)
{
	return weight <= NSB_WEIGHT_DEFAULT
		       ? weight
		       : NSB_WEIGHT_DEFAULT + (weight - NSB_WEIGHT_DEFAULT) * (1000 - NSB_WEIGHT_DEFAULT) /
						      (10000 - NSB_WEIGHT_DEFAULT);
}

static int io_weight(translation *t)
{
	nsb_limit_write *write = next(t, t->version == 1 ? "blkio.bfq.weight" : "io.weight");

	if (t->version == 1) {
		snprintf(write->text, sizeof(write->text), "%" PRId64, bfq_weight(t->number));
		return 0;
	}
	snprintf(write->text, sizeof(write->text), "default %" PRId64, t->number);
	write->or_file = "io.bfq.weight";
	snprintf(write->or_text, sizeof(write->or_text), "%" PRId64, bfq_weight(t->number));
	return 0;
}

static int io_max(translation *t)
{
	static const struct {
		const char *word, *v1;
	} parts[] = { { " rbps=", "blkio.throttle.read_bps_device" },
		      { " wbps=", "blkio.throttle.write_bps_device" },
		      { " riops=", "blkio.throttle.read_iops_device" },
		      { " wiops=", "blkio.throttle.write_iops_device" } };
	size_t device = strcspn(t->value, " ");

	if (t->version == 2)
		return plain(t, NULL, "io.max");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *at = strstr(t->value, parts[i].word);

		if (at == NULL)
			continue;
		at += strlen(parts[i].word);
		snprintf(next(t, parts[i].v1)->text, NSB_LIMIT_TEXT_MAX, "%.*s %.*s", (int)device, t->value,
			 (int)strcspn(at, " "), at);
	}
	return 0;
}

static const struct {
	const char *key;
	int (*translate)(translation *);
} translations[] = {
	{ "pids_max", pids_max }, { "memory_max", memory_max }, { "memory_high", memory_high },
	{ "swap_max", swap_max }, { "cpu_max", cpu_max },	{ "cpu_weight", cpu_weight },
	{ "cpuset", cpuset },	  { "io_weight", io_weight },	{ "io_max", io_max },
};

int limits_translate(const nsb_limit *limit, const char *value, int version, int64_t memory, nsb_limit_writes *ret,
		     nsb_error *error)
{
	translation t = { .limit = limit,
			  .value = value,
			  .number = strtoll(value, NULL, 10),
			  .version = version,
			  .memory = memory,
			  .writes = ret,
			  .error = error };

	ret->n = 0;
	for (size_t i = 0; i < sizeof(translations) / sizeof(translations[0]); i++)
		if (strcmp(translations[i].key, limit->box_key) == 0)
			return translations[i].translate(&t);
	return nsb_error_set(error, ENOTSUP, "%s: nobody knows how to set it", limit->key);
}

int limits_write(int group, const nsb_limit *limit, const nsb_limit_writes *writes, nsb_error *error)
{
	for (size_t i = 0; i < writes->n; i++) {
		const nsb_limit_write *write = &writes->items[i];
		const char *file = write->file, *text = write->text;
		int r = nsb_write_text_at(group, file, text);

		if (r == -ENOENT && write->or_file != NULL) {
			file = write->or_file;
			text = write->or_text;
			r = nsb_write_text_at(group, file, text);
		}
		if (r == -ENOENT)
			return nsb_error_set(error, r, "%s: this kernel's control groups have no %s", limit->key,
					     write->file);
		if (r == -EINVAL && limit->user && limit->kind == NSB_LIMIT_CPU)
			return nsb_error_set(error, r,
					     "%s: version 1 does not lower it below the cpu_max of a box that the user "
					     "has already",
					     limit->key);
		if (r < 0)
			return nsb_error_set(error, r, "%s: cannot write \"%s\" to %s: %s", limit->key, text, file,
					     strerror(-r));
	}
	return 0;
}

const char *limits_probe_file(nsb_controller controller, int version)
{
	static const char *const files[NSB_CONTROLLERS][2] = {
		[NSB_CONTROLLER_PIDS] = { "pids.current", "pids.current" },
		[NSB_CONTROLLER_MEMORY] = { "memory.usage_in_bytes", "memory.current" },
		[NSB_CONTROLLER_CPU] = { "cpu.shares", "cpu.weight" },
		[NSB_CONTROLLER_CPUSET] = { "cpuset.cpus", "cpuset.cpus" },
		[NSB_CONTROLLER_IO] = { "blkio.reset_stats", "io.stat" },
		[NSB_CONTROLLER_CPUACCT] = { "cpuacct.usage", NULL },
	};

	return files[controller][version - 1];
}
