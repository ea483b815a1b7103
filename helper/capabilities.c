/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/capabilities.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

int capabilities_check(nsb_error *error)
{
	char missing[256] = "";
	size_t used = 0;

	if (capng_get_caps_process() < 0)
		return nsb_error_set(error, EIO, "cannot read the capabilities of this process");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability) && used < sizeof(missing))
			used += (size_t)snprintf(missing + used, sizeof(missing) - used, " cap_%s", needed[i].name);
	if (used > 0)
		return nsb_error_set(
			error, EPERM,
			"the application runs without%s: give its service these capabilities (or has it been in "
			"a box before? What it took upon itself there stays: one process, one session)",
			missing);
	return 0;
}

/* Whether a set of this process is exactly CAP_KILL (or empty). */
static int set_is(capng_type_t set, int with_kill)
{
	for (unsigned capability = 0; capability <= (unsigned)CAP_LAST_CAP; capability++)
		if (capng_have_capability(set, capability) != (with_kill && capability == CAP_KILL))
			return 0;
	return 1;
}

int capabilities_keep_kill(nsb_error *error)
{
	/* libcap-ng remembers the pid of its first use; clone3(2) by number runs no fork handler that would correct it
	 */
	capng_setpid(getpid());
	if (capng_get_caps_process() < 0)
		return nsb_error_set(error, EIO, "cannot read the capabilities of this process");
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_KILL) < 0 ||
	    capng_apply(CAPNG_SELECT_ALL) < 0)
		return nsb_error_set(error, EPERM, "cannot give up capabilities: %s", strerror(errno));
	if (capng_get_caps_process() < 0 || !set_is(CAPNG_EFFECTIVE, 1) || !set_is(CAPNG_PERMITTED, 1) ||
	    !set_is(CAPNG_INHERITABLE, 0) || !set_is(CAPNG_BOUNDING_SET, 1) || !set_is(CAPNG_AMBIENT, 0))
		return nsb_error_set(error, EPERM,
				     "capabilities are not what was asked for: PID 1 must have CAP_KILL only");
	capng_clear(CAPNG_SELECT_CAPS);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_KILL);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN);
	if (capng_apply(CAPNG_SELECT_CAPS) == 0)
		return nsb_error_set(error, EPERM, "capabilities that were given up can be had back");
	return 0;
}

int capabilities_keep_mount(int effective, nsb_error *error)
{
	static const unsigned kept[] = { CAP_SYS_ADMIN, CAP_CHOWN, CAP_FOWNER, CAP_DAC_OVERRIDE };
	int n = 0, wanted = 0;

	capng_setpid(getpid());
	if (capng_get_caps_process() < 0)
		return nsb_error_set(error, EIO, "cannot read the capabilities of this process");
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		capng_update(CAPNG_ADD, effective ? CAPNG_EFFECTIVE | CAPNG_PERMITTED : CAPNG_PERMITTED, kept[i]);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || capng_get_caps_process() < 0)
		return nsb_error_set(error, EPERM, "cannot give up capabilities: %s", strerror(errno));
	for (unsigned capability = 0; capability <= (unsigned)CAP_LAST_CAP; capability++)
		n += capng_have_capability(CAPNG_EFFECTIVE, capability) +
		     capng_have_capability(CAPNG_PERMITTED, capability);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		wanted += capng_have_capability(CAPNG_PERMITTED, kept[i]) +
			  (effective && capng_have_capability(CAPNG_EFFECTIVE, kept[i]));
	return n == wanted ? 0 : nsb_error_set(error, EPERM, "capabilities are not what was asked for to open a home");
}

int capabilities_raise(nsb_error *error)
{
	capng_setpid(getpid());
	if (capng_get_caps_process() < 0)
		return nsb_error_set(error, EIO, "cannot read the capabilities of this process");
	for (unsigned capability = 0; capability <= (unsigned)CAP_LAST_CAP; capability++)
		if (capng_have_capability(CAPNG_PERMITTED, capability))
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, capability);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return nsb_error_set(error, EPERM, "cannot raise capabilities: %s", strerror(errno));
	return 0;
}
