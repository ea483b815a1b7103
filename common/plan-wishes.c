/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/kernel-target.h"
#include "common/path-util.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

/* A place in the box. What a specifier stands for is known only now: the home of some accounts is "/". */
static int plan_target(planner *p, const char *text, nsb_cover with, char **ret)
{
	static const char *const whole[] = { "/", "/proc", "/sys", "/dev", "/run" };
	NSB_FREE char *target = NULL;
	int r = plan_expand(p, text, true, &target);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (strcmp(target, whole[i]) == 0)
			return nsb_error_set(p->error, EINVAL,
					     "%s is %s for this session, which cannot be replaced as a whole", text,
					     target);
	r = nsb_check_proc_target(target, with, p->error);
	if (r < 0)
		return r;
	*ret = nsb_steal_pointer(&target);
	return 0;
}

/* What another key has taken away has no place for anything. `key`: of the line. -EBADMSG: whoever logs in. */
static int check_taken(planner *p, const char *key, const char *target)
{
	char home[PATH_MAX];

	if (p->settings->sys == NSB_SYS_NONE && nsb_path_below(target, "/sys"))
		return nsb_error_set(p->error, EBADMSG, "%s: with sys = none there is no %s: take one of the two out",
				     key, target);
	if (p->settings->proc_subset == NSB_PROC_SUBSET_PID && nsb_path_below(target, "/proc"))
		return nsb_error_set(p->error, EBADMSG,
				     "%s: with proc_subset = pid there is no %s: take one of the two out", key, target);
	if (p->settings->home == NSB_HOME_NONE && p->plan->root_kind == NSB_ROOT_HOST &&
	    nsb_path_normalize(p->session->home, home, sizeof(home)) == 0 && strcmp(home, "/") != 0 &&
	    strcmp(home, target) != 0 && nsb_path_below(target, home))
		return nsb_error_set(p->error, EINVAL,
				     "%s: %s is in the home, of which home = none leaves nothing: write home = tmpfs",
				     key, target);
	return 0;
}

/* "%h" of an account without a home: the host's whole tree, with its /proc, /dev and /run, is what nobody has asked for. */
static bool is_no_home(const char *item, const char *src)
{
	return strcmp(src, "/") == 0 && strchr(item, '%') != NULL && item[0] != '/';
}

/* The two halves of SRC[:DST]. */
static int split_bind(planner *p, const char *item, char **ret_src, char **ret_dst)
{
	NSB_FREE char *first = strdup(item);
	char *colon = first != NULL ? strchr(first, ':') : NULL;
	int r;

	if (first == NULL)
		return -ENOMEM;
	if (colon != NULL)
		*colon = '\0';
	r = plan_expand(p, first, true, ret_src);
	if (r == 0)
		r = plan_target(p, colon != NULL ? colon + 1 : first, NSB_COVER_BIND, ret_dst);
	return r;
}

/* Those whose target is below /proc, or the others. What is there tells of the machine and is no program: no setuid. */
static int plan_binds(planner *p, const nsb_list *list, unsigned flags, const char *why, bool below_proc)
{
	for (size_t i = 0; i < list->n; i++) {
		NSB_FREE char *src = NULL, *dst = NULL;
		int r = split_bind(p, list->items[i], &src, &dst);

		if (r == 0 && is_no_home(list->items[i], src)) {
			if (flags & NSB_STEP_OPTIONAL)
				continue;
			return nsb_error_set(
				p->error, EINVAL,
				"%s: %s is \"/\" for this session, the host's whole tree: give the account "
				"a home, or write bind_optional",
				why, list->items[i]);
		}
		if (r == 0)
			r = check_taken(p, why, dst);
		if (r == 0 && nsb_path_below(dst, "/proc") == below_proc)
			r = plan_add(p, (nsb_step){ .op = NSB_OP_BIND,
						    .src = src,
						    .dst = dst,
						    .flags = flags | NSB_STEP_RECURSIVE | NSB_STEP_NODEV |
							     (below_proc ? NSB_STEP_NOSUID : 0),
						    .why = why,
						    .origin = list->origins[i] });
		if (r < 0)
			return r;
	}
	return 0;
}

static int plan_all_binds(planner *p, bool below_proc)
{
	const nsb_settings *s = p->settings;
	int r = plan_binds(p, &s->bind, NSB_STEP_NOSUID, "bind", below_proc);

	if (r == 0)
		r = plan_binds(p, &s->bind_ro, NSB_STEP_READ_ONLY, "bind_ro", below_proc);
	if (r == 0)
		r = plan_binds(p, &s->bind_optional, NSB_STEP_NOSUID | NSB_STEP_OPTIONAL, "bind_optional", below_proc);
	return r;
}

static int plan_tmpfs(planner *p)
{
	for (size_t i = 0; i < p->settings->tmpfs.n; i++) {
		NSB_FREE char *item = strdup(p->settings->tmpfs.items[i]);
		NSB_FREE char *dst = NULL, *data = NULL;
		char *colon = item != NULL ? strchr(item, ':') : NULL;
		unsigned flags = NSB_STEP_NOSUID | NSB_STEP_NODEV;
		char *noexec;
		int r;

		if (item == NULL)
			return -ENOMEM;
		if (colon != NULL)
			*colon++ = '\0';
		r = plan_target(p, item, NSB_COVER_TMPFS, &dst);
		if (r == 0)
			r = check_taken(p, "tmpfs", dst);
		if (r < 0)
			return r;
		data = nsb_format("size=10%%%s%s", colon != NULL ? "," : "", colon != NULL ? colon : "");
		if (data == NULL)
			return -ENOMEM;
		/* noexec is a flag of the mount, not an option of the file system */
		noexec = strstr(data, ",noexec");
		if (noexec != NULL && (noexec[7] == '\0' || noexec[7] == ',')) {
			flags |= NSB_STEP_NOEXEC;
			memmove(noexec, noexec + 7, strlen(noexec + 7) + 1);
		}
		r = plan_add(p, (nsb_step){ .op = NSB_OP_MOUNT,
					    .src = "tmpfs",
					    .dst = dst,
					    .data = data,
					    .flags = flags,
					    .why = "tmpfs",
					    .origin = p->settings->tmpfs.origins[i] });
		if (r < 0)
			return r;
	}
	return 0;
}

static int plan_masks(planner *p, bool below_proc)
{
	for (size_t i = 0; i < p->settings->mask.n; i++) {
		NSB_FREE char *dst = NULL;
		int r = plan_target(p, p->settings->mask.items[i], NSB_COVER_MASK, &dst);

		if (r == 0 && nsb_path_below(dst, "/proc") == below_proc)
			r = plan_add(p, (nsb_step){ .op = NSB_OP_MASK,
						    .dst = dst,
						    .flags = NSB_STEP_OPTIONAL | (below_proc ? 0 : NSB_STEP_RENEW),
						    .why = "mask",
						    .origin = p->settings->mask.origins[i] });
		if (r < 0)
			return r;
	}
	return 0;
}

int plan_wishes(planner *p)
{
	int r = plan_tmpfs(p);

	if (r == 0)
		r = plan_all_binds(p, false);
	if (r == 0)
		r = plan_masks(p, false);
	return r;
}

int plan_binds_below_proc(planner *p)
{
	return plan_all_binds(p, true);
}

int plan_masks_below_proc(planner *p)
{
	return plan_masks(p, true);
}
