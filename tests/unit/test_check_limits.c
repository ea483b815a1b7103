/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a host can hold what a plan limits, on machines of plain files. Linked with --wrap=fopen: /proc/self/mountinfo
 * and /proc/self/cgroup are files in the directory of the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/settings.h"
#include "common/string-util.h"
#include "helper/check-limits.h"
#include "helper/limits.h"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

static char base[] = "/tmp/nsbox-test-check-XXXXXX";
static nsb_cgroup_layout *layout;

int __wrap_open(const char *path, int flags, ...)
{
	const char *name = nsb_after_prefix(path, "/proc/self/");

	assert_int_equal(flags & O_CREAT, 0); /* no mode */
	return __real_open(name != NULL ? name : path, flags);
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static int make_base(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	layout = calloc(1, sizeof(*layout));
	return mkdtemp(base) != NULL && chdir(base) == 0 && mkdir("pids", 0755) == 0 && mkdir("cg", 0755) == 0 ? 0 : -1;
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	free(layout);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return chdir("/") < 0 ? -1 : system(command);
}

/* Version 2 with these controllers. */
static void make_v2(const char *controllers)
{
	char line[256];

	snprintf(line, sizeof(line), "1 1 0:1 / %s/cg rw - cgroup2 none rw\n", base);
	put("mountinfo", line);
	put("cgroup", "0::/\n");
	put("cg/cgroup.controllers", controllers);
}

/* Version 1 with pids and memory in one tree. */
static void make_v1(void)
{
	char line[256];

	snprintf(line, sizeof(line), "1 1 0:1 / %s/pids rw - cgroup none rw,memory,pids\n", base);
	put("mountinfo", line);
	put("cgroup", "2:memory,pids:/\n");
}

/* The group that is looked at for files; made by the first box. */
static void make_monitors(const char *tree)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/nsbox", tree);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/nsbox/monitors", tree);
	assert_int_equal(mkdir(path, 0755), 0);
}

#define BOX "user-2001/k3j5h7g9fx"
#define LIMIT(key, group, value) { .op = NSB_OP_LIMIT, .src = (char *)(key), .dst = (char *)(group), .data = (char *)(value) }
#define N(steps) (sizeof(steps) / sizeof((steps)[0]))

static int check(nsb_step *steps, size_t n, nsb_error *error)
{
	const nsb_plan plan = { .steps = steps,
				.n_steps = n,
				.cgroup_manager = NSB_CGROUP_MANAGER_CGROUPFS,
				.cgroup_parent = (char *)"nsbox" };

	*error = (nsb_error){ .stage = NSB_STAGE_CHECK };
	return check_limits(&plan, layout, error);
}

static void assert_checked(nsb_step *steps, size_t n)
{
	nsb_error error;
	int r = check(steps, n, &error);

	if (r < 0)
		print_error("%s\n", error.words);
	assert_int_equal(r, 0);
	assert_string_equal(error.words, "");
	assert_string_equal(layout->base, "nsbox");
}

static void assert_refused(nsb_step *steps, size_t n, int r, const char *words)
{
	nsb_error error;

	assert_int_equal(check(steps, n, &error), r);
	if (strstr(error.words, words) == NULL)
		print_error("%s\n", error.words);
	assert_non_null(strstr(error.words, words));
	assert_int_equal(error.stage, NSB_STAGE_CHECK);
	assert_int_equal(error.err, -r);
}

static void all_there(void **state)
{
	nsb_step steps[] = { { .op = NSB_OP_CGROUP, .src = (char *)"nsbox", .dst = (char *)BOX },
			     LIMIT("user_memory_max", "user-2001", "50%"),
			     LIMIT("pids_max", BOX, "256"),
			     LIMIT("memory_max", BOX, "1048576"),
			     LIMIT("memory_high", BOX, "1%"),
			     LIMIT("cpuset", BOX, "0") };

	(void)state;
	make_v2("cpuset memory pids\n");
	assert_checked(steps, N(steps));
	assert_int_equal(layout->trees[0].controllers,
			 1u << NSB_CONTROLLER_PIDS | 1u << NSB_CONTROLLER_MEMORY | 1u << NSB_CONTROLLER_CPUSET);
	assert_checked(steps, 0);
}

static void missing_controller(void **state)
{
	nsb_step steps[] = { LIMIT("pids_max", BOX, "256"), LIMIT("io_weight", BOX, "200") };

	(void)state;
	make_v2("memory pids\n");
	assert_refused(steps, 2, -ENOTSUP, "io_weight: the io controller is missing in /tmp/");
	assert_refused(steps, 2, -ENOTSUP, "limits_optional = yes does without");
	steps[1].flags = NSB_STEP_OPTIONAL;
	assert_checked(steps, 2);
	assert_int_equal(layout->tree_of[NSB_CONTROLLER_IO], -1);
}

/* What version 1 cannot do at all. */
static void missing_in_version_1(void **state)
{
	nsb_step high[] = { LIMIT("memory_high", BOX, "1048576") };
	nsb_step swap[] = { LIMIT("user_memory_max", "user-2001", "1048576"), LIMIT("swap_max", BOX, "1048576") };

	(void)state;
	make_v1();
	assert_refused(high, 1, -ENOTSUP, "memory_high: control groups version 1");
	high[0].flags = NSB_STEP_OPTIONAL;
	assert_checked(high, 1);
	/* the user's memory is not the box's */
	assert_refused(swap, 2, -ENOTSUP, "set memory_max as well");
	swap[0].src = (char *)"memory_max";
	assert_refused(swap, 2, -ENOTSUP, "set memory_max as well");
	swap[0].dst = (char *)BOX;
	assert_checked(swap, 2);
}

/* A limit that the kernel was built without is seen in a group that has the controller. */
static void missing_file(void **state)
{
	nsb_step steps[] = { LIMIT("swap_max", BOX, "0") };

	(void)state;
	make_v2("memory pids\n");
	assert_checked(steps, 1); /* no group yet: not known */
	make_monitors("cg");
	assert_checked(steps, 1); /* a group without the controller: not known either */
	put("cg/nsbox/monitors/memory.current", "0\n");
	assert_refused(steps, 1, -ENOTSUP, "swap_max: this kernel's control groups have no memory.swap.max");
	steps[0].flags = NSB_STEP_OPTIONAL;
	assert_checked(steps, 1);
	steps[0].flags = 0;
	put("cg/nsbox/monitors/memory.swap.max", "max\n");
	assert_checked(steps, 1);
}

static void one_of_two_files(void **state)
{
	nsb_step steps[] = { LIMIT("io_weight", BOX, "200") };

	(void)state;
	make_v2("io pids\n");
	make_monitors("cg");
	put("cg/nsbox/monitors/io.stat", "");
	assert_refused(steps, 1, -ENOTSUP, "no io.weight");
	put("cg/nsbox/monitors/io.bfq.weight", "");
	assert_checked(steps, 1);
	assert_int_equal(unlink("cg/nsbox/monitors/io.bfq.weight"), 0);
	put("cg/nsbox/monitors/io.weight", "");
	assert_checked(steps, 1);
}

/* A CPU that is not there is wrong, not missing: limits_optional does not help. */
static void missing_cpu(void **state)
{
	nsb_step steps[] = { LIMIT("pids_max", BOX, "256"), LIMIT("cpuset", BOX, "0,8191") };

	(void)state;
	make_v2("cpuset pids\n");
	assert_refused(steps, 2, -EINVAL, "cpuset = 0,8191: this machine has the CPUs 0");
	steps[1].flags = NSB_STEP_OPTIONAL;
	assert_refused(steps, 2, -EINVAL, "cpuset = 0,8191: this machine has the CPUs 0");
	steps[1].data = (char *)"0";
	assert_checked(steps, 2);
	/* version 2 takes what it cannot give */
	put("cg/cpuset.cpus", "1\n");
	assert_checked(steps, 2);
}

/* Version 1 takes no more than the group above has: that of all boxes, or the one it will be copied from. */
static void cpu_that_is_not_above(void **state)
{
	nsb_step steps[] = { LIMIT("cpuset", BOX, "0") };
	char line[256];

	(void)state;
	snprintf(line, sizeof(line), "1 1 0:1 / %s/pids rw - cgroup none rw,cpuset,pids\n", base);
	put("mountinfo", line);
	put("cgroup", "2:cpuset,pids:/\n");
	assert_checked(steps, 1); /* nothing there to look at */
	put("pids/cpuset.cpus", "1-3\n");
	assert_refused(steps, 1, -EINVAL, "cpuset = 0: the control group above has the CPUs 1-3: name no others, or write more into ");
	assert_refused(steps, 1, -EINVAL, "/pids/cpuset.cpus");
	make_monitors("pids");
	put("pids/nsbox/cpuset.cpus", "0-3\n");
	assert_checked(steps, 1);
	put("pids/nsbox/cpuset.cpus", "2\n");
	assert_refused(steps, 1, -EINVAL, "/pids/nsbox/cpuset.cpus");
}

/* The sentence begins with the line that wants it; what is wrong with a value is not optional. */
static void lines(void **state)
{
	nsb_step steps[] = { LIMIT("pids_max", BOX, "256"), LIMIT("io_max", BOX, "/no/such/disk rbps=1") };

	(void)state;
	make_v2("io pids\n");
	steps[1].origin = (nsb_origin){ .file = "/etc/x.conf", .line = 17 };
	assert_refused(steps, 2, -ENOENT, "/etc/x.conf:17: io_max: cannot look at /no/such/disk: ");
	steps[1].flags = NSB_STEP_OPTIONAL;
	assert_refused(steps, 2, -ENOENT, "/etc/x.conf:17: io_max: ");
	steps[1].data = (char *)"/proc/self/status rbps=1";
	assert_refused(steps, 2, -ENODEV, "/etc/x.conf:17: io_max: /proc/self/status is on no disk");
}

static void no_trees(void **state)
{
	nsb_step steps[] = { LIMIT("pids_max", BOX, "256") };

	(void)state;
	put("mountinfo", "");
	put("cgroup", "");
	assert_refused(steps, 1, -ENOENT, "no cgroup tree is mounted");
}

static void memory_of_the_same_group(void **state)
{
	nsb_step steps[] = { LIMIT("user_memory_max", "user-2001", "3000"), LIMIT("memory_max", BOX, "100%"),
			     LIMIT("swap_max", BOX, "1"),		    LIMIT("swap_max", "user-2001", "1"),
			     LIMIT("swap_max", "k3j5h7g9fx", "1") };
	const nsb_plan plan = { .steps = steps, .n_steps = N(steps) };
	nsb_machine machine;

	(void)state;
	assert_int_equal(limits_machine(&machine, NULL), 0);
	assert_true(check_limits_memory(&plan, &steps[2]) == (int64_t)(machine.memory / 10000 * 10000));
	assert_true(check_limits_memory(&plan, &steps[3]) == 3000);
	assert_true(check_limits_memory(&plan, &steps[4]) == INT64_MAX);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_there),
		TEST(missing_controller),
		TEST(missing_in_version_1),
		TEST(missing_file),
		TEST(one_of_two_files),
		TEST(missing_cpu),
		TEST(cpu_that_is_not_above),
		TEST(lines),
		TEST(no_trees),
		TEST(memory_of_the_same_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
