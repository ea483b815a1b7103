/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/capability-table.h"
#include "common/fd-util.h"
#include "common/plan.h"

static const char *const op_names[NSB_OP_MAX] = {
	[NSB_OP_SESSIONS] = "sessions",
	[NSB_OP_REGISTER] = "register",
	[NSB_OP_MEMBER] = "member",
	[NSB_OP_CONTROL] = "control",
	[NSB_OP_CGROUP] = "cgroup",
	[NSB_OP_LIMIT] = "limit",
	[NSB_OP_FILTER] = "filter",
	[NSB_OP_USERNS] = "user-namespace",
	[NSB_OP_SPAWN] = "spawn",
	[NSB_OP_NETWORK] = "network",
	[NSB_OP_CGROUP_ENTER] = "enter-cgroup",
	[NSB_OP_ASSERT] = "assert-namespace",
	[NSB_OP_ENTER_OWNED] = "enter-owned",
	[NSB_OP_ENTER_NETWORK] = "enter-network",
	[NSB_OP_HOSTNAME] = "hostname",
	[NSB_OP_DOMAINNAME] = "domainname",
	[NSB_OP_LOOPBACK] = "loopback",
	[NSB_OP_ROOT] = "root",
	[NSB_OP_ROOT_TMPFS] = "root-tmpfs",
	[NSB_OP_LAYER] = "layer",
	[NSB_OP_OVERLAY] = "overlay",
	[NSB_OP_OVERLAY_HOST] = "overlay-host",
	[NSB_OP_WRITTEN] = "written",
	[NSB_OP_ALIAS] = "alias",
	[NSB_OP_SEAL] = "seal",
	[NSB_OP_UPPER] = "upper",
	[NSB_OP_DETACH] = "detach",
	[NSB_OP_DETACH_KERNEL] = "detach-kernel",
	[NSB_OP_MOUNT] = "mount",
	[NSB_OP_BIND] = "bind",
	[NSB_OP_BIND_LINK_TARGET] = "bind-link-target",
	[NSB_OP_MKDIR] = "mkdir",
	[NSB_OP_FILE] = "file",
	[NSB_OP_FILE_LIKE] = "file-like",
	[NSB_OP_LINES] = "lines",
	[NSB_OP_NAMES] = "names",
	[NSB_OP_HOSTS] = "hosts",
	[NSB_OP_RESOLVER] = "resolver",
	[NSB_OP_SYMLINK] = "symlink",
	[NSB_OP_NODE] = "node",
	[NSB_OP_CREDENTIALS] = "credentials",
	[NSB_OP_MASK] = "mask",
	[NSB_OP_DEVICE] = "device",
	[NSB_OP_HOME_TMPFS] = "home-tmpfs",
	[NSB_OP_HOME_OVERLAY] = "home-overlay",
	[NSB_OP_HOME_NONE] = "home-none",
	[NSB_OP_PROC] = "proc",
	[NSB_OP_PIVOT] = "pivot",
	[NSB_OP_PROVE] = "prove",
	[NSB_OP_BECOME] = "become-root",
	[NSB_OP_INIT] = "init",
	[NSB_OP_PUBLISH] = "publish",
	[NSB_OP_RECORD] = "record",
};

static const struct {
	unsigned flag;
	const char *word;
} flag_words[] = {
	{ NSB_STEP_SOURCE_IN_BOX, "source-in-box" },
	{ NSB_STEP_RECURSIVE, "recursive" },
	{ NSB_STEP_READ_ONLY, "ro" },
	{ NSB_STEP_NOSUID, "nosuid" },
	{ NSB_STEP_NODEV, "nodev" },
	{ NSB_STEP_NOEXEC, "noexec" },
	{ NSB_STEP_SLAVE, "slave" },
	{ NSB_STEP_NO_SYMLINKS, "no-symlinks" },
	{ NSB_STEP_OVER_LINK, "over-link" },
	{ NSB_STEP_HOME, "home" },
	{ NSB_STEP_OPTIONAL, "if-there" },
	{ NSB_STEP_RENEW, "renewed" },
	{ NSB_STEP_SESSION, "each-login" },
	{ NSB_STEP_IDMAP, "idmapped" },
};

const char *nsb_op_name(nsb_op op)
{
	return op < NSB_OP_MAX && op_names[op] != NULL ? op_names[op] : "?";
}

/* On one line and harmless for a terminal: control characters as \n or \xNN. */
static void put_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f || *text == '"' || *text == '\\')
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, out);
	}
}

static void put_flags(FILE *out, unsigned flags)
{
	const char *divider = " [";

	for (size_t i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++)
		if (flags & flag_words[i].flag) {
			fprintf(out, "%s%s", divider, flag_words[i].word);
			divider = " ";
		}
	if (divider[1] == '\0')
		fputc(']', out);
}

static void put_step(FILE *out, const nsb_step *step)
{
	fprintf(out, "%-8s %-16s", nsb_stage_name(step->stage), nsb_op_name(step->op));
	if (step->src != NULL) {
		fputc(' ', out);
		put_text(out, step->src);
		fputs(" ->", out);
	}
	if (step->dst != NULL) {
		fputc(' ', out);
		put_text(out, step->dst);
	}
	if (step->data != NULL) {
		fputs(" \"", out);
		put_text(out, step->data);
		fputc('"', out);
	}
	if (step->mode != 0)
		fprintf(out, " %04o", step->mode);
	if (step->uid != 0)
		fprintf(out, " owner %u:%u", step->uid, step->gid);
	put_flags(out, step->flags);
}

static char *finish(FILE *out, char **text, bool good)
{
	if (fclose(out) == 0 && good)
		return *text;
	free(*text);
	return NULL;
}

char *nsb_plan_step_text(const nsb_step *step)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	put_step(out, step);
	return finish(out, &text, true);
}

/* What is no step, but the box's as well. */
static void put_life(FILE *out, const nsb_plan *plan)
{
	const struct {
		const char *name;
		long long value;
	} rows[] = {
		{ "namespaces", (long long)plan->namespaces },
		{ "cgroup_manager", plan->cgroup_manager },
		{ "stop_timeout", plan->stop_timeout },
		{ "runtime_max", plan->runtime_max },
		{ "linger", plan->linger },
	};

	fprintf(out, "box      share            \"%s\"\nbox      terminals        \"%s\"\n",
		plan->share ? "user" : "session", plan->terminals);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value == NSB_INFINITY)
			fprintf(out, "box      %-16s \"infinity\"\n", rows[i].name);
		else
			fprintf(out, "box      %-16s \"%lld\"\n", rows[i].name, rows[i].value);
}

/* What its processes may do. */
static int put_privileges(FILE *out, const nsb_plan *plan)
{
	static const char *const seccomp[] = {
		[NSB_SECCOMP_OFF] = "off", [NSB_SECCOMP_DEFAULT] = "default", [NSB_SECCOMP_STRICT] = "strict"
	};
	NSB_FREE char *capabilities = nsb_capability_text(plan->capabilities);
	const struct {
		const char *name, *value;
	} rows[] = {
		{ "capabilities", capabilities },
		{ "no_new_privs", plan->no_new_privs ? "yes" : "no" },
		{ "seccomp", seccomp[plan->seccomp] },
		{ "nested_namespaces", plan->nested_namespaces ? "yes" : "no" },
		{ "user_namespace", plan->user_namespace == NSB_USER_NAMESPACE_KEEP_ID ? "keep-id" : "no" },
		{ "groups", plan->kept_groups },
		{ "core", plan->core ? "yes" : "no" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && capabilities != NULL; i++)
		if (rows[i].value != NULL)
			fprintf(out, "box      %-16s \"%s\"\n", rows[i].name, rows[i].value);
	return capabilities == NULL ? -ENOMEM : 0;
}

char *nsb_plan_privileges_text(const nsb_plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool good = out != NULL && put_privileges(out, plan) == 0;

	return out == NULL ? NULL : finish(out, &text, good);
}

static void put_network_words(FILE *out, const char *name, const char words[][NSB_RECORD_WORD], size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, "box      %-16s \"%s\"\n", name, words[i]);
}

/* Of a network of its own. The words have been checked: they hold nothing that needs quoting. */
static void put_network(FILE *out, const nsb_network_record *network)
{
	if (network == NULL)
		return;
	for (size_t i = 0; i < network->n_pools; i++) {
		char pool[NSB_ADDRESS_SIZE];

		nsb_address_text(&network->pools[i], pool);
		fprintf(out, "box      network_pool     \"%s\"\n", pool);
	}
	fprintf(out, "box      nat              \"%s\"\nbox      forwarding       \"%s\"\n",
		network->nat ? "yes" : "no", network->set_forwarding ? "set" : "check");
	if (network->rate != 0)
		fprintf(out, "box      network_rate     \"%llu\"\n", (unsigned long long)network->rate);
	if (network->connections != 0)
		fprintf(out, "box      network_connections \"%llu\"\n", (unsigned long long)network->connections);
	put_network_words(out, "allow", network->allow, network->n_allow);
	put_network_words(out, "deny", network->deny, network->n_deny);
	put_network_words(out, "publish", network->publish, network->n_publish);
}

char *nsb_plan_network_text(const nsb_plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	put_network(out, plan->network);
	return finish(out, &text, true);
}

char *nsb_plan_text(const nsb_plan *plan)
{
	bool good;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	put_life(out, plan);
	good = put_privileges(out, plan) == 0;
	put_network(out, plan->network);
	for (size_t i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].flags & NSB_STEP_SESSION)
			continue;
		put_step(out, &plan->steps[i]);
		fputc('\n', out);
	}
	return finish(out, &text, good);
}
