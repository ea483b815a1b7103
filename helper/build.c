/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/build.h"

#include <errno.h>
#include <string.h>

#include "helper/fault.h"
#include "helper/steps.h"
#include "helper/times.h"

/* One row an operation. Without undo: it happens inside the new namespaces and dies with PID 1, or changes only what an
 * earlier step made. */
static const struct {
	int (*run)(nsb_box *box, const nsb_step *step);
	void (*undo)(nsb_box *box, const nsb_step *step);
} operations[NSB_OP_MAX] = {
	[NSB_OP_SESSIONS] = { host_sessions, host_sessions_done },
	[NSB_OP_REGISTER] = { host_register, host_unregister },
	[NSB_OP_MEMBER] = { host_member, host_member_remove },
	[NSB_OP_CONTROL] = { host_control, host_control_close },
	[NSB_OP_UPPER] = { upper_prepare, upper_undo },
	[NSB_OP_CGROUP] = { host_cgroup, host_cgroup_remove },
	[NSB_OP_LIMIT] = { host_limit, host_limit_undo },
	[NSB_OP_FILTER] = { filter_prepare, filter_drop },
	[NSB_OP_USERNS] = { userns_step, userns_undo },
	[NSB_OP_SPAWN] = { namespaces_spawn, namespaces_kill },
	[NSB_OP_NETWORK] = { network_step, network_undo },
	[NSB_OP_ASSERT] = { namespaces_assert, NULL },
	[NSB_OP_CGROUP_ENTER] = { namespaces_enter_cgroup, NULL },
	[NSB_OP_ENTER_OWNED] = { userns_enter_owned, NULL },
	[NSB_OP_ENTER_NETWORK] = { network_enter, NULL },
	[NSB_OP_HOSTNAME] = { namespaces_hostname, NULL },
	[NSB_OP_DOMAINNAME] = { namespaces_domainname, NULL },
	[NSB_OP_LOOPBACK] = { namespaces_loopback, NULL },
	[NSB_OP_ROOT] = { root_tree, NULL },
	[NSB_OP_ROOT_TMPFS] = { root_tmpfs, NULL },
	[NSB_OP_LAYER] = { root_layer, NULL },
	[NSB_OP_OVERLAY] = { root_overlay, NULL },
	[NSB_OP_OVERLAY_HOST] = { overlay_host, NULL },
	[NSB_OP_WRITTEN] = { overlay_host_written, NULL },
	[NSB_OP_ALIAS] = { root_alias, NULL },
	[NSB_OP_SEAL] = { root_seal, NULL },
	[NSB_OP_DETACH] = { mounts_detach, NULL },
	[NSB_OP_DETACH_KERNEL] = { mounts_detach_kernel, NULL },
	[NSB_OP_MOUNT] = { mounts_mount, NULL },
	[NSB_OP_BIND] = { mounts_bind, NULL },
	[NSB_OP_BIND_LINK_TARGET] = { mounts_bind_link_target, NULL },
	[NSB_OP_MKDIR] = { files_mkdir, NULL },
	[NSB_OP_FILE] = { files_file, NULL },
	[NSB_OP_FILE_LIKE] = { files_like, NULL },
	[NSB_OP_LINES] = { account_files_lines, NULL },
	[NSB_OP_NAMES] = { account_files_names, NULL },
	[NSB_OP_HOSTS] = { files_hosts, NULL },
	[NSB_OP_RESOLVER] = { resolver_make, NULL },
	[NSB_OP_SYMLINK] = { files_symlink, NULL },
	[NSB_OP_NODE] = { files_node, NULL },
	[NSB_OP_CREDENTIALS] = { files_credentials, NULL },
	[NSB_OP_MASK] = { mounts_mask, NULL },
	[NSB_OP_DEVICE] = { devices_bind, NULL },
	[NSB_OP_HOME_TMPFS] = { home_tmpfs, NULL },
	[NSB_OP_HOME_OVERLAY] = { home_overlay, NULL },
	[NSB_OP_HOME_NONE] = { home_none, NULL },
	[NSB_OP_PROC] = { mounts_mount, NULL },
	[NSB_OP_PIVOT] = { root_pivot, NULL },
	[NSB_OP_PROVE] = { prove_box, NULL },
	[NSB_OP_BECOME] = { userns_become, NULL },
	[NSB_OP_INIT] = { init_exec, NULL },
	[NSB_OP_PUBLISH] = { host_publish, NULL },
	[NSB_OP_RECORD] = { host_record, host_record_close },
};

/* Where the login joins a box, that is made already. (Under systemd its own scope is bound as the others are.) */
static bool is_wanted(const nsb_box *box, const nsb_step *step)
{
	return !box->joining || (step->flags & NSB_STEP_SESSION) ||
	       (step->op == NSB_OP_LIMIT && box->layout.scope_unit[0] != '\0');
}

void build_enter(nsb_box *box, nsb_stage stage)
{
	box->error.stage = stage;
	times_enter(stage);
	fault_at_stage(stage);
}

size_t build_first(const nsb_plan *plan, nsb_stage stage)
{
	size_t i = 0;

	while (i < plan->n_steps && plan->steps[i].stage != stage)
		i++;
	return i;
}

int build_stage(nsb_box *box, nsb_stage stage)
{
	build_enter(box, stage);
	while (box->done < box->plan.n_steps && box->plan.steps[box->done].stage == stage) {
		const nsb_step *step = &box->plan.steps[box->done];
		int r;

		if (!is_wanted(box, step)) {
			box->done++;
			continue;
		}
		r = fault_at_step(box->done);
		if (r == 0)
			r = operations[step->op].run(box, step);
		/* counted even if it failed: an undo takes back a half-done step as well */
		box->done++;
		if (r < 0)
			return nsb_error_set(&box->error, r, "step %s%s%s: %s", nsb_op_name(step->op),
					     step->dst != NULL ? " " : "", step->dst != NULL ? step->dst : "",
					     strerror(-r));
	}
	return 0;
}

void build_undo(nsb_box *box)
{
	while (box->done > 0) {
		const nsb_step *step = &box->plan.steps[--box->done];

		if (is_wanted(box, step) && operations[step->op].undo != NULL)
			operations[step->op].undo(box, step);
	}
}
