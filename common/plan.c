/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/plan.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "common/curated-view.h"
#include "common/default-view.h"
#include "common/expand.h"
#include "common/fd-util.h"
#include "common/idmap.h"
#include "common/path-util.h"
#include "common/plan-internal.h"
#include "common/string-util.h"

static char *copy_or_null(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

#define STEPS_MORE 64 /* room for so many at a time */

int plan_add(planner *p, nsb_step step)
{
	nsb_plan *plan = p->plan;
	nsb_step *at;

	if (plan->n_steps % STEPS_MORE == 0) {
		nsb_step *more = realloc(plan->steps, (plan->n_steps + STEPS_MORE) * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		plan->steps = more;
	}
	at = &plan->steps[plan->n_steps++];
	*at = step;
	at->stage = p->stage;
	at->src = copy_or_null(step.src);
	at->dst = copy_or_null(step.dst);
	at->data = copy_or_null(step.data);
	if ((step.src != NULL && at->src == NULL) || (step.dst != NULL && at->dst == NULL) ||
	    (step.data != NULL && at->data == NULL))
		return -ENOMEM;
	return 0;
}

int plan_expand(planner *p, const char *text, bool as_path, char **ret)
{
	NSB_FREE char *expanded = NULL;
	char path[PATH_MAX];
	int r;

	if (text == NULL) {
		*ret = NULL;
		return 0;
	}
	r = nsb_expand(text, p->session, as_path, &expanded, p->error);
	if (r < 0)
		return r;
	if (as_path) {
		r = nsb_path_normalize(expanded, path, sizeof(path));
		if (r < 0)
			return nsb_error_set(p->error, r,
					     "%s: for this session \"%s\" is not an absolute path without \"..\"", text,
					     expanded);
		free(expanded);
		expanded = strdup(path);
	}
	*ret = nsb_steal_pointer(&expanded);
	return *ret == NULL ? -ENOMEM : 0;
}

int plan_rows(planner *p, const nsb_view_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const nsb_view_row *row = &rows[i];
		bool src_is_path = row->op != NSB_OP_MOUNT;
		NSB_FREE char *src = NULL, *dst = NULL, *data = NULL;
		int r;

		if ((row->when & ~p->when) != 0)
			continue;
		r = plan_expand(p, row->src, src_is_path, &src);
		if (r == 0)
			r = plan_expand(p, row->dst, true, &dst);
		if (r == 0)
			r = plan_expand(p, row->data, false, &data);
		if (r == 0)
			r = plan_fill_size(p, &data);
		if (r == 0)
			r = plan_add(p, (nsb_step){ .op = row->op,
						    .flags = row->flags & ~(plan_keeps_ids(p) ? 0u : NSB_STEP_IDMAP),
						    .src = src,
						    .dst = dst,
						    .data = data,
						    .mode = row->mode,
						    .uid = row->owned ? p->session->uid : 0,
						    .gid = row->owned ? p->session->gid : 0,
						    .why = row->why });
		if (r < 0)
			return r;
	}
	return 0;
}

static int plan_host(planner *p)
{
	NSB_FREE char *sessions = nsb_format("%lld", (long long)p->settings->sessions_max);
	int r = 0;

	if (sessions == NULL)
		return -ENOMEM;
	p->stage = NSB_STAGE_HOST;
	if (p->settings->sessions_max != NSB_INFINITY)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_SESSIONS,
					    .data = sessions,
					    .flags = NSB_STEP_SESSION,
					    .why = "sessions of the user, counted before another one is added" });
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_REGISTER,
					    .dst = (char *)p->session->id,
					    .why = "whoever finds the entry without its lock cleans up" });
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_MEMBER,
					    .dst = (char *)p->session->login,
					    .flags = NSB_STEP_SESSION,
					    .why = "the login: who, from where, to be closed when it is over" });
	if (r == 0 && p->plan->share)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_CONTROL,
					    .why = "later logins of the user ask here and join the box" });
	if (r == 0)
		r = plan_upper(p);
	if (r == 0)
		r = plan_limits(p);
	if (r == 0)
		r = plan_filter(p);
	if (r == 0 && plan_keeps_ids(p))
		r = plan_add(p, (nsb_step){ .op = NSB_OP_USERNS,
					    .data = p->plan->subid_pool,
					    .why = "root in the box is nobody on the host" });
	p->stage = NSB_STAGE_SPAWN;
	if (r == 0)
		r = plan_add(p,
			     (nsb_step){ .op = NSB_OP_SPAWN, .why = "one clone3(2): all namespaces at once or none" });
	if (r == 0)
		r = plan_network(p);
	return r;
}

static int plan_identity(planner *p)
{
	NSB_FREE char *domainname = NULL;
	bool renamed = strcmp(p->plan->hostname, p->session->host_name) != 0;
	bool own_name = p->plan->namespaces & CLONE_NEWUTS;
	int r = plan_expand(p, p->settings->domainname, false, &domainname);

	p->stage = NSB_STAGE_BUILD;
	if (r == 0)
		r = plan_add(
			p, (nsb_step){ .op = NSB_OP_ASSERT, .why = "never a mount in the host's own mount namespace" });
	if (r == 0)
		r = plan_add(p,
			     (nsb_step){ .op = NSB_OP_CGROUP_ENTER, .why = "PID 1 counts against the limit as well" });
	if (r == 0 && plan_keeps_ids(p))
		r = plan_add(p, (nsb_step){ .op = NSB_OP_ENTER_OWNED, .why = "they belong to root of the box" });
	if (r == 0 && own_name && renamed)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_HOSTNAME, .data = p->plan->hostname, .why = "hostname" });
	if (r == 0 && own_name && domainname[0] != '\0')
		r = plan_add(p, (nsb_step){ .op = NSB_OP_DOMAINNAME, .data = domainname, .why = "domainname" });
	if (r == 0)
		r = plan_network_entered(p);
	if (r == 0 && (p->when & NSB_VIEW_OWN_NETWORK) && !plan_enters_network(p))
		r = plan_add(p, (nsb_step){ .op = NSB_OP_LOOPBACK, .why = "programs expect 127.0.0.1" });
	return r;
}

const char *nsb_plan_watched(const nsb_step *step)
{
	return step->flags & NSB_STEP_SOURCE_IN_BOX ? step->dst : step->src;
}

/* None of these rows has a specifier. */
static int renewal_rows(planner *p, const nsb_view_row *rows, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const nsb_view_row *row = &rows[i];
		bool holds = row->op == NSB_OP_MOUNT && row->when == 0 && strcmp(row->src, "tmpfs") == 0 && !row->owned;

		if ((holds && strchr(row->dst, '%') == NULL) ||
		    ((row->flags & NSB_STEP_RENEW) && row->op != NSB_OP_MASK)) /* helper/renew-masks.c */
			r = plan_add(p, (nsb_step){ .op = row->op,
						    .flags = row->flags,
						    .src = (char *)row->src,
						    .dst = (char *)row->dst,
						    .why = row->why });
	}
	return r;
}

int nsb_plan_renewal(nsb_plan *ret)
{
	nsb_plan plan = { 0 };
	planner p = { .plan = &plan, .stage = NSB_STAGE_BUILD };
	int r = renewal_rows(&p, nsb_view_before_proc, nsb_n_view_before_proc);

	if (r == 0)
		r = renewal_rows(&p, nsb_curated_view, nsb_n_curated_view);
	if (r == 0)
		r = renewal_rows(&p, nsb_view_accounts, nsb_n_view_accounts);
	if (r == 0)
		r = renewal_rows(&p, nsb_view_resolver, nsb_n_view_resolver);
	if (r == 0)
		*ret = plan;
	else
		nsb_plan_done(&plan);
	return r;
}

static int plan_view(planner *p)
{
	int r = plan_rows(p, nsb_view_before_proc, nsb_n_view_before_proc);

	if (r == 0)
		r = plan_written(p);
	if (r == 0 && p->plan->root_kind == NSB_ROOT_CURATED)
		r = plan_rows(p, nsb_curated_view_late, nsb_n_curated_view_late);
	return r;
}

static int plan_end(planner *p)
{
	int r;

	p->stage = NSB_STAGE_ENCLOSE;
	r = plan_rows(p, nsb_view_proc, nsb_n_view_proc);
	if (r == 0)
		r = plan_binds_below_proc(p);
	if (r == 0)
		r = plan_rows(p, nsb_view_proc_closed, nsb_n_view_proc_closed);
	if (r == 0)
		r = plan_masks_below_proc(p);
	if (r == 0 && p->plan->root_kind == NSB_ROOT_CURATED)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_SEAL, .why = "nobody adds to the tree, root neither" });
	if (r == 0)
		r = plan_add(p,
			     (nsb_step){ .op = NSB_OP_PIVOT, .why = "the old root is detached: no path leads back" });
	p->stage = NSB_STAGE_PROVE;
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_PROVE, .why = "what was planned is what is there" });
	p->stage = NSB_STAGE_EXEC;
	if (r == 0 && plan_keeps_ids(p))
		r = plan_add(p, (nsb_step){ .op = NSB_OP_BECOME, .why = "the host's root does not go on in the box" });
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_INIT, .why = "PID 1: reaps, ends the box" });
	p->stage = NSB_STAGE_PUBLISH;
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_PUBLISH,
					    .dst = (char *)p->session->id,
					    .why = "nsboxctl may see it" });
	if (r == 0 && p->plan->record)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_RECORD,
					    .flags = NSB_STEP_SESSION,
					    .why = "who(1) and last(1) on the host know the login" });
	return r;
}

int nsb_plan_make(const nsb_session *session, const nsb_settings *settings, nsb_plan *ret, nsb_error *error)
{
	nsb_plan plan = { 0 };
	planner p = { .session = session, .settings = settings, .plan = &plan, .error = error };
	int (*const parts[])(planner *) = { plan_decide,  plan_host, plan_identity,    plan_root,    plan_view,
					    plan_devices, plan_home, plan_accounts,    plan_session, plan_resolver,
					    plan_wishes,  plan_end,  plan_environment, plan_warnings };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = parts[i](&p);
	if (r < 0) {
		nsb_plan_done(&plan);
		return nsb_error_set(error, r, "cannot plan the box: %s", strerror(-r));
	}
	*ret = plan;
	return 0;
}

void nsb_plan_done(nsb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++) {
		free(plan->steps[i].src);
		free(plan->steps[i].dst);
		free(plan->steps[i].data);
	}
	for (size_t i = 0; i < plan->n_environment; i++)
		free(plan->environment[i]);
	for (size_t i = 0; i < plan->n_unprotected; i++)
		free(plan->unprotected[i]);
	free(plan->steps);
	free(plan->environment);
	free(plan->unprotected);
	free(plan->terminal);
	free(plan->terminals);
	for (size_t i = 0; i < plan->n_layers; i++)
		free(plan->layers[i]);
	free(plan->layers);
	free(plan->root);
	free(plan->cgroup_parent);
	free(plan->hostname);
	free(plan->subid_pool);
	free(plan->kept_groups);
	free(plan->network);
	memset(plan, 0, sizeof(*plan));
}
