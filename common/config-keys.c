/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/config-keys.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "common/expand.h"
#include "common/pattern.h"
#include "common/string-util.h"

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define NEAREST_LENGTH	 32 /* longer words are not mistyped keys */
#define NEAREST_DISTANCE 3
#define TMPFS_OPTIONS	 "size= mode= nr_inodes= noexec"
#define WEIGHT_MAX	 10000
#define PIDS_MAX	 (4 * 1024 * 1024) /* the kernel's PID_MAX_LIMIT */

/* Whether `path` is `plain`, whatever the number of its slashes. */
static bool names_path(const char *path, size_t length, const char *plain)
{
	size_t i = 0;

	while (*plain != '\0') {
		if (i >= length || path[i] != *plain)
			return false;
		while (*plain == '/' && i + 1 < length && path[i + 1] == '/')
			i++;
		i++;
		plain++;
	}
	while (i < length && path[i] == '/')
		i++;
	return i == length;
}

/* Absolute, as it stands or by %h; no "." and no ".."; the specifiers are known. */
static int check_path(const char *path, size_t length, nsb_error *error)
{
	size_t start = 0;

	if (length >= 2 && path[0] == '%' && path[1] == 'h') {
		/* "%hx" would be another user's home, not something in this one */
		if (length > 2 && path[2] != '/')
			return nsb_error_set(error, EINVAL, "\"%.*s\": a \"/\" must follow \"%%h\"", (int)length, path);
	} else if (length == 0 || path[0] != '/') {
		return nsb_error_set(error, EINVAL,
				     "\"%.*s\" is not an absolute path: it must begin with \"/\" or \"%%h\"",
				     (int)length, path);
	}
	for (size_t i = 0; i <= length; i++) {
		if (i < length && path[i] != '/')
			continue;
		if ((i - start == 1 && path[start] == '.') ||
		    (i - start == 2 && path[start] == '.' && path[start + 1] == '.'))
			return nsb_error_set(error, EINVAL, "\"%.*s\" has a \"%.*s\" in it: write the path without",
					     (int)length, path, (int)(i - start), path + start);
		start = i + 1;
	}
	return 0;
}

/* A place in the box where something is put. */
static int check_target(const char *path, size_t length, nsb_error *error)
{
	static const char *const own[] = { "/", "/proc", "/sys", "/dev" };
	int r;

	r = check_path(path, length, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (names_path(path, length, own[i]))
			return nsb_error_set(error, EINVAL,
					     "the target \"%.*s\" is made by the box itself and cannot be replaced",
					     (int)length, path);
	return 0;
}

static int check_bind(const char *word, nsb_error *error)
{
	size_t length = strcspn(word, ":");
	const char *target = word[length] == ':' ? word + length + 1 : word;
	int r;

	if (strchr(target, ':') != NULL && target != word)
		return nsb_error_set(error, EINVAL, "\"%.256s\" has more than one \":\": write SOURCE or SOURCE:TARGET",
				     word);
	r = check_path(word, length, error);
	if (r < 0)
		return r;
	r = check_target(target, strlen(target), error);
	if (r < 0)
		return r;
	return nsb_expand_check(word, error);
}

static int check_mask(const char *word, nsb_error *error)
{
	int r;

	if (strchr(word, ':') != NULL)
		return nsb_error_set(error, EINVAL, "\"%.256s\" has a \":\" in it: write one path", word);
	r = check_target(word, strlen(word), error);
	if (r < 0)
		return r;
	return nsb_expand_check(word, error);
}

/* The device of an io_max: it is looked up on the host, before there is a box whose specifiers could be known. */
static int check_device(const char *word, nsb_error *error)
{
	if (strpbrk(word, " \t") != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\" has a blank in it, as no device's path may", word);
	if (word[0] != '/')
		return nsb_error_set(error, EINVAL, "\"%.128s\" is not an absolute path", word);
	if (strchr(word, '%') != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\" has a \"%%\" in it: there are no specifiers here",
				     word);
	return check_path(word, strlen(word), error);
}

/* At most 9 digits, then perhaps k, m or g; 0 would mean "no limit" to tmpfs(5). */
static bool is_tmpfs_amount(const char *text, size_t length)
{
	size_t digits = strspn(text, "0123456789"), zeros = strspn(text, "0");

	if (digits == 0 || digits > 9 || zeros >= digits)
		return false;
	return digits == length || (digits + 1 == length && strchr("kKmMgG", text[digits]) != NULL);
}

static bool is_tmpfs_mode(const char *text, size_t length)
{
	return length >= 3 && length <= 4 && strspn(text, "01234567") >= length;
}

static int check_tmpfs_option(const char *option, size_t length, unsigned *seen, nsb_error *error)
{
	static const char *const names[] = { "size=", "nr_inodes=", "mode=", "noexec" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t name = strlen(names[i]);
		bool good;

		if (length < name || strncmp(option, names[i], name) != 0)
			continue;
		if (i < 2)
			good = is_tmpfs_amount(option + name, length - name);
		else if (i == 2)
			good = is_tmpfs_mode(option + name, length - name);
		else
			good = length == name;
		if (!good)
			break;
		if ((*seen & (1U << i)) != 0)
			return nsb_error_set(error, EINVAL, "the option \"%.*s\" comes after another of its kind",
					     (int)length, option);
		*seen |= 1U << i;
		return 0;
	}
	return nsb_error_set(error, EINVAL,
			     "\"%.*s\" is not an option of tmpfs; there are size=AMOUNT nr_inodes=AMOUNT "
			     "(a number from 1, perhaps with k, m or g), mode=OCTAL and noexec",
			     (int)(length > 128 ? 128 : length), option);
}

static int check_tmpfs(const char *word, nsb_error *error)
{
	size_t length = strcspn(word, ":");
	const char *option = word + length;
	unsigned seen = 0;
	int r;

	r = check_target(word, length, error);
	while (r == 0 && *option != '\0') {
		size_t size = strcspn(++option, ",");

		r = check_tmpfs_option(option, size, &seen, error);
		option += size;
	}
	if (r < 0)
		return r;
	return nsb_expand_check(word, error);
}

static int check_root(const char *word, nsb_error *error)
{
	int r;

	if (strcmp(word, "host") == 0)
		return 0;
	if (names_path(word, strlen(word), "/"))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is the host's own root: write \"host\"", word);
	if (word[0] != '/' && strncmp(word, "%h", 2) != 0)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is neither \"host\" nor an absolute path", word);
	r = check_path(word, strlen(word), error);
	return r < 0 ? r : nsb_expand_check(word, error);
}

static int check_namespace(const char *word, nsb_error *error)
{
	if (strcmp(word, "net") == 0)
		return nsb_error_set(error, EINVAL,
				     "\"net\" does not stand here: the key network decides about that namespace");
	return 0;
}

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

static const nsb_choice_word cgroup_manager_words[] = {
	{ "auto", NSB_CGROUP_MANAGER_AUTO },
	{ "cgroupfs", NSB_CGROUP_MANAGER_CGROUPFS },
	{ "systemd", NSB_CGROUP_MANAGER_SYSTEMD },
	{ NULL, 0 },
};

static const nsb_choice_word network_words[] = {
	{ "loopback", NSB_NETWORK_LOOPBACK },
	{ "host", NSB_NETWORK_HOST },
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
	  .check = check_namespace, .subject = "view",
	  .summary = "The namespaces of the box; mount and pid always, net by the key network." },
	{ PLACE(root), .type = NSB_KEY_ROOT, .fallback = "host", .check = check_root, .subject = "view",
	  .summary = "The tree that the box sees: host, or a directory that belongs to root.",
	  .cousin = "RootDirectory=" },
	{ PLACE(bind), .type = NSB_KEY_PATHS, .fallback = "", .check = check_bind, .subject = "view",
	  .summary = "Paths of the host put into the box: SOURCE or SOURCE:TARGET.", .cousin = "BindPaths=" },
	{ PLACE(bind_ro), .type = NSB_KEY_PATHS, .fallback = "", .check = check_bind, .subject = "view",
	  .summary = "The same, read-only.", .cousin = "BindReadOnlyPaths=" },
	{ PLACE(bind_optional), .type = NSB_KEY_PATHS, .fallback = "", .check = check_bind, .subject = "view",
	  .summary = "The same as bind, but a source that does not exist is no error.", .cousin = "BindPaths=-" },
	{ PLACE(tmpfs), .type = NSB_KEY_PATHS, .fallback = "", .check = check_tmpfs, .subject = "view",
	  .summary = "Empty file systems in memory: TARGET or TARGET:OPTION,OPTION of " TMPFS_OPTIONS ".",
	  .cousin = "TemporaryFileSystem=" },
	{ PLACE(mask), .type = NSB_KEY_PATHS, .fallback = "", .check = check_mask, .subject = "view",
	  .summary = "Paths made empty in the box.", .cousin = "InaccessiblePaths=" },
	{ PLACE(private_tmp), .type = NSB_KEY_ENUM, .fallback = "session", .choices = private_tmp_words,
	  .subject = "view", .summary = "An empty /tmp and /var/tmp for each session, or no: the ones of the tree.",
	  .cousin = "PrivateTmp=" },
	{ PLACE(devpts), .type = NSB_KEY_ENUM, .fallback = "auto", .choices = devpts_words, .subject = "view",
	  .summary = "Terminals: the box's own (private), the host's, or auto: host where the login has a terminal "
		     "already." },
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
	{ PLACE(io_max), .type = NSB_KEY_IO, .fallback = "", .check = check_device, .subject = "limits",
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
	{ PLACE(network), .type = NSB_KEY_ENUM, .fallback = "loopback", .choices = network_words, .subject = "network",
	  .summary = "loopback: no network but the box's own lo; host: the host's network.",
	  .cousin = "PrivateNetwork=" },
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
