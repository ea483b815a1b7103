/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the plan that follows from the login: its terminal, its name, its tickets, its environment; and what the box
 * does not protect it against. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "common/capability-table.h"
#include "common/default-view.h"
#include "common/fd-util.h"
#include "common/network.h"
#include "common/path-util.h"
#include "common/plan-internal.h"
#include "common/service-table.h"
#include "common/string-util.h"

static int append(char ***list, size_t *n, const char *text)
{
	char **more = realloc(*list, (*n + 1) * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	*list = more;
	more[*n] = strdup(text);
	if (more[*n] == NULL)
		return -ENOMEM;
	(*n)++;
	return 0;
}

/* What follows from the session rather than from the profile: terminal, host name, tickets. */
int plan_session(planner *p)
{
	const char *cache = nsb_after_prefix(p->session->krb5ccname, "FILE:");
	char path[PATH_MAX];
	int r = 0;

	if (cache == NULL && p->session->krb5ccname[0] == '/')
		cache = p->session->krb5ccname;
	if ((p->when & NSB_VIEW_HOST_TERMINALS) && p->plan->terminal != NULL &&
	    !nsb_path_below(p->plan->terminal, "/dev/pts"))
		r = plan_add(p, (nsb_step){ .op = NSB_OP_BIND,
					    .src = p->plan->terminal,
					    .dst = p->plan->terminal,
					    .flags = NSB_STEP_NOSUID | NSB_STEP_NOEXEC,
					    .why = "the terminal of this login" });
	if (r == 0 && strcmp(p->plan->hostname, p->session->host_name) != 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_HOSTS,
					    .dst = "/run/host/hosts",
					    .data = p->plan->hostname,
					    .flags = NSB_STEP_OPTIONAL,
					    .why = "the box's name must resolve" });
	if (r == 0 && strcmp(p->plan->hostname, p->session->host_name) != 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_BIND,
					    .src = "/run/host/hosts",
					    .dst = "/etc/hosts",
					    .flags = NSB_STEP_OPTIONAL | NSB_STEP_SOURCE_IN_BOX | NSB_STEP_READ_ONLY |
						     NSB_STEP_NOSUID | NSB_STEP_NODEV | NSB_STEP_NOEXEC,
					    .why = "as above" });
	if (r == 0 && cache != NULL && (p->when & NSB_VIEW_PRIVATE_TMP) &&
	    nsb_path_normalize(cache, path, sizeof(path)) == 0 && nsb_path_below(path, "/tmp"))
		r = plan_add(p, (nsb_step){ .op = NSB_OP_CREDENTIALS,
					    .src = path,
					    .dst = path,
					    .uid = p->session->uid,
					    .gid = p->session->gid,
					    .flags = NSB_STEP_OPTIONAL | NSB_STEP_SESSION,
					    .why = "the Kerberos cache lies in the host's /tmp" });
	return r;
}

/* Each login takes it upon itself, also in a box that is there. */
int plan_filter(planner *p)
{
	const nsb_settings *s = p->settings;
	NSB_FREE char *words = nsb_format("%s%s%s", s->seccomp == NSB_SECCOMP_STRICT ? "strict" : "default",
					  s->nested_namespaces ? " nested" : "", s->core ? " core" : "");

	if (words == NULL)
		return -ENOMEM;
	if (s->seccomp == NSB_SECCOMP_OFF)
		return 0;
	return plan_add(p, (nsb_step){ .op = NSB_OP_FILTER,
				       .data = words,
				       .flags = NSB_STEP_SESSION,
				       .why = "system calls that no session needs, and the kernel behind them" });
}

int plan_environment(planner *p)
{
	nsb_plan *plan = p->plan;
	bool caller = nsb_service_traits(p->session->service) & NSB_SERVICE_CALLER;
	NSB_FREE char *id = nsb_format("NSBOX_ID=%s", p->session->id);
	NSB_FREE char *xauthority = nsb_format("XAUTHORITY=/run/user/%u/Xauthority", p->session->uid);
	int r;

	if (id == NULL || xauthority == NULL)
		return -ENOMEM;
	r = append(&plan->environment, &plan->n_environment, id);
	if (r == 0)
		r = append(&plan->environment, &plan->n_environment, "DBUS_SESSION_BUS_ADDRESS");
	/* the sockets of the caller's agent stay outside */
	if (r == 0 && caller)
		r = append(&plan->environment, &plan->n_environment, "SSH_AUTH_SOCK");
	/* every box has a display :10 of its own, so the cookies of two sessions must not share a file */
	if (r == 0 && plan->record && plan->terminal == NULL)
		r = append(&plan->environment, &plan->n_environment, xauthority);
	return r;
}

/* Capabilities with which root in the box is no longer in it. "": none of them. NULL without memory. */
static char *powers_sentence(uint64_t set)
{
	NSB_FREE char *names = nsb_capability_text(set & nsb_capability_powers());

	if (names == NULL || strcmp(names, "none") == 0)
		return names == NULL ? NULL : strdup("");
	return nsb_format("root in the box has %s: with that it can get out", names);
}

int plan_warnings(planner *p)
{
	NSB_FREE char *powers = powers_sentence(p->plan->capabilities);
	bool ids = plan_keeps_ids(p);
	/* capabilities do not matter: uid 0 of the host is asked for, and any user namespace has the rest */
	bool sets_kernel =
		!ids && p->settings->nested_namespaces && (p->session->uid == 0 || !p->settings->no_new_privs);
	const struct {
		bool holds;
		const char *sentence;
	} rows[] = {
		{ !ids && p->plan->capabilities == UINT64_MAX,
		  "root in the box is root on the host's files and kernel: no capability is taken away" },
		{ !ids && p->plan->capabilities != UINT64_MAX,
		  "root in the box is root on the files of the host that the box sees: capabilities limit only what "
		  "else it can do" },
		{ !ids && p->plan->capabilities != UINT64_MAX && powers != NULL && powers[0] != '\0', powers },
		{ ids && p->plan->root_kind != NSB_ROOT_HOST,
		  "root in the box is root on the user's files and reads the whole tree of the box, secrets in it "
		  "included" },
		{ p->plan->core, "a crash starts the host's handler of core dumps, as root outside the box" },
		{ p->plan->root_kind == NSB_ROOT_HOST, "files of the host that the user may read are in sight" },
		{ p->plan->root_kind == NSB_ROOT_CURATED, "the host's /usr and the listed files of /etc are in sight" },
		{ plan_keeps_writes(p),
		  "what root in the box writes to the tree is kept, and root in the next box runs it" },
		{ p->plan->root_kind == NSB_ROOT_HOST && (p->when & NSB_VIEW_ACCOUNTS_MINIMAL) != 0,
		  "names of accounts are in sight where files of the host tell them; all of them can be seen when "
		  "the host replaces /etc/passwd" },
		{ p->settings->seccomp == NSB_SECCOMP_OFF,
		  "no system call is filtered: every one of the kernel's can be tried, keys and user namespaces among "
		  "them" },
		{ p->settings->nested_namespaces, "user namespaces can be made: with all capabilities in them, much of "
						  "the kernel's code can be reached" },
		{ sets_kernel,
		  "root in the box can mount a /proc in which nothing is masked (nested_namespaces), and by it "
		  "sets the host's kernel and runs programs outside (core_pattern, modprobe)" },
		{ (p->when & NSB_VIEW_HOST_TERMINALS) != 0 && p->settings->seccomp == NSB_SECCOMP_OFF,
		  "the terminal is shared with the host: input can be pushed into it (TIOCSTI)" },
		{ (p->when & NSB_VIEW_OWN_NETWORK) == 0,
		  "the network is the host's: its ports, services and abstract sockets can be reached" },
		{ nsb_network_kind(p->settings->network, NULL) == NSB_NETWORK_BRIDGE,
		  "the network is a bridge of the host: whoever else is on it, or behind it, reaches every port of the box" },
		{ nsb_network_kind(p->settings->network, NULL) == NSB_NETWORK_NETNS,
		  "the network is that of a namespace of the host: who else is in it shares ports, services on loopback "
		  "and abstract sockets" },
		{ nsb_network_kind(p->settings->network, NULL) == NSB_NETWORK_JOIN,
		  "the network is that of another box: sessions of both share ports, services on loopback and "
		  "abstract sockets" },
		{ (p->when & NSB_VIEW_OWN_IPC) == 0, "shared memory, semaphores and message queues are the host's" },
		{ p->settings->dev.n > 0,
		  "devices of the host are open to whom their owner and mode on the host let in" },
		{ p->plan->share, "the user's sessions in this box see, signal and trace each other" },
		{ (p->when & NSB_VIEW_PRIVATE_TMP) == 0, "/tmp and /var/tmp are shared with other sessions" },
		{ !p->plan->host_overlaid &&
			  (p->plan->root_kind == NSB_ROOT_HOST || p->settings->home == NSB_HOME_BIND),
		  "files that the user leaves in the home (~/.ssh/authorized_keys, ~/.forward, user units) act "
		  "outside" },
	};

	if (powers == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = rows[i].holds ? append(&p->plan->unprotected, &p->plan->n_unprotected, rows[i].sentence) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}
