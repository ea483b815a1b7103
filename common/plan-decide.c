/* SPDX-License-Identifier: BSD-3-Clause */
/* What is decided before the first step: terminals, ids, namespaces, the conditions of the view, what the box's processes may
 * do. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/capability-table.h"
#include "common/config-checks.h"
#include "common/default-view.h"
#include "common/expand.h"
#include "common/fd-util.h"
#include "common/idmap.h"
#include "common/network.h"
#include "common/path-util.h"
#include "common/plan-internal.h"
#include "common/service-table.h"
#include "common/string-util.h"

/* The terminal's path if the application brings one: "/dev/pts/3", "tty1"; NULL for "ssh", "cron", "" and the like. */
static int terminal_path(const char *tty, char **ret)
{
	static const char *const kinds[] = { "pts/", "tty", "console", "hvc", "xvc", "sclp", "vc/" };

	*ret = NULL;
	if (tty[0] == '/') {
		*ret = strdup(tty);
		return *ret == NULL ? -ENOMEM : 0;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (nsb_after_prefix(tty, kinds[i]) != NULL) {
			*ret = nsb_format("/dev/%s", tty);
			return *ret == NULL ? -ENOMEM : 0;
		}
	return 0;
}

/* The terminal of the application, and what a login must have in common with another to share a box with it. */
static int decide_terminals(planner *p, bool *ret_host)
{
	nsb_plan *plan = p->plan;
	int devpts = p->settings->devpts;
	char path[PATH_MAX];
	int r = terminal_path(p->session->tty, &plan->terminal);

	if (r < 0)
		return r;
	if (plan->terminal != NULL) {
		if (nsb_path_normalize(plan->terminal, path, sizeof(path)) < 0 || !nsb_path_below(path, "/dev") ||
		    strcmp(path, "/dev") == 0)
			return nsb_error_set(p->error, EINVAL, "the terminal %s of the application is not below /dev",
					     plan->terminal);
		free(plan->terminal);
		plan->terminal = strdup(path);
		if (plan->terminal == NULL)
			return -ENOMEM;
	}
	*ret_host = devpts == NSB_DEVPTS_HOST || (devpts == NSB_DEVPTS_AUTO && plan->terminal != NULL);
	if (!*ret_host)
		plan->terminals = strdup("own");
	else if (plan->terminal == NULL || nsb_path_below(plan->terminal, "/dev/pts"))
		plan->terminals = strdup("host");
	else
		plan->terminals = strdup(plan->terminal);
	return plan->terminals == NULL ? -ENOMEM : 0;
}

bool plan_keeps_ids(const planner *p)
{
	return p->settings->user_namespace == NSB_USER_NAMESPACE_KEEP_ID;
}

/* su and sudo leave the caller's terminal to the caller; login(1) ends if it cannot give it to the user, and sshd if it
 * cannot give away one that it has made. */
static int check_terminals(planner *p)
{
	const char *service = p->session->service;

	if (strcmp(p->plan->terminals, "own") == 0 || (nsb_service_traits(service) & NSB_SERVICE_NO_RECORD))
		return 0;
	if (p->plan->terminal != NULL)
		return nsb_error_set(
			p->error, EINVAL,
			"user_namespace = keep-id: %s must make the user the owner of the terminal %s, and root of "
			"the box has no power over terminals of the host: write services = !%s, or "
			"user_namespace = no",
			service, p->plan->terminal, service);
	return nsb_error_set(
		p->error, EINVAL,
		"user_namespace = keep-id: %s must make the user the owner of terminals, and root of the box "
		"has no power over those of the host: take devpts = host out",
		service);
}

/* The groups that the box's map keeps, sorted. NULL without memory; the caller frees. */
static char *groups_text(const nsb_session *session)
{
	nsb_kept_ids kept;
	char *text = NULL;
	size_t size;
	FILE *out;

	if (nsb_kept_ids_make(session, &kept) < 0)
		return NULL;
	out = open_memstream(&text, &size);
	for (size_t i = 0; i < kept.n_gids && out != NULL; i++)
		fprintf(out, "%s%u", i > 0 ? " " : "", kept.gids[i]);
	nsb_kept_ids_done(&kept);
	if (out == NULL || fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Whether this session can have ids of its own, and from where. */
static int decide_ids(planner *p)
{
	uint32_t first = 0, last = 0;
	int r;

	if (!plan_keeps_ids(p))
		return 0;
	r = check_terminals(p);
	if (r < 0)
		return r;
	r = nsb_parse_subid_pool(p->settings->subid_pool, &first, &last, p->error);
	if (r >= 0)
		r = nsb_idmap_check(p->session, first, last, p->error);
	if (r < 0)
		return r;
	p->plan->namespaces |= CLONE_NEWUSER;
	p->plan->subid_pool = strdup(p->settings->subid_pool);
	p->plan->kept_groups = groups_text(p->session);
	return p->plan->subid_pool == NULL || p->plan->kept_groups == NULL ? -ENOMEM : 0;
}

int plan_decide(planner *p)
{
	const nsb_settings *s = p->settings;
	nsb_plan *plan = p->plan;
	NSB_FREE char *hostname = NULL;
	char name[64];
	bool host_terminals, own_name;
	int r = decide_terminals(p, &host_terminals);

	if (r < 0)
		return r;
	if (s->linger != 0 && s->share != NSB_SHARE_USER)
		return nsb_error_set(p->error, EBADMSG,
				     "linger: a box of a single session cannot stay for nobody comes back to it: write "
				     "share = user as well, or take linger out");
	plan->namespaces = s->namespaces;
	if (nsb_network_kind(s->network, NULL) != NSB_NETWORK_HOST)
		plan->namespaces |= CLONE_NEWNET;
	r = decide_ids(p);
	if (r == 0)
		r = plan_decide_network(p);
	if (r == 0)
		r = plan_decide_root(p);
	if (r < 0)
		return r;
	p->when = (plan->root_kind == NSB_ROOT_HOST ? NSB_VIEW_ROOT_HOST : NSB_VIEW_ROOT_DIRECTORY) |
		  (s->private_tmp == NSB_PRIVATE_TMP_SESSION ? NSB_VIEW_PRIVATE_TMP : 0) |
		  (host_terminals ? NSB_VIEW_HOST_TERMINALS : NSB_VIEW_OWN_TERMINALS) |
		  (plan->namespaces & CLONE_NEWIPC ? NSB_VIEW_OWN_IPC : NSB_VIEW_HOST_IPC) |
		  (plan->namespaces & CLONE_NEWNET ? NSB_VIEW_OWN_NETWORK : 0) |
		  (s->nested_namespaces ? NSB_VIEW_NESTED : 0) |
		  (s->sys == NSB_SYS_NONE ? NSB_VIEW_NO_SYS : NSB_VIEW_SYS) |
		  (s->proc_subset == NSB_PROC_SUBSET_PID ? NSB_VIEW_PROC_PID : NSB_VIEW_PROC_ALL) |
		  plan_accounts_view(s, plan->root_kind) | plan_resolver_view(s) |
		  (plan->root_kind == NSB_ROOT_CURATED ? 0 : NSB_VIEW_ROOT_FULL);
	plan->cgroup_manager = s->cgroup_manager;
	plan->share = s->share == NSB_SHARE_USER;
	plan->on_change = s->on_change;
	plan->linger = s->linger;
	plan->stop_timeout = s->stop_timeout;
	plan->runtime_max = s->runtime_max;
	plan->capabilities = nsb_capability_set(&s->capabilities);
	plan->no_new_privs = s->no_new_privs;
	plan->seccomp = s->seccomp;
	plan->user_namespace = s->user_namespace;
	plan->nested_namespaces = s->nested_namespaces;
	plan->core = s->core;
	plan->record = (nsb_service_traits(p->session->service) & NSB_SERVICE_NO_RECORD) == 0;
	r = plan_expand(p, s->hostname, false, &hostname);
	if (r < 0)
		return r;
	/* without a namespace for it the name is the host's, whatever the key says */
	own_name = (plan->namespaces & CLONE_NEWUTS) != 0 && strcmp(hostname, p->session->host_name) != 0;
	if (own_name)
		nsb_make_hostname(hostname, name);
	plan->hostname = strdup(own_name ? name : p->session->host_name);
	plan->cgroup_parent = strdup(s->cgroup_parent);
	return plan->hostname == NULL || plan->cgroup_parent == NULL ? -ENOMEM : 0;
}
