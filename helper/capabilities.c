/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/capability-set.h"

/* One row a capability that the helper uses. */
static const struct {
	unsigned capability;
	const char *name;
	const char *why;
} needed[] = {
	{ CAP_SYS_ADMIN, "sys_admin", "namespaces, mounts, setns" },
	{ CAP_SYS_CHROOT, "sys_chroot", "setns into a mount namespace" },
	{ CAP_SYS_PTRACE, "sys_ptrace", "setns to a PID 1 that is not dumpable" },
	{ CAP_KILL, "kill", "PID 1 signals the user's processes" },
	{ CAP_SETPCAP, "setpcap", "the bounding set of PID 1" },
	{ CAP_SETUID, "setuid", "reading credentials with the user's rights" },
	{ CAP_SETGID, "setgid", "as setuid" },
	{ CAP_CHOWN, "chown", "files made for the user" },
	{ CAP_DAC_OVERRIDE, "dac_override", "the user's directories" },
	{ CAP_FOWNER, "fowner", "modes of files made for the user" },
	{ CAP_MKNOD, "mknod", "/dev/null and its kin" },
	{ CAP_NET_ADMIN, "net_admin", "lo; links and rules of a network of its own" },
};

static int get(nsb_capability_sets *ret, nsb_error *error)
{
	return nsb_capabilities_get(ret) < 0 ? nsb_error_set(error, EIO, "cannot read the capabilities of this process")
					     : 0;
}

int capabilities_check(nsb_error *error)
{
	char missing[256] = "";
	nsb_capability_sets have;
	size_t used = 0;

	if (get(&have, error) < 0)
		return -EIO;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!(have.effective & NSB_CAPABILITY(needed[i].capability)) && used < sizeof(missing))
			used += (size_t)snprintf(missing + used, sizeof(missing) - used, " cap_%s", needed[i].name);
	if (used > 0)
		return nsb_error_set(
			error, EPERM,
			"the application runs without%s: give its service these capabilities (or has it been in "
			"a box before? What it took upon itself there stays: one process, one session)",
			missing);
	return 0;
}

int capabilities_keep_kill(nsb_error *error)
{
	const uint64_t kill = NSB_CAPABILITY(CAP_KILL), more = kill | NSB_CAPABILITY(CAP_SYS_ADMIN);
	const nsb_capability_sets wanted = { kill, kill, 0 };
	int r = nsb_capabilities_reduce(kill);

	if (r < 0)
		return nsb_error_set(error, EPERM, "cannot give up capabilities: %s", strerror(-r));
	/* of the bounding set each one that was to go has been looked at (nsb_bounding_keep) */
	if (!nsb_capabilities_are(&wanted) || prctl(PR_CAPBSET_READ, CAP_KILL, 0L, 0L, 0L) != 1)
		return nsb_error_set(error, EPERM,
				     "capabilities are not what was asked for: PID 1 must have CAP_KILL only");
	if (nsb_capabilities_set(&(nsb_capability_sets){ more, more, 0 }) == 0)
		return nsb_error_set(error, EPERM, "capabilities that were given up can be had back");
	return 0;
}

int capabilities_keep_mount(int effective, nsb_error *error)
{
	const uint64_t kept = NSB_CAPABILITY(CAP_SYS_ADMIN) | NSB_CAPABILITY(CAP_CHOWN) | NSB_CAPABILITY(CAP_FOWNER) |
			      NSB_CAPABILITY(CAP_DAC_OVERRIDE);
	const nsb_capability_sets wanted = { effective ? kept : 0, kept, 0 };
	int r = nsb_capabilities_set(&wanted);

	if (r < 0)
		return nsb_error_set(error, EPERM, "cannot give up capabilities: %s", strerror(-r));
	return nsb_capabilities_are(&wanted)
		       ? 0
		       : nsb_error_set(error, EPERM, "capabilities are not what was asked for to open a home");
}

int capabilities_raise(nsb_error *error)
{
	nsb_capability_sets sets;
	int r = get(&sets, error);

	if (r < 0)
		return r;
	sets.effective = sets.permitted;
	r = nsb_capabilities_set(&sets);
	return r < 0 ? nsb_error_set(error, EPERM, "cannot raise capabilities: %s", strerror(-r)) : 0;
}
