/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/config-keys.h"

#include <sched.h>
#include <string.h>

#include "common/capability-table.h"
#include "common/config-checks.h"
#include "common/kernel-target.h"
#include "common/network.h"
#include "common/pattern.h"
#include "common/string-util.h"

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define NEAREST_LENGTH	 32 /* longer words are not mistyped keys */
#define NEAREST_DISTANCE 3
#define TMPFS_OPTIONS	 "size= mode= nr_inodes= noexec"
#define WEIGHT_MAX	 10000
#define CONNECTIONS_MAX INT32_MAX
#define PIDS_MAX	 (4 * 1024 * 1024) /* the kernel's PID_MAX_LIMIT */

static const nsb_choice_word namespace_words[] = {
	{ "uts", CLONE_NEWUTS }, { "ipc", CLONE_NEWIPC },	{ "mount", CLONE_NEWNS },
	{ "pid", CLONE_NEWPID }, { "cgroup", CLONE_NEWCGROUP }, { NULL, 0 },
};

static const nsb_choice_word on_error_words[] = {
	{ "deny", NSB_ON_ERROR_DENY },
	{ "allow", NSB_ON_ERROR_ALLOW },
	{ NULL, 0 },
};

static const nsb_choice_word share_words[] = {
	{ "session", NSB_SHARE_SESSION },
	{ "user", NSB_SHARE_USER },
	{ NULL, 0 },
};

static const nsb_choice_word on_change_words[] = {
	{ "separate", NSB_ON_CHANGE_SEPARATE },
	{ "refuse", NSB_ON_CHANGE_REFUSE },
	{ NULL, 0 },
};

static const nsb_choice_word linger_words[] = {
	{ "no", 0 },
	{ "yes", NSB_INFINITY },
	{ NULL, 0 },
};

static const nsb_choice_word private_tmp_words[] = {
	{ "session", NSB_PRIVATE_TMP_SESSION },
	{ "no", NSB_PRIVATE_TMP_NO },
	{ NULL, 0 },
};

static const nsb_choice_word devpts_words[] = {
	{ "auto", NSB_DEVPTS_AUTO },
	{ "private", NSB_DEVPTS_PRIVATE },
	{ "host", NSB_DEVPTS_HOST },
	{ NULL, 0 },
};

static const nsb_choice_word account_files_words[] = {
	{ "root", NSB_ACCOUNT_FILES_ROOT },
	{ "host", NSB_ACCOUNT_FILES_HOST },
	{ "minimal", NSB_ACCOUNT_FILES_MINIMAL },
	{ NULL, 0 },
};

static const nsb_choice_word home_words[] = {
	{ "bind", NSB_HOME_BIND },
	{ "tmpfs", NSB_HOME_TMPFS },
	{ "overlay", NSB_HOME_OVERLAY },
	{ "none", NSB_HOME_NONE },
	{ NULL, 0 },
};

static const nsb_choice_word sys_words[] = {
	{ "ro", NSB_SYS_RO },
	{ "none", NSB_SYS_NONE },
	{ NULL, 0 },
};

static const nsb_choice_word proc_subset_words[] = {
	{ "all", NSB_PROC_SUBSET_ALL },
	{ "pid", NSB_PROC_SUBSET_PID },
	{ NULL, 0 },
};

static const nsb_choice_word cgroup_manager_words[] = {
	{ "auto", NSB_CGROUP_MANAGER_AUTO },
	{ "cgroupfs", NSB_CGROUP_MANAGER_CGROUPFS },
	{ "systemd", NSB_CGROUP_MANAGER_SYSTEMD },
	{ NULL, 0 },
};

static const nsb_choice_word forwarding_words[] = {
	{ "check", NSB_FORWARDING_CHECK },
	{ "set", NSB_FORWARDING_SET },
	{ NULL, 0 },
};

static const nsb_choice_word seccomp_words[] = {
	{ "default", NSB_SECCOMP_DEFAULT },
	{ "strict", NSB_SECCOMP_STRICT },
	{ "off", NSB_SECCOMP_OFF },
	{ NULL, 0 },
};

static const nsb_choice_word user_namespace_words[] = {
	{ "no", NSB_USER_NAMESPACE_NO },
	{ "keep-id", NSB_USER_NAMESPACE_KEEP_ID },
	{ NULL, 0 },
};

#define PLACE(member) .name = #member, .offset = offsetof(nsb_settings, member)

const nsb_key nsb_keys[] = {
	{ PLACE(users), .type = NSB_KEY_WORDS, .fallback = "", .check = nsb_pattern_check_user, .profile_only = true,
	  .subject = "who",
	  .summary = "Whom the profile is for: names, globs, @group, uid or uid-uid; \"!\" in front excludes." },
	{ PLACE(services), .type = NSB_KEY_WORDS, .fallback = "*", .check = nsb_pattern_check_service,
	  .profile_only = true, .subject = "who",
	  .summary = "The PAM services the profile is for: names and globs; \"!\" in front excludes." },
	{ PLACE(from), .type = NSB_KEY_WORDS, .fallback = "", .check = nsb_pattern_check_from, .profile_only = true,
	  .subject = "who",
	  .summary = "Remote hosts the profile is for: ADDRESS, ADDRESS/PREFIX, host name globs, local; empty: all." },
	{ PLACE(inherits), .type = NSB_KEY_NAME, .fallback = "", .profile_only = true, .subject = "who",
	  .summary = "Another profile whose settings apply where this one says nothing else." },
	{ PLACE(on_error), .type = NSB_KEY_ENUM, .fallback = "deny", .choices = on_error_words, .subject = "who",
	  .summary = "What happens to a login that cannot be boxed: deny, or allow it without a box." },
	{ PLACE(share), .type = NSB_KEY_ENUM, .fallback = "session", .choices = share_words, .subject = "who",
	  .summary = "A box for each session, or one for all sessions of a user under this profile." },
	{ PLACE(linger), .type = NSB_KEY_DURATION, .fallback = "no", .choices = linger_words,
	  .max = 366LL * 24 * 60 * 60 * 1000, .infinity = true, .zero = true, .subject = "who",
	  .summary = "How long a box with share = user stays after its last session: no, a time, or yes (for good)." },
	{ PLACE(on_change), .type = NSB_KEY_ENUM, .fallback = "separate", .choices = on_change_words, .subject = "who",
	  .summary = "When the configuration has changed since the user's box was made: a separate box, or refuse." },
	{ PLACE(stop_timeout), .type = NSB_KEY_DURATION, .fallback = "2s", .max = 5 * 60 * 1000, .zero = true,
	  .subject = "who", .summary = "How long processes may take to end after the logout before they are killed.",
	  .cousin = "TimeoutStopSec=" },
	{ PLACE(sessions_max), .type = NSB_KEY_COUNT, .fallback = "infinity", .max = 65536, .infinity = true,
	  .subject = "who", .summary = "The largest number of sessions that a user may have at a time, or infinity." },
	{ PLACE(runtime_max), .type = NSB_KEY_DURATION, .fallback = "infinity", .max = 366LL * 24 * 60 * 60 * 1000,
	  .infinity = true, .subject = "who", .summary = "How long a session may last before it is ended, or infinity.",
	  .cousin = "RuntimeMaxSec=" },
	{ PLACE(hostname), .type = NSB_KEY_TEMPLATE, .fallback = "%H", .subject = "view",
	  .summary = "The host name in the box; specifiers as in %H (the host's name) and %u (the user).",
	  .cousin = "Hostname= (systemd.nspawn)" },
	{ PLACE(domainname), .type = NSB_KEY_TEMPLATE, .fallback = "", .subject = "view",
	  .summary = "The NIS domain name in the box; empty: the host's." },
	{ PLACE(namespaces), .type = NSB_KEY_FLAGS, .fallback = "uts ipc mount pid cgroup", .choices = namespace_words,
	  .required = CLONE_NEWNS | CLONE_NEWPID,
	  .required_why = "\"mount\" and \"pid\" cannot be left out: without them there is no root and no /proc "
			  "of its own, hence no box",
	  .check = nsb_check_namespace, .subject = "view",
	  .summary = "The namespaces of the box; mount and pid always, net by the key network." },
	{ PLACE(root), .type = NSB_KEY_ROOT, .fallback = "host", .check = nsb_check_root, .subject = "view",
	  .summary = "The tree that the box sees: host, curated, or a directory or image (squashfs, erofs) that belongs to root.",
	  .cousin = "RootDirectory=, RootImage=" },
	{ PLACE(root_readonly), .type = NSB_KEY_BOOL, .fallback = "no", .subject = "view",
	  .summary = "Whether nobody, root included, can write to the tree: yes or no.", .cousin = "ProtectSystem=strict" },
	{ PLACE(overlay), .type = NSB_KEY_ROOT, .fallback = "no", .check = nsb_check_overlay, .subject = "view",
	  .summary = "Where writes to the tree go: no (to the tree), ephemeral (to memory, gone with the box), or a directory.",
	  .cousin = "--overlay= (systemd-nspawn)" },
	{ PLACE(overlay_size), .type = NSB_KEY_SIZE, .fallback = "10%", .whole = true, .subject = "view",
	  .summary = "How much overlay = ephemeral holds: an amount, or a percentage of the machine's memory.",
	  .cousin = "TemporaryFileSystem=" },
	{ PLACE(layers), .type = NSB_KEY_PATHS, .fallback = "", .check = nsb_check_layers, .subject = "view",
	  .summary = "Directories stacked as a container image's are, the uppermost first: TOP:NEXT:LOWEST; instead of root.",
	  .cousin = "--overlay-ro= (systemd-nspawn)" },
	{ PLACE(account_files), .type = NSB_KEY_ENUM, .fallback = "root", .choices = account_files_words,
	  .subject = "view",
	  .summary = "/etc/passwd and /etc/group in the box: those of its root, the host's, or minimal: the user's own "
		     "lines only." },
	{ PLACE(bind), .type = NSB_KEY_PATHS, .fallback = "", .check = nsb_check_bind, .subject = "view",
	  .summary = "Paths of the host put into the box: SOURCE or SOURCE:TARGET.", .cousin = "BindPaths=" },
	{ PLACE(bind_ro), .type = NSB_KEY_PATHS, .fallback = "", .check = nsb_check_bind, .subject = "view",
	  .summary = "The same, read-only.", .cousin = "BindReadOnlyPaths=" },
	{ PLACE(bind_optional), .type = NSB_KEY_PATHS, .fallback = "", .check = nsb_check_bind, .subject = "view",
	  .summary = "The same as bind, but a source that does not exist is no error.", .cousin = "BindPaths=-" },
	{ PLACE(tmpfs), .type = NSB_KEY_PATHS, .fallback = "", .check = nsb_check_tmpfs, .subject = "view",
	  .summary = "Empty file systems in memory: TARGET or TARGET:OPTION,OPTION of " TMPFS_OPTIONS ".",
	  .cousin = "TemporaryFileSystem=" },
	{ PLACE(mask), .type = NSB_KEY_PATHS, .fallback = "", .check = nsb_check_mask, .subject = "view",
	  .summary = "Paths made empty in the box.", .cousin = "InaccessiblePaths=" },
	{ PLACE(private_tmp), .type = NSB_KEY_ENUM, .fallback = "session", .choices = private_tmp_words,
	  .subject = "view", .summary = "An empty /tmp and /var/tmp for each session, or no: the ones of the tree.",
	  .cousin = "PrivateTmp=" },
	{ PLACE(devpts), .type = NSB_KEY_ENUM, .fallback = "auto", .choices = devpts_words, .subject = "view",
	  .summary = "Terminals: the box's own (private), the host's, or auto: host where the login has a terminal "
		     "already." },
	{ PLACE(home), .type = NSB_KEY_ENUM, .fallback = "bind", .choices = home_words, .subject = "view",
	  .summary = "The user's home: the real one (bind), an empty one (tmpfs), a copy whose changes are lost (overlay), none.",
	  .cousin = "ProtectHome=" },
	{ PLACE(home_size), .type = NSB_KEY_SIZE, .fallback = "10%", .whole = true, .subject = "view",
	  .summary = "How much a home in memory may hold (home = tmpfs), or what is changed in it (home = overlay)." },
	{ PLACE(tmp_size), .type = NSB_KEY_SIZE, .fallback = "10%", .whole = true, .subject = "view",
	  .summary = "How much /tmp may hold where it is private, and /var/tmp as much again." },
	{ PLACE(shm_size), .type = NSB_KEY_SIZE, .fallback = "10%", .whole = true, .subject = "view",
	  .summary = "How much shared memory may be in /dev/shm." },
	{ PLACE(run_size), .type = NSB_KEY_SIZE, .fallback = "10%", .whole = true, .subject = "view",
	  .summary = "How much /run may hold, and /run/user/UID as much again." },
	{ PLACE(sys), .type = NSB_KEY_ENUM, .fallback = "ro", .choices = sys_words, .subject = "view",
	  .summary = "/sys: read-only (ro), or an empty directory (none).", .cousin = "ProtectKernelTunables=" },
	{ PLACE(proc_subset), .type = NSB_KEY_ENUM, .fallback = "all", .choices = proc_subset_words, .subject = "view",
	  .summary = "/proc: all of it, or the processes only (pid).", .cousin = "ProcSubset=" },
	{ PLACE(dev), .type = NSB_KEY_PATHS, .fallback = "", .check = nsb_check_dev, .subject = "view",
	  .summary = "Further devices of the host, paths and globs below /dev: /dev/fuse /dev/dri/renderD*.",
	  .cousin = "DeviceAllow=" },
	{ PLACE(cgroup_manager), .type = NSB_KEY_ENUM, .fallback = "auto", .choices = cgroup_manager_words,
	  .subject = "limits",
	  .summary = "Who makes the control groups: the helper (cgroupfs) or systemd; auto: systemd on its hosts with version 2.",
	  .cousin = "Delegate=" },
	{ PLACE(cgroup_parent), .type = NSB_KEY_NAME, .fallback = "nsbox", .slashes = true, .subject = "limits",
	  .summary = "The control group below which each box gets its own; for the manager cgroupfs.",
	  .cousin = "Slice=" },
	{ PLACE(pids_max), .type = NSB_KEY_COUNT, .fallback = "2048", .max = PIDS_MAX, .infinity = true,
	  .subject = "limits", .summary = "The largest number of processes and threads in a box, or infinity.",
	  .cousin = "TasksMax=" },
	{ PLACE(memory_max), .type = NSB_KEY_SIZE, .fallback = "infinity", .infinity = true, .subject = "limits",
	  .summary = "The most memory a box may have: 512M, 2G, 25% of the machine's, or infinity.",
	  .cousin = "MemoryMax=" },
	{ PLACE(memory_high), .type = NSB_KEY_SIZE, .fallback = "infinity", .infinity = true, .subject = "limits",
	  .summary = "Memory above which a box is slowed down and its memory taken back, or infinity.",
	  .cousin = "MemoryHigh=" },
	{ PLACE(swap_max), .type = NSB_KEY_SIZE, .fallback = "infinity", .infinity = true, .zero = true,
	  .subject = "limits", .summary = "The most swap a box may have: 0, 1G, 10% of the machine's, or infinity.",
	  .cousin = "MemorySwapMax=" },
	{ PLACE(cpu_max), .type = NSB_KEY_CPU, .fallback = "infinity", .infinity = true, .subject = "limits",
	  .summary = "The most CPU time a box may have, in percent of one CPU: 50%, 200%, or infinity.",
	  .cousin = "CPUQuota=" },
	{ PLACE(cpu_weight), .type = NSB_KEY_COUNT, .fallback = "100", .max = WEIGHT_MAX, .subject = "limits",
	  .summary = "The box's share of the CPUs when they are busy, from 1 to 10000.", .cousin = "CPUWeight=" },
	{ PLACE(cpuset), .type = NSB_KEY_CPUS, .fallback = "", .subject = "limits",
	  .summary = "The CPUs that a box may use: 0-3,8; empty: all.", .cousin = "AllowedCPUs=" },
	{ PLACE(io_weight), .type = NSB_KEY_COUNT, .fallback = "100", .max = WEIGHT_MAX, .subject = "limits",
	  .summary = "The box's share of the disks when they are busy, from 1 to 10000.", .cousin = "IOWeight=" },
	{ PLACE(io_max), .type = NSB_KEY_IO, .fallback = "", .check = nsb_check_device, .subject = "limits",
	  .summary = "Limits of a disk, one in a line: DEVICE, then any of rbps= wbps= riops= wiops= in a second.",
	  .cousin = "IOReadBandwidthMax=" },
	{ PLACE(user_pids_max), .type = NSB_KEY_COUNT, .fallback = "infinity", .max = PIDS_MAX, .infinity = true,
	  .subject = "limits", .summary = "As pids_max, for all boxes of one user together.", .cousin = "TasksMax=" },
	{ PLACE(user_memory_max), .type = NSB_KEY_SIZE, .fallback = "infinity", .infinity = true, .subject = "limits",
	  .summary = "As memory_max, for all boxes of one user together.", .cousin = "MemoryMax=" },
	{ PLACE(user_cpu_max), .type = NSB_KEY_CPU, .fallback = "infinity", .infinity = true, .subject = "limits",
	  .summary = "As cpu_max, for all boxes of one user together.", .cousin = "CPUQuota=" },
	{ PLACE(limits_optional), .type = NSB_KEY_BOOL, .fallback = "no", .subject = "limits",
	  .summary = "Whether a limit that this kernel cannot set is left out; no: the login is refused." },
	{ PLACE(network), .type = NSB_KEY_ROOT, .fallback = "loopback", .check = nsb_check_network, .subject = "network",
	  .summary = "loopback (only lo), host (the host's), veth (an address of its own), bridge:NAME, netns:NAME or join:USER.",
	  .cousin = "PrivateNetwork=" },
	{ PLACE(network_pool), .type = NSB_KEY_WORDS, .fallback = "10.213.0.0/16 fd6e:7362:6f78::/64",
	  .check = nsb_check_network_pool, .replaces = true, .subject = "network",
	  .summary = "Where veth and bridge take the addresses of boxes from: NETWORK/PREFIX, used by nobody else.",
	  .cousin = "Address=" },
	{ PLACE(network_rate), .type = NSB_KEY_RATE, .fallback = "infinity", .infinity = true, .subject = "network",
	  .summary = "The most that a box with veth or bridge sends, and receives: 500kbit, 20Mbit, 1Gbit, or infinity." },
	{ PLACE(network_connections), .type = NSB_KEY_COUNT, .fallback = "4096", .max = CONNECTIONS_MAX, .infinity = true,
	  .subject = "network",
	  .summary = "How many connections a box with veth or bridge has through the host at once: a number, or infinity." },
	{ PLACE(nat), .type = NSB_KEY_BOOL, .fallback = "yes", .subject = "network",
	  .summary = "Whether a box with veth shows the host's address to the outside (masquerading), or its own.",
	  .cousin = "IPMasquerade=" },
	{ PLACE(forwarding), .type = NSB_KEY_ENUM, .fallback = "check", .choices = forwarding_words, .subject = "network",
	  .summary = "When the host does not forward packets: check refuses logins with veth, set makes the host forward.",
	  .cousin = "IPForward=" },
	{ PLACE(dns), .type = NSB_KEY_WORDS, .fallback = "host", .check = nsb_check_dns, .replaces = true, .subject = "network",
	  .summary = "Name servers of a box: host (the host's; of a stub at 127.0.0.53 those behind it), none, or addresses.",
	  .cousin = "DNS=" },
	{ PLACE(publish), .type = NSB_KEY_WORDS, .fallback = "", .check = nsb_check_publish, .subject = "network",
	  .summary = "Ports of the host that lead into a box with veth: HOST:BOX, perhaps with /tcp or /udp." },
	{ PLACE(allow), .type = NSB_KEY_WORDS, .fallback = "", .check = nsb_check_rule, .subject = "network",
	  .summary = "What a box with veth or bridge may reach besides, or in spite of deny: host:53/udp, boxes, 10.0.0.0/8:443/tcp.",
	  .cousin = "IPAddressAllow=" },
	{ PLACE(deny), .type = NSB_KEY_WORDS, .fallback = "", .check = nsb_check_rule, .subject = "network",
	  .summary = "What a box with veth or bridge may not reach of the outside: any, ADDRESS/PREFIX, each perhaps with :PORT and /tcp.",
	  .cousin = "IPAddressDeny=" },
	{ PLACE(capabilities), .type = NSB_KEY_WORDS, .fallback = "default", .check = nsb_check_capability,
	  .subject = "privilege",
	  .summary = "What root can do in a box at most: default, all or none, then +cap_NAME and -cap_NAME.",
	  .cousin = "CapabilityBoundingSet=" },
	{ PLACE(no_new_privs), .type = NSB_KEY_BOOL, .fallback = "no", .subject = "privilege",
	  .summary = "Whether programs with set-user-ID or file capabilities (sudo, su, ping) have no effect: yes or no.",
	  .cousin = "NoNewPrivileges=" },
	{ PLACE(seccomp), .type = NSB_KEY_ENUM, .fallback = "default", .choices = seccomp_words, .subject = "privilege",
	  .summary = "Which system calls a box does without: default, strict (more of them), or off (none).",
	  .cousin = "SystemCallFilter=" },
	{ PLACE(nested_namespaces), .type = NSB_KEY_BOOL, .fallback = "no", .subject = "privilege",
	  .summary = "Whether users may make user namespaces in a box (rootless containers, sandboxes of browsers): yes or no.",
	  .cousin = "RestrictNamespaces=" },
	{ PLACE(user_namespace), .type = NSB_KEY_ENUM, .fallback = "no", .choices = user_namespace_words,
	  .subject = "privilege",
	  .summary = "keep-id: the user keeps its ids, root and everybody else in the box is nobody on the host; or no.",
	  .cousin = "PrivateUsers=" },
	{ PLACE(subid_pool), .type = NSB_KEY_ROOT, .fallback = "1879048192-2147483647", .check = nsb_check_subid_pool,
	  .subject = "privilege",
	  .summary = "Where keep-id takes the other ids of a box from: FIRST-LAST, used by nobody else; or subuid (/etc/subuid)." },
	{ PLACE(core), .type = NSB_KEY_BOOL, .fallback = "no", .subject = "privilege",
	  .summary = "Whether a crash in a box may start the host's handler of core dumps, where there is one: yes or no.",
	  .cousin = "LimitCORE=" },
};
const size_t nsb_n_keys = sizeof(nsb_keys) / sizeof(nsb_keys[0]);

const nsb_key *nsb_key_find(const char *name)
{
	for (size_t i = 0; i < nsb_n_keys; i++)
		if (strcmp(nsb_keys[i].name, name) == 0)
			return &nsb_keys[i];
	return NULL;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace and swap of neighbours count 1. Both at most NEAREST_LENGTH. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NEAREST_LENGTH + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t *spare = before;

		before = above;
		above = row;
		row = spare;
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			row[j] = least(above[j] + 1, row[j - 1] + 1);
			row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return row[n];
}

const char *nsb_key_nearest(const char *name)
{
	const char *nearest = NULL;
	size_t length = strlen(name), best = NEAREST_DISTANCE + 1;

	if (length > NEAREST_LENGTH)
		return NULL;
	for (size_t i = 0; i < nsb_n_keys; i++) {
		size_t found = distance(name, nsb_keys[i].name);

		if (found < best && 2 * found < length) {
			best = found;
			nearest = nsb_keys[i].name;
		}
	}
	return nearest;
}
