/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel has and how it is set. What profiles want of it counts, if there are any. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/plan.h"
#include "common/string-util.h"
#include "ctl/doctor.h"
#include "ctl/profile-plan.h"
#include "ctl/sysctl-table.h"
#include "helper/check-limits.h"
#include "helper/check.h"

#define SYSCTLS		"/proc/sys/"
#define CORE_PATTERN	SYSCTLS "kernel/core_pattern"
#define USER_NAMESPACES SYSCTLS "user/max_user_namespaces"
#define BOXES_LEAST	1024
#define PID_MAX		SYSCTLS "kernel/pid_max"
#define FILTER_PROGRAM	NSB_LIBEXECDIR "/nsbox-seccomp"
#define SECCOMP		SYSCTLS "kernel/seccomp/actions_avail"

/* --- system calls, namespaces --- */

static void look_at_calls(doctor *d)
{
	nsb_error error = { 0 };

	if (check_kernel(&error) < 0)
		doctor_find(d, FINDING_PROBLEM, "", error.words,
			    "boot a kernel of Linux 5.12 or later, or start nsbox outside the filter: no login can be "
			    "boxed");
}

/* A kernel that is built without a kind has no file for it. */
static void look_at_namespaces(doctor *d)
{
	for (size_t i = 0; i < nsb_n_namespaces; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", nsb_namespaces[i].proc);
		if (access(path, F_OK) < 0)
			doctor_find_new(
				d, FINDING_PROBLEM, path,
				nsb_format("this kernel has no %s namespaces", nsb_namespaces[i].key),
				"boot a kernel that has them (Debian's do), or leave the word out of namespaces in "
				"nsbox.conf(5), where it can be left out");
	}
}

/* --- sysctls --- */

static ssize_t read_sysctl(doctor *d, const char *path, char *buffer, size_t size)
{
	ssize_t n = nsb_read_text_at(AT_FDCWD, path, buffer, size);

	if (n < 0)
		doctor_unseen(d, path, (int)n);
	else
		buffer[strcspn(buffer, "\n")] = '\0';
	return n;
}

static char *sysctl_remedy(const char *name, const char *value)
{
	return nsb_format("write \"%s = %s\" into /etc/sysctl.d/60-nsbox.conf, then run: sysctl --system", name, value);
}

static void look_at_sysctl(doctor *d, const sysctl_row *row)
{
	NSB_FREE char *remedy = sysctl_remedy(row->name, row->wanted);
	char name[SYSCTL_PATH_SIZE], path[SYSCTL_PATH_SIZE + sizeof(SYSCTLS)], value[256];

	sysctl_path(row->name, name);
	snprintf(path, sizeof(path), SYSCTLS "%s", name);
	/* a kernel without the file has not what it is about, or no way to set it */
	if (read_sysctl(d, path, value, sizeof(value)) < 0 || sysctl_is_good(row, value))
		return;
	doctor_find_new(d, row->severity, path, nsb_format("it is %s: %s", value, row->why), remedy);
}

static void look_at_sysctls(doctor *d)
{
	for (size_t i = 0; i < sysctl_n_rows; i++) {
		doctor_begin(d, sysctl_rows[i].name);
		look_at_sysctl(d, &sysctl_rows[i]);
		doctor_end(d);
	}
}

/* --- what profiles want --- */

typedef struct wish {
	doctor *d;
	bool any; /* some profile wants it */
	uint64_t largest;
	const nsb_section *whose;
} wish;

static void wants_core(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	wish *w = argument;

	if (settings->core && !w->any)
		*w = (wish){ .d = w->d, .any = true, .whose = profile };
}

static void look_at_core_pattern(doctor *d)
{
	NSB_FREE char *remedy = sysctl_remedy("kernel.core_pattern", "core");
	char value[512];
	wish core = { .d = d };

	if (read_sysctl(d, CORE_PATTERN, value, sizeof(value)) < 0 || sysctl_core_handler(value) == '\0')
		return;
	profiles_each(d->config, wants_core, &core);
	if (core.any)
		doctor_find_new(
			d, FINDING_WARNING, CORE_PATTERN,
			nsb_format(
				"it is \"%s\", and profile %s has core = yes: a crash in a box starts that outside, as "
				"root, with memory and names that the user chose",
				value, core.whose->name),
			"remove core = yes from the profile");
	else
		doctor_find_new(
			d, FINDING_NOTE, CORE_PATTERN,
			nsb_format(
				"it is \"%s\": core dumps go to a handler outside that is root; boxes are kept from it "
				"by their limit alone",
				value),
			remedy);
}

/* The same of a number. False where there is none to judge. */
static bool read_count(doctor *d, const char *path, uint64_t *ret)
{
	char value[64];

	return read_sysctl(d, path, value, sizeof(value)) >= 0 && nsb_parse_u64(value, INT64_MAX, ret) == 0;
}

static void wants_processes(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	wish *w = argument;

	if (settings->pids_max != NSB_INFINITY && (uint64_t)settings->pids_max > w->largest)
		*w = (wish){ .d = w->d, .any = true, .largest = (uint64_t)settings->pids_max, .whose = profile };
}

static void look_at_pid_max(doctor *d)
{
	NSB_FREE char *remedy = sysctl_remedy("kernel.pid_max", "4194304");
	wish processes = { .d = d };
	uint64_t most;

	if (!read_count(d, PID_MAX, &most))
		return;
	profiles_each(d->config, wants_processes, &processes);
	if (!processes.any || processes.largest < most / 2)
		return;
	doctor_find_new(d, FINDING_WARNING, PID_MAX,
			nsb_format("the whole host may have %" PRIu64 " processes, one box of profile %s %" PRIu64
				   ": few users leave the others without",
				   most, processes.whose->name, processes.largest),
			remedy);
}

static void wants_user_namespace(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	wish *w = argument;

	if (settings->user_namespace == NSB_USER_NAMESPACE_KEEP_ID && !w->any)
		*w = (wish){ .d = w->d, .any = true, .whose = profile };
}

/* Hosts set it to 0 to keep users from making any; a box with keep-id takes one as well. */
static void look_at_user_namespaces(doctor *d)
{
	NSB_FREE char *remedy = sysctl_remedy("user.max_user_namespaces", "16384");
	wish keep_id = { .d = d };
	uint64_t most;

	if (!read_count(d, USER_NAMESPACES, &most))
		return;
	profiles_each(d->config, wants_user_namespace, &keep_id);
	if (keep_id.any && most < BOXES_LEAST)
		doctor_find_new(
			d, FINDING_PROBLEM, USER_NAMESPACES,
			nsb_format(
				"it is %" PRIu64 ", and profile %s has user_namespace = keep-id: each box takes one, "
				"and when they are used up, logins are refused",
				most, keep_id.whose->name),
			remedy);
}

static void wants_seccomp(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	wish *w = argument;

	if (settings->seccomp != NSB_SECCOMP_OFF && !w->any)
		*w = (wish){ .d = w->d, .any = true, .whose = profile };
}

static void tell_seccomp(doctor *d, const nsb_section *whose, const char *where, const char *what, const char *remedy)
{
	if (whose != NULL)
		doctor_find_new(d, FINDING_PROBLEM, where,
				nsb_format("%s, and profile %s wants it: logins are refused", what, whose->name),
				remedy);
	else
		doctor_find(d, FINDING_NOTE, where, what, remedy);
}

static void look_at_seccomp(doctor *d)
{
	wish seccomp = { .d = d };
	char value[512];

	profiles_each(d->config, wants_seccomp, &seccomp);
	if (nsb_read_text_at(AT_FDCWD, SECCOMP, value, sizeof(value)) < 0 || strstr(value, "errno") == NULL)
		tell_seccomp(d, seccomp.whose, SECCOMP, "this kernel cannot filter system calls",
			     "boot a kernel that is built with CONFIG_SECCOMP_FILTER (Debian's are), or write seccomp "
			     "= off");
	if (access(FILTER_PROGRAM, F_OK) < 0 && errno == ENOENT)
		tell_seccomp(d, seccomp.whose, FILTER_PROGRAM,
			     "the program that makes filters of system calls is missing",
			     "install nsbox built with libseccomp, or write seccomp = off");
}

/* --- file systems of roots --- */

/* Whether the kernel has it, or a module that it will load when it is mounted. */
static bool has_filesystem(const char *name)
{
	NSB_FREE char *listed = nsb_format("\t%s\n", name), *module = nsb_format("/%s.ko", name);
	NSB_FREE char *text = malloc(1024 * 1024);
	static const char *const lists[] = { "modules.dep", "modules.builtin" };
	struct utsname host;

	if (listed == NULL || module == NULL || text == NULL || uname(&host) < 0)
		return true; /* nothing can be said */
	if (nsb_read_text_at(AT_FDCWD, "/proc/filesystems", text, 65536) >= 0 && strstr(text, listed) != NULL)
		return true;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		NSB_FREE char *path = nsb_format("/lib/modules/%s/%s", host.release, lists[i]);
		ssize_t n = path != NULL ? nsb_read_text_at(AT_FDCWD, path, text, 1024 * 1024) : 0;

		if (n > 0 && strstr(text, module) != NULL)
			return true;
	}
	return false;
}

static void look_at_overlay(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	doctor *d = argument;
	NSB_FREE char *where = doctor_origin(profile->at);

	if (strcmp(settings->overlay, "no") == 0 && settings->layers.n == 0 && settings->home != NSB_HOME_OVERLAY)
		return;
	if (!has_filesystem("overlay"))
		doctor_find_new(
			d, FINDING_PROBLEM, where,
			nsb_format("profile %s wants an overlay, which this kernel does not have", profile->name),
			"install the kernel's module overlay, or set overlay, layers and home otherwise");
}

static void look_at_image(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	doctor *d = argument;
	static const struct {
		const char *name;
		size_t offset;
		unsigned char magic[4];
	} images[] = { { "squashfs", 0, { 'h', 's', 'q', 's' } }, { "erofs", 1024, { 0xe2, 0xe1, 0xf5, 0xe0 } } };
	NSB_FREE char *where = doctor_origin(profile->at);
	NSB_CLOSE int fd = settings->root[0] == '/' ? open(settings->root, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		unsigned char found[4];

		if (fd < 0 || pread(fd, found, 4, (off_t)images[i].offset) != 4 ||
		    memcmp(found, images[i].magic, 4) != 0 || has_filesystem(images[i].name))
			continue;
		doctor_find_new(d, FINDING_PROBLEM, where,
				nsb_format("the root of profile %s is an image of %s, which this kernel does not have",
					   profile->name, images[i].name),
				"install the kernel's module, or unpack the image");
	}
}

static void look_at_filesystems(doctor *d)
{
	profiles_each(d->config, look_at_overlay, d);
	profiles_each(d->config, look_at_image, d);
}

/* --- limits --- */

static void look_at_limits_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	doctor *d = argument;
	__attribute__((cleanup(nsb_plan_done))) nsb_plan plan = { 0 };
	NSB_FREE nsb_cgroup_layout *layout = calloc(1, sizeof(*layout));
	NSB_FREE char *where = doctor_origin(profile->at);
	nsb_error error = { 0 };
	int r = layout == NULL ? -ENOMEM : profile_plan(settings, &d->accounts, &plan);

	if (r == -ENOENT || r == -EINVAL || r == -EBADMSG)
		return; /* nobody to try it on; what does not fit is told among the profiles */
	if (r == 0)
		r = check_limits(&plan, layout, &error);
	if (r < 0)
		doctor_find_new(d, FINDING_PROBLEM, where,
				nsb_format("logins of profile %s are refused: %s", profile->name,
					   error.words[0] != '\0' ? error.words : strerror(-r)),
				"give the host that controller (mount the control groups, or boot with it), or set "
				"limits_optional = yes in the profile");
}

static void look_at_limits(doctor *d)
{
	profiles_each(d->config, look_at_limits_of, d);
}

static const doctor_check checks[] = {
	{ "system-calls", look_at_calls, NULL },
	{ "namespaces", look_at_namespaces, NULL },
	{ NULL, look_at_sysctls, NULL },
	{ "kernel.core_pattern", look_at_core_pattern, NULL },
	{ "kernel.pid_max", look_at_pid_max, NULL },
	{ "user.max_user_namespaces", look_at_user_namespaces, NULL },
	{ "seccomp", look_at_seccomp, NULL },
	{ "file-systems", look_at_filesystems, NULL },
	{ "limits", look_at_limits, "whether the control groups can hold the limits of profiles" },
};
const doctor_subject doctor_kernel = { "kernel", checks, sizeof(checks) / sizeof(checks[0]) };
