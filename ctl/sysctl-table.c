/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/sysctl-table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMESPACES_LEAST 1024 /* boxes that may be there at a time */
#define AT_LEAST(n)	 n, SYSCTL_ANY_MOST
#define AT_MOST(n)	 SYSCTL_ANY_LEAST, n
#define EXACTLY(n)	 n, n

/* One box takes one of each. */
#define NAMESPACE(kind)                                                                                                \
	{                                                                                                              \
		"user.max_" kind "_namespaces", AT_LEAST(NAMESPACES_LEAST), "16384", FINDING_PROBLEM,                  \
			"each box takes one of these: when they are used up, logins are refused"                       \
	}

const sysctl_row sysctl_rows[] = {
	/* what a session gets to know */
	{ "kernel.dmesg_restrict", AT_LEAST(1), "1", FINDING_WARNING,
	  "the kernel's messages, which tell addresses, devices and crashes of others, can be read in a box" },
	{ "kernel.kptr_restrict", AT_LEAST(1), "1", FINDING_WARNING,
	  "addresses of the kernel, which attacks on it need, can be read in a box" },
	{ "kernel.perf_event_paranoid", AT_LEAST(2), "2", FINDING_WARNING,
	  "a box without seccomp can measure the kernel and the processors" },
	{ "kernel.randomize_va_space", EXACTLY(2), "2", FINDING_WARNING,
	  "programs with rights, in boxes too, lie at addresses that can be known beforehand" },
	/* how much of the kernel it reaches */
	{ "kernel.unprivileged_bpf_disabled", AT_LEAST(1), "1", FINDING_WARNING,
	  "a box without seccomp can put programs into the kernel" },
	{ "vm.unprivileged_userfaultfd", EXACTLY(0), "0", FINDING_NOTE,
	  "a box without seccomp can stop the kernel in the midst of its work, which attacks on it use" },
	{ "kernel.unprivileged_userns_clone", EXACTLY(0), "0", FINDING_NOTE,
	  "everybody may make user namespaces, in which the kernel offers all that only root has otherwise (browsers "
	  "and "
	  "containers of users need it)" },
	{ "kernel.apparmor_restrict_unprivileged_userns", AT_LEAST(1), "1", FINDING_NOTE,
	  "AppArmor lets everybody make user namespaces, in which the kernel offers all that only root has otherwise" },
	{ "dev.tty.legacy_tiocsti", EXACTLY(0), "0", FINDING_WARNING,
	  "input can be pushed into a terminal that is shared with the host (su, sudo, login)" },
	{ "kernel.yama.ptrace_scope", AT_LEAST(1), "1", FINDING_WARNING,
	  "any process of a user can trace every other one of the same user, in a shared box those of other logins" },
	/* traps in directories that boxes share */
	{ "fs.protected_symlinks", EXACTLY(1), "1", FINDING_WARNING,
	  "a symbolic link in a directory like /tmp leads programs of others astray, those of the host too" },
	{ "fs.protected_hardlinks", EXACTLY(1), "1", FINDING_WARNING,
	  "users make hard links to files that are not theirs, set-user-ID programs of the host too" },
	{ "fs.protected_fifos", AT_LEAST(1), "1", FINDING_WARNING,
	  "a FIFO in a directory like /tmp takes what programs of others write into it" },
	{ "fs.protected_regular", AT_LEAST(1), "1", FINDING_WARNING,
	  "a file in a directory like /tmp takes what programs of others write into it" },
	/* crashes */
	{ "fs.suid_dumpable", AT_MOST(0), "0", FINDING_WARNING,
	  "programs that hold the rights of others leave their memory in core dumps" },
	/* what all boxes use together */
	NAMESPACE("mnt"),
	NAMESPACE("pid"),
	NAMESPACE("uts"),
	NAMESPACE("ipc"),
	NAMESPACE("net"),
	NAMESPACE("cgroup"),
	{ "kernel.pty.max", AT_LEAST(2048), "4096", FINDING_WARNING,
	  "a box may have 1024 terminals: one user would leave the others without" },
	{ "kernel.pty.reserve", AT_LEAST(64), "1024", FINDING_WARNING,
	  "boxes leave no terminals to logins of the host that are not boxed, the administrator's among them" },
	{ "kernel.keys.maxkeys", AT_LEAST(200), "200", FINDING_WARNING,
	  "each session has a key ring: a user with several sessions has no room for more" },
};
const size_t sysctl_n_rows = sizeof(sysctl_rows) / sizeof(sysctl_rows[0]);

void sysctl_path(const char *name, char buffer[SYSCTL_PATH_SIZE])
{
	snprintf(buffer, SYSCTL_PATH_SIZE, "%s", name);
	for (char *c = buffer; *c != '\0'; c++)
		if (*c == '.')
			*c = '/';
}

bool sysctl_is_good(const sysctl_row *row, const char *text)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || end[strspn(end, " \t\n")] != '\0')
		return false;
	return value >= row->least && value <= row->most;
}

char sysctl_core_handler(const char *text)
{
	return text[0] == '|' || text[0] == '@' ? text[0] : '\0';
}
