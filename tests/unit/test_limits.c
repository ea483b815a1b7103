/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From limits to what is written into control groups: shares of the machine, disks, both versions. The disks and
 * /proc/meminfo are files below a directory of the test's own. Linked with --wrap=openat,--wrap=stat,--wrap=write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/string-util.h"
#include "helper/limits.h"

int __real_openat(int dirfd, const char *path, int flags, ...);
int __wrap_openat(int dirfd, const char *path, int flags, ...);
int __real_stat(const char *path, struct stat *ret);
int __wrap_stat(const char *path, struct stat *ret);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

static char base[] = "/tmp/nsbox-test-limits-XXXXXX";
static bool real_machine;
static int writes_left, write_errno; /* after so many writes they fail with this */

/* What there is on the machine of the test: devices, and files on file systems. */
static const struct {
	const char *path;
	mode_t mode;
	unsigned major, minor; /* of the device; of a file: of its file system */
} nodes[] = {
	{ "/dev/sda", S_IFBLK, 8, 0 },	      { "/dev/sda1", S_IFBLK, 8, 1 },	  { "/dev/broken1", S_IFBLK, 8, 17 },
	{ "/dev/nvme0n1p3", S_IFBLK, 259, 3 }, { "/dev/loop7", S_IFBLK, 7, 7 },	  { "/dev/gone", S_IFBLK, 8, 32 },
	{ "/dev/null", S_IFCHR, 0, 5 },	      { "/srv/on-sda1", S_IFREG, 8, 1 },  { "/srv/on-loop7", S_IFDIR, 7, 7 },
	{ "/tmp/on-tmpfs", S_IFREG, 0, 37 },  { "/srv/on-btrfs", S_IFDIR, 0, 45 },
};

/* /sys and /proc/meminfo are below `base`. */
static const char *moved(const char *path, char buffer[PATH_MAX])
{
	if (real_machine || (nsb_after_prefix(path, "/sys/") == NULL && strcmp(path, "/proc/meminfo") != 0))
		return path;
	snprintf(buffer, PATH_MAX, "%s%s", base, path);
	return buffer;
}

int __wrap_openat(int dirfd, const char *path, int flags, ...)
{
	char buffer[PATH_MAX];

	return __real_openat(dirfd, moved(path, buffer), flags);
}

int __wrap_stat(const char *path, struct stat *ret)
{
	char buffer[PATH_MAX];

	for (size_t i = 0; !real_machine && i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (strcmp(path, nodes[i].path) == 0) {
			bool block = nodes[i].mode == S_IFBLK;

			*ret = (struct stat){ .st_mode = nodes[i].mode };
			ret->st_dev = block ? makedev(0, 5) : makedev(nodes[i].major, nodes[i].minor);
			ret->st_rdev = block ? makedev(nodes[i].major, nodes[i].minor) : makedev(1, 3);
			return 0;
		}
	return __real_stat(moved(path, buffer), ret);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (write_errno != 0 && writes_left-- <= 0) {
		errno = write_errno;
		return -1;
	}
	return __real_write(fd, data, size);
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* sda with a partition, an NVMe disk with one, a loop device, and one whose disk has no number. */
static void make_disks(void)
{
	static const char *const directories[] = { "sys", "sys/dev", "sys/dev/block", "sys/devices", "sys/devices/system",
						   "sys/devices/system/cpu", "sys/devices/sda",
						   "sys/devices/sda/sda1", "sys/devices/nvme0n1",
						   "sys/devices/nvme0n1/nvme0n1p3", "sys/devices/loop7",
						   "sys/devices/broken", "sys/devices/broken/broken1" };
	static const char *const links[][2] = {
		{ "8:0", "sda" },     { "8:1", "sda/sda1" },	     { "259:0", "nvme0n1" }, { "259:3", "nvme0n1/nvme0n1p3" },
		{ "7:7", "loop7" }, { "8:17", "broken/broken1" },
	};

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		assert_int_equal(mkdir(directories[i], 0755), 0);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char target[128], path[64];

		snprintf(target, sizeof(target), "../../devices/%s", links[i][1]);
		snprintf(path, sizeof(path), "sys/dev/block/%s", links[i][0]);
		assert_int_equal(symlink(target, path), 0);
	}
	put("sys/devices/sda/dev", "8:0\n");
	put("sys/devices/sda/sda1/dev", "8:1\n");
	put("sys/devices/sda/sda1/partition", "1\n");
	put("sys/devices/nvme0n1/dev", "259:0\n");
	put("sys/devices/nvme0n1/nvme0n1p3/partition", "3\n");
	put("sys/devices/loop7/dev", "7:7\n");
	put("sys/devices/broken/broken1/partition", "1\n");
}

static int make_base(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	if (mkdtemp(base) == NULL || chdir(base) < 0 || mkdir("proc", 0755) < 0)
		return -1;
	make_disks();
	real_machine = false;
	write_errno = writes_left = 0;
	return 0;
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return chdir("/") < 0 ? -1 : system(command);
}

/* --- the machine --- */

static void machine_memory(void **state)
{
	nsb_machine machine;
	nsb_error error = { 0 };

	(void)state;
	put("proc/meminfo", "MemTotal:       16384000 kB\nMemFree:          123456 kB\nSwapCached:            7 kB\n"
			    "SwapTotal:       2097148 kB\nSwapFree:        2097148 kB\n");
	assert_int_equal(limits_machine(&machine, &error), 0);
	assert_true(machine.memory == 16384000ULL * 1024 && machine.swap == 2097148ULL * 1024);
	put("proc/meminfo", "MemTotal:       16384000 kB\nSwapTotal:             0 kB\n");
	assert_int_equal(limits_machine(&machine, &error), 0);
	assert_true(machine.swap == 0);
	put("proc/meminfo", "MemTotal:       16384000 kB\n"); /* a kernel without swap */
	assert_int_equal(limits_machine(&machine, &error), 0);
	assert_true(machine.swap == 0);
	assert_int_equal(unlink("proc/meminfo"), 0);
	assert_int_equal(limits_machine(&machine, &error), -ENOENT);
	assert_non_null(strstr(error.words, "/proc/meminfo"));
	real_machine = true;
	assert_int_equal(limits_machine(&machine, NULL), 0);
	assert_true(machine.memory > 1024 * 1024);
}

/* --- values --- */

static const nsb_limit *row(const char *key)
{
	const nsb_limit *limit = nsb_limit_find(key);

	assert_non_null(limit);
	return limit;
}

static void resolve_percentages(void **state)
{
	static const struct {
		const char *key, *value;
		uint64_t memory, swap;
		const char *expected;
	} rows[] = {
		{ "memory_max", "25%", 16000000000, 1, "4000000000" },
		{ "memory_max", "12.50%", 16000000000, 1, "2000000000" },
		{ "memory_max", "12.5%", 16000000000, 1, "2000000000" },
		{ "memory_max", "12.05%", 16000000000, 1, "1928000000" },
		{ "memory_max", "0.01%", 16000000000, 1, "1600000" },
		{ "memory_max", "0.10%", 16000000000, 1, "16000000" },
		{ "memory_max", "99.99%", 16000000000, 1, "15998400000" },
		{ "memory_max", "100%", 16000000000, 1, "16000000000" },
		{ "memory_high", "10%", 16000000000, 1, "1600000000" },
		{ "user_memory_max", "50%", 16000000000, 1, "8000000000" },
		/* downwards: never more than there is */
		{ "memory_max", "100%", 16000009999, 1, "16000000000" },
		{ "memory_max", "50%", 9999, 1, "0" },
		{ "memory_max", "100%", UINT64_MAX, 1, "18446744073709550000" },
		{ "swap_max", "10%", 1, 2000000000, "200000000" },
		{ "swap_max", "10%", 1, 0, "0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_machine machine = { .memory = rows[i].memory, .swap = rows[i].swap };
		char text[NSB_LIMIT_TEXT_MAX];

		assert_int_equal(limits_resolve(row(rows[i].key), rows[i].value, &machine, text, NULL), 0);
		assert_string_equal(text, rows[i].expected);
	}
}

static void machine_cpus(void **state)
{
	nsb_machine machine;
	nsb_error error = { 0 };
	char text[NSB_LIMIT_TEXT_MAX];

	(void)state;
	put("proc/meminfo", "MemTotal:       16384000 kB\n");
	assert_int_equal(limits_machine(&machine, &error), 0);
	assert_string_equal(machine.cpus, "");
	assert_int_equal(limits_resolve(row("cpuset"), "0-8191", &machine, text, &error), 0);
	put("sys/devices/system/cpu/possible", "0-3,8\n");
	assert_int_equal(limits_machine(&machine, &error), 0);
	assert_string_equal(machine.cpus, "0-3,8");
	assert_int_equal(limits_resolve(row("cpuset"), "8,1-3", &machine, text, &error), 0);
	assert_string_equal(text, "8,1-3");
	assert_int_equal(limits_resolve(row("cpuset"), "0-63", &machine, text, &error), -EINVAL);
	assert_string_equal(error.words, "cpuset = 0-63: this machine has the CPUs 0-3,8 "
					 "(/sys/devices/system/cpu/possible): name no others");
	real_machine = true;
	assert_int_equal(limits_machine(&machine, NULL), 0);
	assert_int_equal(machine.cpus[0], '0');
}

/* Everything else stays as it is, and is not cut off. */
static void resolve_others(void **state)
{
	static const char *const values[] = { "0", "1", "2147483648", "9223372036854775807", "0-3,8" };
	char text[NSB_LIMIT_TEXT_MAX], *list = calloc(1, NSB_LIMIT_TEXT_MAX + 1);
	nsb_machine machine = { .memory = 1 };
	nsb_error error = { 0 };

	(void)state;
	for (size_t i = 0; i < nsb_n_limits; i++)
		for (size_t j = 0; nsb_limits[i].kind != NSB_LIMIT_LIST && j < sizeof(values) / sizeof(values[0]); j++) {
			assert_int_equal(limits_resolve(&nsb_limits[i], values[j], &machine, text, NULL), 0);
			assert_string_equal(text, values[j]);
		}
	/* the longest one that the configuration takes */
	memset(list, '1', 1024);
	assert_int_equal(limits_resolve(row("cpuset"), list, &machine, text, &error), 0);
	assert_string_equal(text, list);
	memset(list, '1', NSB_LIMIT_TEXT_MAX);
	assert_int_equal(limits_resolve(row("cpuset"), list, &machine, text, &error), -EINVAL);
	assert_non_null(strstr(error.words, "cpuset"));
	free(list);
}

static void resolve_disks(void **state)
{
	static const struct {
		const char *value;
		int r;
		const char *expected; /* the text, or part of the sentence */
	} rows[] = {
		{ "/dev/sda rbps=1", 0, "8:0 rbps=1" },
		{ "/dev/sda rbps=1 wbps=2 riops=3 wiops=4", 0, "8:0 rbps=1 wbps=2 riops=3 wiops=4" },
		{ "/dev/sda1 rbps=1", 0, "8:0 rbps=1" },
		{ "/dev/nvme0n1p3 wiops=5", 0, "259:0 wiops=5" },
		{ "/dev/loop7 rbps=1", 0, "7:7 rbps=1" },
		{ "/srv/on-sda1 rbps=1", 0, "8:0 rbps=1" },
		{ "/srv/on-loop7 rbps=1", 0, "7:7 rbps=1" },
		{ "/tmp/on-tmpfs rbps=1", -ENODEV, "/tmp/on-tmpfs is on no disk (device 0:37)" },
		{ "/srv/on-btrfs rbps=1", -ENODEV, "name the disk, as in /dev/sda" },
		{ "/dev/null rbps=1", -ENODEV, "/dev/null is on no disk (device 0:5)" },
		{ "/dev/gone rbps=1", -ENODEV, "(device 8:32)" },
		{ "/dev/broken1 rbps=1", -ENODEV, "the disk that /dev/broken1 is a partition of" },
		{ "/no/such/device rbps=1", -ENOENT, "cannot look at /no/such/device: " },
	};
	char *value = calloc(1, 2 * NSB_LIMIT_TEXT_MAX);
	nsb_error error = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[NSB_LIMIT_TEXT_MAX] = "";
		int r;

		error = (nsb_error){ 0 };
		r = limits_resolve(row("io_max"), rows[i].value, NULL, text, &error);
		if (r != rows[i].r)
			print_error("%s: %d %s\n", rows[i].value, r, error.words);
		assert_int_equal(r, rows[i].r);
		if (r == 0)
			assert_string_equal(text, rows[i].expected);
		else if (strstr(error.words, rows[i].expected) == NULL || strstr(error.words, "io_max: ") == NULL)
			fail_msg("%s", error.words);
	}
	snprintf(value, 2 * NSB_LIMIT_TEXT_MAX, "/dev/sda %0*d", NSB_LIMIT_TEXT_MAX, 0);
	error = (nsb_error){ 0 };
	assert_int_equal(limits_resolve(row("io_max"), value, NULL, value, &error), -EINVAL);
	assert_non_null(strstr(error.words, "too long"));
	free(value);
}

/* The kernel's own /sys: what is there is what was taken for granted above. */
static void resolve_on_this_machine(void **state)
{
	char text[NSB_LIMIT_TEXT_MAX], expected[64];
	DIR *list = opendir("/sys/dev/block");
	const struct dirent *entry;
	nsb_error error = { 0 };
	unsigned found_major, found_minor, tried = 0;

	(void)state;
	real_machine = true;
	assert_int_equal(limits_resolve(row("io_max"), "/proc/self/status rbps=1", NULL, text, &error), -ENODEV);
	while (list != NULL && (entry = readdir(list)) != NULL && geteuid() == 0 && tried < 20) {
		char path[512];

		if (sscanf(entry->d_name, "%u:%u", &found_major, &found_minor) != 2)
			continue;
		snprintf(path, sizeof(path), "/sys/dev/block/%s/partition", entry->d_name);
		if (access(path, F_OK) == 0)
			continue;
		if (mknod("disk", S_IFBLK | 0600, makedev(found_major, found_minor)) < 0)
			break; /* not allowed here */
		tried++;
		assert_int_equal(limits_resolve(row("io_max"), "disk wbps=7", NULL, text, &error), 0);
		snprintf(expected, sizeof(expected), "%u:%u wbps=7", found_major, found_minor);
		assert_string_equal(text, expected);
		assert_int_equal(unlink("disk"), 0);
	}
	if (list != NULL)
		closedir(list);
}

/* --- what is written where --- */

#define NO_MEMORY INT64_MAX

/* `writes`: FILE=TEXT, one a line, perhaps " or FILE=TEXT" behind; or part of the sentence. */
static const struct {
	const char *key, *value;
	int version;
	int64_t memory;
	int r;
	const char *writes;
} translations[] = {
	{ "pids_max", "2048", 1, NO_MEMORY, 0, "pids.max=2048\n" },
	{ "pids_max", "2048", 2, NO_MEMORY, 0, "pids.max=2048\n" },
	{ "user_pids_max", "1000", 1, NO_MEMORY, 0, "pids.max=1000\n" },
	{ "user_pids_max", "1000", 2, NO_MEMORY, 0, "pids.max=1000\n" },
	{ "memory_max", "2147483648", 1, NO_MEMORY, 0, "memory.limit_in_bytes=2147483648\n" },
	{ "memory_max", "2147483648", 2, NO_MEMORY, 0, "memory.max=2147483648\n" },
	{ "user_memory_max", "4096000", 1, NO_MEMORY, 0, "memory.limit_in_bytes=4096000\n" },
	{ "user_memory_max", "4096000", 2, NO_MEMORY, 0, "memory.max=4096000\n" },
	{ "memory_high", "1048576", 1, NO_MEMORY, -ENOTSUP, "memory_high: control groups version 1 have no such limit" },
	{ "memory_high", "1048576", 2, NO_MEMORY, 0, "memory.high=1048576\n" },
	{ "swap_max", "1000", 1, NO_MEMORY, -ENOTSUP, "set memory_max as well" },
	{ "swap_max", "1000", 1, 5000, 0, "memory.memsw.limit_in_bytes=6000\n" },
	{ "swap_max", "0", 1, 5000, 0, "memory.memsw.limit_in_bytes=5000\n" },
	{ "swap_max", "9223372036854775806", 1, 5000, 0, "memory.memsw.limit_in_bytes=9223372036854775807\n" },
	{ "swap_max", "1000", 2, NO_MEMORY, 0, "memory.swap.max=1000\n" },
	{ "swap_max", "0", 2, 5000, 0, "memory.swap.max=0\n" },
	{ "cpu_max", "1500000", 1, NO_MEMORY, 0, "cpu.cfs_period_us=100000\ncpu.cfs_quota_us=150000\n" },
	{ "cpu_max", "1500000", 2, NO_MEMORY, 0, "cpu.max=150000 100000\n" },
	{ "cpu_max", "10000", 1, NO_MEMORY, 0, "cpu.cfs_period_us=100000\ncpu.cfs_quota_us=1000\n" }, /* 1%: the least */
	{ "cpu_max", "10000", 2, NO_MEMORY, 0, "cpu.max=1000 100000\n" },
	{ "cpu_max", "10000000000", 2, NO_MEMORY, 0, "cpu.max=1000000000 100000\n" },
	{ "user_cpu_max", "4000000", 1, NO_MEMORY, 0, "cpu.cfs_period_us=100000\ncpu.cfs_quota_us=400000\n" },
	{ "user_cpu_max", "4000000", 2, NO_MEMORY, 0, "cpu.max=400000 100000\n" },
	{ "cpu_weight", "100", 1, NO_MEMORY, 0, "cpu.shares=1024\n" },
	{ "cpu_weight", "50", 1, NO_MEMORY, 0, "cpu.shares=512\n" },
	{ "cpu_weight", "1", 1, NO_MEMORY, 0, "cpu.shares=10\n" },
	{ "cpu_weight", "10000", 1, NO_MEMORY, 0, "cpu.shares=102400\n" },
	{ "cpu_weight", "10000", 2, NO_MEMORY, 0, "cpu.weight=10000\n" },
	{ "cpu_weight", "1", 2, NO_MEMORY, 0, "cpu.weight=1\n" },
	{ "cpuset", "0-3,8", 1, NO_MEMORY, 0, "cpuset.cpus=0-3,8\n" },
	{ "cpuset", "0-3,8", 2, NO_MEMORY, 0, "cpuset.cpus=0-3,8\n" },
	{ "io_weight", "100", 1, NO_MEMORY, 0, "blkio.bfq.weight=100\n" },
	{ "io_weight", "1", 1, NO_MEMORY, 0, "blkio.bfq.weight=1\n" },
	{ "io_weight", "10000", 1, NO_MEMORY, 0, "blkio.bfq.weight=1000\n" },
	{ "io_weight", "5050", 1, NO_MEMORY, 0, "blkio.bfq.weight=550\n" },
	{ "io_weight", "101", 2, NO_MEMORY, 0, "io.weight=default 101 or io.bfq.weight=100\n" },
	{ "io_weight", "50", 2, NO_MEMORY, 0, "io.weight=default 50 or io.bfq.weight=50\n" },
	{ "io_weight", "10000", 2, NO_MEMORY, 0, "io.weight=default 10000 or io.bfq.weight=1000\n" },
	{ "io_max", "8:0 rbps=1 wbps=22 riops=333 wiops=4444", 1, NO_MEMORY, 0,
	  "blkio.throttle.read_bps_device=8:0 1\nblkio.throttle.write_bps_device=8:0 22\n"
	  "blkio.throttle.read_iops_device=8:0 333\nblkio.throttle.write_iops_device=8:0 4444\n" },
	{ "io_max", "259:12 wiops=5 rbps=6", 1, NO_MEMORY, 0,
	  "blkio.throttle.read_bps_device=259:12 6\nblkio.throttle.write_iops_device=259:12 5\n" },
	{ "io_max", "8:0 rbps=1 wbps=22", 2, NO_MEMORY, 0, "io.max=8:0 rbps=1 wbps=22\n" },
};
#define N_TRANSLATIONS (sizeof(translations) / sizeof(translations[0]))

/* The caller frees. */
static char *text_of(const nsb_limit_writes *writes)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < writes->n; i++) {
		const nsb_limit_write *write = &writes->items[i];

		fprintf(out, "%s=%s", write->file, write->text);
		if (write->or_file != NULL)
			fprintf(out, " or %s=%s", write->or_file, write->or_text);
		fputc('\n', out);
	}
	fclose(out);
	return text;
}

static void translate(void **state)
{
	nsb_limit_writes writes;

	(void)state;
	for (size_t i = 0; i < N_TRANSLATIONS; i++) {
		nsb_error error = { 0 };
		char *text;

		memset(&writes, 0x55, sizeof(writes));
		assert_int_equal(limits_translate(row(translations[i].key), translations[i].value, translations[i].version,
						  translations[i].memory, &writes, &error),
				 translations[i].r);
		if (translations[i].r < 0) {
			assert_non_null(strstr(error.words, translations[i].writes));
			continue;
		}
		assert_true(writes.n <= NSB_LIMIT_WRITES_MAX);
		text = text_of(&writes);
		assert_string_equal(text, translations[i].writes);
		free(text);
	}
}

/* Each limit in each version is in the table above. */
static void translate_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < nsb_n_limits; i++)
		for (int version = 1; version <= 2; version++) {
			bool found = false;

			for (size_t j = 0; j < N_TRANSLATIONS; j++)
				found |= strcmp(translations[j].key, nsb_limits[i].key) == 0 &&
					 translations[j].version == version;
			if (!found)
				fail_msg("%s in version %d", nsb_limits[i].key, version);
		}
}

static void translate_unknown(void **state)
{
	nsb_limit limit = { .key = "swap_high", .box_key = "swap_high" };
	nsb_limit_writes writes;
	nsb_error error = { 0 };

	(void)state;
	assert_int_equal(limits_translate(&limit, "1", 2, NO_MEMORY, &writes, &error), -ENOTSUP);
	assert_non_null(strstr(error.words, "swap_high"));
}

/* --- writing --- */

static int open_group(void)
{
	assert_true(mkdir("group", 0755) == 0 || errno == EEXIST);
	return open("group", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void assert_file(const char *name, const char *expected)
{
	char text[256] = "";
	FILE *in = fopen(name, "re");

	assert_non_null(in);
	assert_true(fread(text, 1, sizeof(text) - 1, in) < sizeof(text) - 1);
	fclose(in);
	assert_string_equal(text, expected);
}

static void write_files(void **state)
{
	nsb_limit_writes writes;
	int group = open_group();

	(void)state;
	put("group/cpu.cfs_period_us", "");
	put("group/cpu.cfs_quota_us", "");
	assert_int_equal(limits_translate(row("cpu_max"), "500000", 1, NO_MEMORY, &writes, NULL), 0);
	assert_int_equal(limits_write(group, row("cpu_max"), &writes, NULL), 0);
	assert_file("group/cpu.cfs_period_us", "100000");
	assert_file("group/cpu.cfs_quota_us", "50000");
	close(group);
}

/* Kernels without iocost have bfq's file, some have neither. */
static void write_other_file(void **state)
{
	nsb_limit_writes writes;
	nsb_error error = { 0 };
	int group = open_group();

	(void)state;
	assert_int_equal(limits_translate(row("io_weight"), "200", 2, NO_MEMORY, &writes, NULL), 0);
	assert_int_equal(limits_write(group, row("io_weight"), &writes, &error), -ENOENT);
	assert_string_equal(error.words, "io_weight: this kernel's control groups have no io.weight");
	assert_int_equal(access("group/io.weight", F_OK), -1); /* nothing is made */
	put("group/io.bfq.weight", "");
	assert_int_equal(limits_write(group, row("io_weight"), &writes, NULL), 0);
	assert_file("group/io.bfq.weight", "109");
	put("group/io.weight", "");
	put("group/io.bfq.weight", "");
	assert_int_equal(limits_write(group, row("io_weight"), &writes, NULL), 0);
	assert_file("group/io.weight", "default 200");
	assert_file("group/io.bfq.weight", "");
	close(group);
}

static void write_fails(void **state)
{
	static const int errors[] = { EINVAL, EBUSY, ENODEV, EOPNOTSUPP, ENOSPC };
	static const char *const words[] = { "cpu_max: cannot write \"100000\" to cpu.cfs_period_us: ",
					     "cpu_max: cannot write \"50000\" to cpu.cfs_quota_us: " };
	nsb_limit_writes writes;
	int group = open_group();

	(void)state;
	put("group/cpu.cfs_period_us", "");
	put("group/cpu.cfs_quota_us", "");
	put("group/io.bfq.weight", "");
	for (int n = 0; n < 2; n++)
		for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			nsb_error error = { 0 };

			assert_int_equal(limits_translate(row("cpu_max"), "500000", 1, NO_MEMORY, &writes, NULL), 0);
			write_errno = errors[i];
			writes_left = n;
			assert_int_equal(limits_write(group, row("cpu_max"), &writes, &error), -errors[i]);
			assert_ptr_equal(strstr(error.words, words[n]), error.words);
			/* of two files the sentence names the one that was written to */
			error = (nsb_error){ 0 };
			assert_int_equal(limits_translate(row("io_weight"), "50", 2, NO_MEMORY, &writes, NULL), 0);
			writes_left = 0;
			assert_int_equal(limits_write(group, row("io_weight"), &writes, &error), -errors[i]);
			assert_non_null(strstr(error.words, "\"50\" to io.bfq.weight"));
			write_errno = 0;
		}
	close(group);
}

static void probe_files(void **state)
{
	(void)state;
	for (int i = 0; i < NSB_CONTROLLERS; i++)
		for (int version = 1; version <= 2; version++) {
			const char *name = nsb_controller_name((nsb_controller)i, version);
			const char *file = limits_probe_file((nsb_controller)i, version);

			if (name == NULL) {
				assert_null(file);
				continue;
			}
			/* it is that controller's */
			assert_int_equal(strncmp(file, name, strlen(name)), 0);
			assert_int_equal(file[strlen(name)], '.');
		}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(machine_cpus),
		TEST(machine_memory),
		cmocka_unit_test(resolve_percentages),
		cmocka_unit_test(resolve_others),
		TEST(resolve_disks),
		TEST(resolve_on_this_machine),
		cmocka_unit_test(translate),
		cmocka_unit_test(translate_all),
		cmocka_unit_test(translate_unknown),
		TEST(write_files),
		TEST(write_other_file),
		TEST(write_fails),
		cmocka_unit_test(probe_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
