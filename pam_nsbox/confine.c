/* SPDX-License-Identifier: BSD-3-Clause */
#include "pam_nsbox/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/capability-set.h"
#include "common/capability-table.h"
#include "common/fd-util.h"

/* The kernel looks for a program's limit of exactly this many bytes before it starts a handler of core dumps; 0 would
 * not stop it, core(5). */
#define NO_HANDLER 1

#define SAME ((uid_t)-1)

static int read_sets(nsb_capability_sets *ret, nsb_error *error)
{
	int r = nsb_capabilities_get(ret);

	return r < 0 ? nsb_error_set(error, r, "cannot read the capabilities: %s", strerror(-r)) : 0;
}

static bool has(const nsb_capability_sets *sets, unsigned capability)
{
	return sets->effective & NSB_CAPABILITY(capability);
}

static const char *name_of(unsigned capability)
{
	for (size_t i = 0; i < nsb_n_capabilities; i++)
		if (nsb_capabilities[i].number == capability)
			return nsb_capabilities[i].name;
	return "a capability that has no name yet";
}

/* sudo, and pam_limits with "hard core 0", have it at 0, where the handler is started all the same. */
static int core_refused(nsb_error *error)
{
	return nsb_error_set(error, EPERM,
			     "cannot set RLIMIT_CORE to 1, which keeps the host's handler of core dumps away: its hard "
			     "limit is 0, and the application lacks CAP_SYS_RESOURCE; give it that, or set core = yes");
}

static int check_core(const nsb_capability_sets *sets, nsb_error *error)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		return nsb_error_set(error, errno, "cannot read RLIMIT_CORE: %s", strerror(errno));
	return limit.rlim_max < NO_HANDLER && !has(sets, CAP_SYS_RESOURCE) ? core_refused(error) : 0;
}

int confine_check(const nsb_confinement *confinement, nsb_error *error)
{
	nsb_capability_sets sets;
	int r = read_sets(&sets, error);

	if (r == 0 && (confinement->flags & NSB_CONFINE_NO_CORE))
		r = check_core(&sets, error);
	if (r == 0 && getuid() != 0 && !has(&sets, CAP_SETUID))
		r = nsb_error_set(error, EPERM, "the application needs CAP_SETUID to make a session keyring");
	for (unsigned capability = 0; capability < 64 && r == 0 && !has(&sets, CAP_SETPCAP); capability++)
		if (!(confinement->capabilities & NSB_CAPABILITY(capability)) &&
		    prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
			r = nsb_error_set(error, EPERM,
					  "the application needs CAP_SETPCAP to take %s out of the bounding set",
					  name_of(capability));
	return r;
}

/* The keys of a session are not for the next one. */
static int new_keyring(const char *name, nsb_error *error)
{
	if (name[0] == '\0' || syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) >= 0)
		return 0;
	/* a kernel without keys, or a host that is a container and has them filtered: there are none in the box either */
	if (errno == ENOSYS || errno == EPERM)
		return 0;
	return nsb_error_set(error, errno, "cannot make a session keyring: %s", strerror(errno));
}

/* A keyring belongs to the real user, in su and sudo the caller: outside of the box that one could link it to his own, and
 * have every key of the session; and his quota of keys would be what counts. So it is root's. By number: the C library's
 * call would signal the threads. */
static int root_keyring(const char *name, nsb_error *error)
{
	uid_t real = getuid();
	int r;

	if (real != 0 && syscall(SYS_setresuid, 0, SAME, SAME) < 0)
		return nsb_error_set(error, errno, "cannot be root with the real id: %s", strerror(errno));
	r = new_keyring(name, error);
	if (real != 0 && (syscall(SYS_setresuid, real, SAME, SAME) < 0 || getuid() != real))
		return nsb_error_set(error, EPERM, "cannot have the real user id back");
	return r;
}

static int stop_core_dumps(nsb_error *error)
{
	struct rlimit limit = { NO_HANDLER, NO_HANDLER }, got;

	if (getrlimit(RLIMIT_CORE, &got) == 0 && got.rlim_cur == NO_HANDLER && got.rlim_max == NO_HANDLER)
		return 0;
	if (setrlimit(RLIMIT_CORE, &limit) < 0)
		return errno == EPERM ? core_refused(error)
				      : nsb_error_set(error, errno, "cannot set RLIMIT_CORE: %s", strerror(errno));
	if (getrlimit(RLIMIT_CORE, &got) < 0 || got.rlim_cur != NO_HANDLER || got.rlim_max != NO_HANDLER)
		return nsb_error_set(error, EPERM, "RLIMIT_CORE is not what was set");
	return 0;
}

/* Nothing that is started by exec gets capabilities from these. */
static int empty_inheritable(nsb_error *error)
{
	nsb_capability_sets sets;
	int r = read_sets(&sets, error);

	if (r < 0)
		return r;
	sets.inheritable = 0;
	r = nsb_capabilities_set(&sets);
	/* what is ambient is inheritable as well, so both are empty; proved all the same */
	if (r == 0)
		r = nsb_ambient_clear();
	if (r < 0)
		return nsb_error_set(error, r, "cannot empty the inheritable capabilities: %s", strerror(-r));
	return nsb_capabilities_are(&sets) ? 0 : nsb_error_set(error, EPERM, "inheritable capabilities are left");
}

static int bound(uint64_t wanted, nsb_error *error)
{
	unsigned which;
	int r = nsb_bounding_keep(wanted, &which);

	if (r == -EIO)
		return nsb_error_set(error, EPERM, "%s is not as the profile wants it", name_of(which));
	if (r < 0)
		return nsb_error_set(error, r, "cannot take %s out of the bounding set: %s%s", name_of(which),
				     strerror(-r), r == -EPERM ? " (the application needs CAP_SETPCAP)" : "");
	return 0;
}

static int forbid_new_privileges(nsb_error *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return nsb_error_set(error, errno, "cannot set no_new_privs: %s", strerror(errno));
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return nsb_error_set(error, EPERM, "no_new_privs is not what was set");
	return 0;
}

int confine_load(int fd, nsb_filter *ret, nsb_error *error)
{
	const size_t one = sizeof(struct sock_filter);
	NSB_FREE char *program = NULL;
	struct stat st;
	ssize_t n;

	*ret = (nsb_filter){ 0 };
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return nsb_error_set(error, errno, "cannot look at the filter of system calls: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_size <= 0 || (size_t)st.st_size % one != 0 ||
	    (size_t)st.st_size / one > BPF_MAXINSNS)
		return nsb_error_set(error, EBADMSG, "the filter of system calls is no program of root's");
	program = malloc((size_t)st.st_size);
	if (program == NULL)
		return -ENOMEM;
	n = pread(fd, program, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return nsb_error_set(error, n < 0 ? errno : EBADMSG, "cannot read the filter of system calls");
	ret->length = (unsigned short)((size_t)n / one);
	ret->program = (struct sock_filter *)(void *)nsb_steal_pointer(&program);
	return 0;
}

static int filter_calls(const nsb_filter *filter, nsb_error *error)
{
	struct sock_fprog program = { .len = filter->length, .filter = filter->program };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return nsb_error_set(error, errno, "cannot filter system calls: %s", strerror(errno));
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return nsb_error_set(error, EPERM, "system calls are not filtered");
	return 0;
}

int confine_self(const nsb_confinement *confinement, const nsb_filter *filter, nsb_error *error)
{
	int r = confine_resources(confinement, error);

	return r == 0 ? confine_privileges(confinement, filter, error) : r;
}

int confine_resources(const nsb_confinement *confinement, nsb_error *error)
{
	int r = root_keyring(confinement->keyring, error);

	if (r == 0 && (confinement->flags & NSB_CONFINE_NO_CORE))
		r = stop_core_dumps(error);
	return r;
}

int confine_privileges(const nsb_confinement *confinement, const nsb_filter *filter, nsb_error *error)
{
	int r = empty_inheritable(error);

	if (r == 0)
		r = bound(confinement->capabilities, error);
	if (r == 0 && (confinement->flags & NSB_CONFINE_NO_NEW_PRIVS))
		r = forbid_new_privileges(error);
	/* the last one: it need not allow what is above */
	if (r == 0 && filter->program != NULL)
		r = filter_calls(filter, error);
	return r;
}
