/* SPDX-License-Identifier: BSD-3-Clause */
/* What the key account_files puts into a box. Rows as in default-view.c. A mount on a file goes when the host puts another
 * one in its place, as useradd(8) and passwd(1) do: so each of these is done again then. */
#include "common/default-view.h"

#define HOST	NSB_VIEW_ACCOUNTS_HOST
#define MINIMAL NSB_VIEW_ACCOUNTS_MINIMAL

#define FILE_FLAGS (NSB_STEP_READ_ONLY | NSB_STEP_NOSUID | NSB_STEP_NODEV | NSB_STEP_NOEXEC | NSB_STEP_RENEW)
#define INSIDE	   (NSB_STEP_SOURCE_IN_BOX | FILE_FLAGS)
#define MAYBE	   NSB_STEP_OPTIONAL

/* A file that lists accounts, and is not needed by anybody. */
#define EMPTY(path, reason)                                                                                            \
	{                                                                                                              \
		MINIMAL | NSB_VIEW_ROOT_FULL, NSB_OP_BIND, "/run/host/no-accounts", path, NULL, MAYBE | INSIDE, 0, 0,  \
			reason                                                                                         \
	}
/* A directory of such files. */
#define CLOSED(path, reason)                                                                                           \
	{                                                                                                              \
		MINIMAL, NSB_OP_MASK, NULL, path, NULL, MAYBE | NSB_STEP_RENEW, 0, 0, reason                           \
	}

/* Behind /run/host/passwd and /run/host/group, which plan-accounts.c makes. */
const nsb_view_row nsb_view_accounts[] = {
	/* when, op, src, dst, data, flags, mode, owned, why */
	{ HOST, NSB_OP_BIND, "/etc/passwd", "/etc/passwd", NULL, FILE_FLAGS, 0, 0, "account_files" },
	{ HOST, NSB_OP_BIND, "/etc/group", "/etc/group", NULL, FILE_FLAGS, 0, 0, "account_files" },

	{ MINIMAL, NSB_OP_LINES, "/etc/shadow", "/run/host/shadow", "%u\n%u:*:::::::", MAYBE, 0, 0,
	  "the user's own password, for sudo; without a line pam_unix lets nobody through" },
	{ MINIMAL, NSB_OP_LINES, "/etc/subuid", "/run/host/subuid", "%u\n%U", MAYBE, 0, 0,
	  "the user's own range, for podman" },
	{ MINIMAL, NSB_OP_LINES, "/etc/subgid", "/run/host/subgid", "%u\n%U", MAYBE, 0, 0, "as above" },
	{ MINIMAL, NSB_OP_NAMES, "/etc/nsswitch.conf", "/run/host/nsswitch.conf",
	  "passwd group shadow gshadow initgroups netgroup", MAYBE, 0, 0, "no other source tells of accounts" },
	{ MINIMAL, NSB_OP_FILE, NULL, "/run/host/no-accounts", "", 0, 0444, 0, "source of what is made empty" },

	{ MINIMAL, NSB_OP_BIND, "/run/host/passwd", "/etc/passwd", NULL, INSIDE, 0, 0, "account_files" },
	{ MINIMAL, NSB_OP_BIND, "/run/host/group", "/etc/group", NULL, INSIDE, 0, 0, "account_files" },
	{ MINIMAL, NSB_OP_BIND, "/run/host/shadow", "/etc/shadow", NULL, MAYBE | INSIDE, 0, 0, "account_files" },
	{ MINIMAL, NSB_OP_BIND, "/run/host/subuid", "/etc/subuid", NULL, MAYBE | INSIDE, 0, 0, "account_files" },
	{ MINIMAL, NSB_OP_BIND, "/run/host/subgid", "/etc/subgid", NULL, MAYBE | INSIDE, 0, 0, "account_files" },
	{ MINIMAL, NSB_OP_BIND, "/run/host/nsswitch.conf", "/etc/nsswitch.conf", NULL, MAYBE | INSIDE, 0, 0,
	  "account_files" },

	EMPTY("/etc/passwd-", "the passwd of before the last change"),
	EMPTY("/etc/group-", "as above"),
	EMPTY("/etc/shadow-", "as above"),
	EMPTY("/etc/gshadow", "members of all groups"),
	EMPTY("/etc/gshadow-", "as above"),
	EMPTY("/etc/subuid-", "as above"),
	EMPTY("/etc/subgid-", "as above"),
	EMPTY("/var/log/wtmp.1", "logins of others"),
	CLOSED("/etc/userdb", "accounts as JSON, for nss-systemd"),
	CLOSED("/usr/lib/userdb", "as above"),
	CLOSED("/var/lib/extrausers", "accounts for nss-extrausers"),
	CLOSED("/var/lib/sss", "sssd's socket and its cache, which users can read"),
	CLOSED("/var/lib/AccountsService", "what display managers know of accounts"),
	CLOSED("/var/lib/systemd/linger", "names of users"),
	CLOSED("/var/cache/nscd", "tables of nscd"),
};
const size_t nsb_n_view_accounts = sizeof(nsb_view_accounts) / sizeof(nsb_view_accounts[0]);
