/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the plan that decides about the user's home. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

/* Made by the box itself: nothing of an account may lie there. */
static const char *const made_by_box[] = { "/proc", "/dev", "/sys", "/run" };

/* Accounts of services have their homes in these. With the host's tree something over them would take the programs or the
 * settings of the system away. */
static const char *const of_system[] = {
	"/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/boot"
};
#define N_OF_SYSTEM (sizeof(of_system) / sizeof(of_system[0]))
static const char *const of_system_alone[] = { "/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/var", "/var/tmp" };

static bool is_below_any(const char *path, const char *const *places, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (nsb_path_below(path, places[i]))
			return true;
	return false;
}

static bool is_of_system(const char *path)
{
	if (is_below_any(path, of_system, N_OF_SYSTEM))
		return true;
	for (size_t i = 0; i < sizeof(of_system_alone) / sizeof(of_system_alone[0]); i++)
		if (strcmp(path, of_system_alone[i]) == 0)
			return true;
	return false;
}

static int check_place(planner *p, const char *path, bool covers)
{
	for (size_t i = 0; i < sizeof(made_by_box) / sizeof(made_by_box[0]); i++)
		if (nsb_path_below(path, made_by_box[i]))
			return nsb_error_set(p->error, EINVAL,
					     "the home directory %s is no place for a home: mend the account", path);
	if (covers && p->plan->root_kind == NSB_ROOT_HOST && is_of_system(path))
		return nsb_error_set(p->error, EINVAL,
				     "the home directory %s is the system's, and the key home would hide it from the "
				     "session: mend the account, or write home = bind in a profile for it",
				     path);
	return 0;
}

static int plan_bind(planner *p, char *path)
{
	return plan_add(p, (nsb_step){ .op = NSB_OP_BIND,
				       .src = path,
				       .dst = path,
				       .flags = NSB_STEP_HOME | NSB_STEP_OPTIONAL | NSB_STEP_RECURSIVE |
						NSB_STEP_NOSUID | NSB_STEP_NODEV,
				       .why = "the user's home" });
}

static int plan_memory(planner *p, char *path, bool overlay)
{
	NSB_FREE char *size = plan_size_text(p->settings->home_size);
	NSB_FREE char *data =
		size != NULL ? nsb_format("mode=0700,uid=%u,gid=%u,size=%s", p->session->uid, p->session->gid, size)
			     : NULL;

	if (data == NULL)
		return -ENOMEM;
	return plan_add(p, (nsb_step){ .op = overlay ? NSB_OP_HOME_OVERLAY : NSB_OP_HOME_TMPFS,
				       .src = overlay ? path : NULL,
				       .dst = path,
				       .data = data,
				       .flags = NSB_STEP_HOME | NSB_STEP_OPTIONAL | NSB_STEP_NOSUID | NSB_STEP_NODEV,
				       .why = overlay ? "the user's home; what is changed is gone at logout"
						      : "an empty home, gone at logout" });
}

static int plan_none(planner *p, char *path)
{
	if (p->plan->root_kind != NSB_ROOT_HOST)
		return 0; /* nothing is bound */
	return plan_add(p, (nsb_step){ .op = NSB_OP_HOME_NONE,
				       .dst = path,
				       .flags = NSB_STEP_HOME | NSB_STEP_OPTIONAL | NSB_STEP_READ_ONLY |
						NSB_STEP_NOSUID | NSB_STEP_NODEV | NSB_STEP_NOEXEC,
				       .why = "the home is not for this session" });
}

int plan_home(planner *p)
{
	char path[PATH_MAX];
	int home = p->settings->home, r;

	if (p->plan->root_kind == NSB_ROOT_HOST && home == NSB_HOME_BIND && !p->settings->root_readonly)
		return 0; /* it is in the tree */
	r = nsb_path_normalize(p->session->home, path, sizeof(path));
	if (r < 0 || strcmp(path, "/") == 0)
		return 0; /* accounts without a home have such entries; the box has none for them either */
	if (p->plan->root_kind == NSB_ROOT_CURATED && is_below_any(path, of_system, N_OF_SYSTEM))
		return 0; /* accounts of the system: a curated root shows these places, or does not, by its own rows */
	r = check_place(p, path, home != NSB_HOME_BIND);
	if (r < 0)
		return r;
	switch (home) {
	case NSB_HOME_BIND:
		return plan_bind(p, path);
	case NSB_HOME_TMPFS:
	case NSB_HOME_OVERLAY:
		return plan_memory(p, path, home == NSB_HOME_OVERLAY);
	default:
		return plan_none(p, path);
	}
}
