/* SPDX-License-Identifier: BSD-3-Clause */
/* The root of the box: which of the kinds, of which trees, and where writes to it go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/curated-view.h"
#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

static bool has_overlay(const planner *p)
{
	return p->plan->n_layers > 0;
}

bool plan_keeps_writes(const planner *p)
{
	return has_overlay(p) && (p->settings->overlay[0] == '/' || p->settings->overlay[0] == '%');
}

static int add_layer(planner *p, const char *template)
{
	nsb_plan *plan = p->plan;
	char **more = realloc(plan->layers, (plan->n_layers + 1) * sizeof(*more));
	int r;

	if (more == NULL)
		return -ENOMEM;
	plan->layers = more;
	r = plan_expand(p, template, true, &plan->layers[plan->n_layers]);
	if (r == 0)
		plan->n_layers++;
	if (r == 0 && plan->n_layers > NSB_LAYERS_MAX)
		return nsb_error_set(p->error, EBADMSG, "layers: there are more than %d: put some of them together",
				     NSB_LAYERS_MAX);
	return r;
}

/* "TOP:NEXT" */
static int add_layers(planner *p, const char *item)
{
	NSB_FREE char *copy = strdup(item);
	char *save = NULL;
	int r = copy == NULL ? -ENOMEM : 0;

	for (char *path = r == 0 ? strtok_r(copy, ":", &save) : NULL; path != NULL && r == 0;
	     path = strtok_r(NULL, ":", &save))
		r = add_layer(p, path);
	return r;
}

static int decide_layers(planner *p)
{
	const nsb_settings *s = p->settings;
	int r = 0;

	if (strcmp(s->root, "host") != 0)
		return nsb_error_set(
			p->error, EBADMSG,
			"layers and root = %s: the root is one or the other: take one of the two lines out", s->root);
	for (size_t i = 0; r == 0 && i < s->layers.n; i++)
		r = add_layers(p, s->layers.items[i]);
	if (r < 0)
		return r;
	if (p->plan->n_layers == 1 && strcmp(s->overlay, "no") == 0)
		return nsb_error_set(p->error, EBADMSG,
				     "layers: a single one is no stack: write root = %s instead, or name a second",
				     p->plan->layers[0]);
	p->plan->root = nsb_format("layers below %s", p->plan->layers[0]);
	return p->plan->root == NULL ? -ENOMEM : 0;
}

/* What does not go together, whoever logs in. */
static int refuse_nonsense(planner *p)
{
	const nsb_settings *s = p->settings;
	bool overlay = strcmp(s->overlay, "no") != 0;

	if (overlay && p->plan->root_kind == NSB_ROOT_CURATED)
		return nsb_error_set(p->error, EBADMSG,
				     "overlay = %s: root = %s has mounts of the host in it, which an overlay does not "
				     "show: name a directory, an image or layers as root",
				     s->overlay, s->root);
	if (overlay && p->plan->root_kind == NSB_ROOT_HOST && strcmp(s->overlay, "ephemeral") != 0)
		return nsb_error_set(p->error, EBADMSG,
				     "overlay = %s: what is written to the host's own tree cannot be kept beside it: "
				     "write ephemeral, or name a directory, an image or layers as root",
				     s->overlay);
	if (overlay && p->plan->root_kind == NSB_ROOT_HOST && plan_keeps_ids(p))
		return nsb_error_set(p->error, EBADMSG,
				     "overlay = %s and user_namespace = keep-id: the host's own tree is not mapped: name a "
				     "directory, an image or layers as root",
				     s->overlay);
	if (overlay && s->root_readonly)
		return nsb_error_set(p->error, EBADMSG,
				     "overlay = %s takes writes, root_readonly = yes refuses them: take one of the two "
				     "lines out",
				     s->overlay);
	return 0;
}

int plan_decide_root(planner *p)
{
	const nsb_settings *s = p->settings;
	nsb_plan *plan = p->plan;
	int r;

	plan->root_kind = s->layers.n > 0		    ? NSB_ROOT_LAYERS
			  : strcmp(s->root, "host") == 0    ? NSB_ROOT_HOST
			  : strcmp(s->root, "curated") == 0 ? NSB_ROOT_CURATED
							    : NSB_ROOT_TREE;
	r = refuse_nonsense(p);
	if (r < 0)
		return r;
	switch (plan->root_kind) {
	case NSB_ROOT_LAYERS:
		return decide_layers(p);
	case NSB_ROOT_TREE:
		r = plan_expand(p, s->root, true, &plan->root);
		if (r == 0 && strcmp(plan->root, "/") == 0)
			return nsb_error_set(p->error, EINVAL,
					     "root: %s is \"/\" for this session: the host's own root", s->root);
		return r == 0 && strcmp(s->overlay, "no") != 0 ? add_layer(p, s->root) : r;
	case NSB_ROOT_CURATED:
		plan->root = strdup("curated");
		break;
	default:
		plan->root = strdup("/");
		plan->host_overlaid = strcmp(s->overlay, "no") != 0;
	}
	return plan->root == NULL ? -ENOMEM : 0;
}

int plan_upper(planner *p)
{
	NSB_FREE char *upper = NULL;
	int r;

	if (!plan_keeps_writes(p))
		return 0;
	r = plan_expand(p, p->settings->overlay, true, &upper);
	if (r == 0 && strcmp(upper, "/") == 0)
		return nsb_error_set(p->error, EINVAL, "overlay: %s is \"/\" for this session", p->settings->overlay);
	for (size_t i = 0; r == 0 && i < p->plan->n_layers; i++)
		if (nsb_path_below(upper, p->plan->layers[i]) || nsb_path_below(p->plan->layers[i], upper))
			return nsb_error_set(
				p->error, EINVAL,
				"overlay: %s and the tree %s lie in each other: name a directory beside it", upper,
				p->plan->layers[i]);
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_UPPER,
					    .dst = upper,
					    .why = "keeps what is written to the box; one box at a time" });
	return r;
}

/* The options of the tmpfs that takes what is written. */
static int plan_memory(planner *p, char **ret)
{
	NSB_FREE char *size = plan_size_text(p->settings->overlay_size);

	*ret = size != NULL ? nsb_format("size=%s", size) : NULL;
	return *ret == NULL ? -ENOMEM : 0;
}

static int plan_overlay(planner *p)
{
	NSB_FREE char *upper = NULL;
	NSB_FREE char *size = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->plan->n_layers; i++)
		r = plan_add(
			p, (nsb_step){ .op = NSB_OP_LAYER,
				       .src = p->plan->layers[i],
				       .flags = plan_keeps_ids(p) ? NSB_STEP_IDMAP : 0,
				       .why = i == 0 ? "the uppermost tree" : "shows where those above have nothing" });
	if (r == 0 && plan_keeps_writes(p))
		r = plan_expand(p, p->settings->overlay, true, &upper);
	else if (r == 0 && strcmp(p->settings->overlay, "ephemeral") == 0)
		r = plan_memory(p, &size);
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_OVERLAY,
					    .dst = upper,
					    .data = size,
					    .flags = NSB_STEP_NODEV |
						     (upper == NULL && size == NULL ? NSB_STEP_READ_ONLY : 0),
					    .why = upper != NULL  ? "what is written is kept"
						   : size != NULL ? "what is written goes with the box"
								  : "nothing is written" });
	return r;
}

/* An overlay shows no other file system that is mounted in its tree, so each of the host's has one of its own. */
static int plan_overlay_host(planner *p)
{
	NSB_FREE char *size = NULL;
	NSB_FREE char *data = NULL;
	int r = plan_memory(p, &size);

	if (r < 0)
		return r;
	data = nsb_format("mode=0700,%s", size);
	if (data == NULL)
		return -ENOMEM;
	return plan_add(p, (nsb_step){ .op = NSB_OP_OVERLAY_HOST,
				       .src = p->plan->root,
				       .data = data,
				       .flags = NSB_STEP_NODEV,
				       .why = "the host's tree as it is now; what is written goes with the box" });
}

int plan_written(planner *p)
{
	if (!p->plan->host_overlaid)
		return 0;
	return plan_add(p, (nsb_step){ .op = NSB_OP_WRITTEN,
				       .dst = "/run/host/written",
				       .flags = NSB_STEP_READ_ONLY | NSB_STEP_NOSUID | NSB_STEP_NODEV | NSB_STEP_NOEXEC,
				       .why = "root may look at what was changed" });
}

int plan_root(planner *p)
{
	unsigned read_only = p->settings->root_readonly ? NSB_STEP_READ_ONLY : 0;
	unsigned map = plan_keeps_ids(p) ? NSB_STEP_IDMAP : 0;
	int r;

	if (has_overlay(p))
		return plan_overlay(p);
	if (p->plan->host_overlaid)
		return plan_overlay_host(p);
	if (p->plan->root_kind == NSB_ROOT_CURATED) {
		r = plan_add(p, (nsb_step){ .op = NSB_OP_ROOT_TMPFS,
					    .data = "mode=0755,size=4m,nr_inodes=4k",
					    .flags = NSB_STEP_NOSUID | NSB_STEP_NODEV,
					    .why = "holds nothing but what is put there" });
		return r == 0 ? plan_rows(p, nsb_curated_view, nsb_n_curated_view) : r;
	}
	/* a mount that arrives later would not be read-only */
	if (p->plan->root_kind == NSB_ROOT_HOST)
		return plan_add(
			p, (nsb_step){ .op = NSB_OP_ROOT,
				       .src = p->plan->root,
				       .flags = NSB_STEP_RECURSIVE | (read_only ? read_only : NSB_STEP_SLAVE),
				       .why = read_only ? "the host's tree, as it is now"
							: "the host's tree; mounts made later (autofs homes) arrive" });
	return plan_add(p, (nsb_step){ .op = NSB_OP_ROOT,
				       .src = p->plan->root,
				       .flags = NSB_STEP_RECURSIVE | NSB_STEP_NODEV | read_only | map,
				       .why = "the profile's tree" });
}
