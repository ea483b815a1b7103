/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

/* A place in the box. What a specifier stands for is known only now: the home of some accounts is "/". */
static int plan_target(planner *p, const char *text, char **ret)
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
	*ret = nsb_steal_pointer(&target);
	return 0;
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
		r = plan_target(p, colon != NULL ? colon + 1 : first, ret_dst);
	return r;
}

static int plan_binds(planner *p, const nsb_list *list, unsigned flags, const char *why)
{
	for (size_t i = 0; i < list->n; i++) {
		NSB_FREE char *src = NULL, *dst = NULL;
		int r = split_bind(p, list->items[i], &src, &dst);

		if (r == 0)
			r = plan_add(p, (nsb_step){ .op = NSB_OP_BIND,
						    .src = src,
						    .dst = dst,
						    .flags = flags | NSB_STEP_RECURSIVE | NSB_STEP_NODEV,
						    .why = why,
						    .origin = list->origins[i] });
		if (r < 0)
			return r;
	}
	return 0;
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
		r = plan_target(p, item, &dst);
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

static int plan_masks(planner *p)
{
	for (size_t i = 0; i < p->settings->mask.n; i++) {
		NSB_FREE char *dst = NULL;
		int r = plan_target(p, p->settings->mask.items[i], &dst);

		if (r == 0)
			r = plan_add(p, (nsb_step){ .op = NSB_OP_MASK,
						    .dst = dst,
						    .flags = NSB_STEP_OPTIONAL,
						    .why = "mask",
						    .origin = p->settings->mask.origins[i] });
		if (r < 0)
			return r;
	}
	return 0;
}

int plan_wishes(planner *p)
{
	const nsb_settings *s = p->settings;
	int r = plan_tmpfs(p);

	if (r == 0)
		r = plan_binds(p, &s->bind, NSB_STEP_NOSUID, "bind");
	if (r == 0)
		r = plan_binds(p, &s->bind_ro, NSB_STEP_READ_ONLY, "bind_ro");
	if (r == 0)
		r = plan_binds(p, &s->bind_optional, NSB_STEP_NOSUID | NSB_STEP_OPTIONAL, "bind_optional");
	if (r == 0)
		r = plan_masks(p);
	return r;
}
