/* SPDX-License-Identifier: BSD-3-Clause */
/* Namespaces, mounts, control groups, and ways to the host's tree. */
#include "attempt.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attacks/nest.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define CGROUP	0x27e0eb
#define CGROUP2 0x63677270

#define EACH_NAMESPACE(DO)                                                                                             \
	DO(user, CLONE_NEWUSER)                                                                                        \
	DO(mnt, CLONE_NEWNS)                                                                                           \
	DO(uts, CLONE_NEWUTS)                                                                                          \
	DO(ipc, CLONE_NEWIPC)                                                                                          \
	DO(pid, CLONE_NEWPID)                                                                                          \
	DO(net, CLONE_NEWNET)                                                                                          \
	DO(cgroup, CLONE_NEWCGROUP)                                                                                    \
	DO(time, CLONE_NEWTIME)

static long wait_for(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return pid;
}

static int clone3_with(unsigned long flags)
{
	struct clone_args arguments = { .flags = flags, .exit_signal = SIGCHLD };

	return outcome(wait_for(syscall(SYS_clone3, &arguments, sizeof(arguments))));
}

/* clone(2) has no bit for a time namespace. */
static int clone_with(unsigned long flags)
{
	return outcome(wait_for(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0)));
}

#define DEFINE(name, flag)                                                                                             \
	static int unshare_##name(void)                                                                                \
	{                                                                                                              \
		return outcome(unshare(flag));                                                                         \
	}                                                                                                              \
	static int clone3_##name(void)                                                                                 \
	{                                                                                                              \
		return clone3_with(flag);                                                                              \
	}                                                                                                              \
	static int nested_##name(void)                                                                                 \
	{                                                                                                              \
		return outcome(unshare(CLONE_NEWUSER | (flag)));                                                       \
	}
EACH_NAMESPACE(DEFINE)

static int clone_user(void)
{
	return clone_with(CLONE_NEWUSER);
}

static int clone_user_and_all(void)
{
	return clone_with(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
			  CLONE_NEWCGROUP);
}

/* Flags that the kernel of 64 bits ignores in the upper half must not hide the lower one. */
static int clone_user_64_bits(void)
{
	return clone_with(CLONE_NEWUSER | 1UL << 40);
}

static int nested_mount(void)
{
	if (nest(0) < 0)
		return errno;
	return outcome(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int nested_proc(void)
{
	int status = 0;
	pid_t child;

	if (nest(CLONE_NEWPID) < 0)
		return errno;
	child = fork();
	if (child == 0)
		_exit(outcome(mount("none", "/tmp", "proc", 0, NULL)));
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static int nested_overlay(void)
{
	if (nest(0) < 0 || mount("none", "/tmp", "tmpfs", 0, NULL) < 0 || mkdir("/tmp/l", 0700) < 0 ||
	    mkdir("/tmp/u", 0700) < 0 || mkdir("/tmp/w", 0700) < 0)
		return errno;
	return outcome(mount("none", "/tmp/l", "overlay", 0, "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w"));
}

/* All capabilities there: a packet socket and a bridge in a network of one's own are what exploits begin with. */
static int nested_network(void)
{
	if (nest(CLONE_NEWNET) < 0)
		return errno;
	return outcome(syscall(SYS_socket, 17 /* AF_PACKET */, 3, 0));
}

static int nested_cgroup2(void)
{
	if (nest(CLONE_NEWCGROUP) < 0)
		return errno;
	return outcome(mount("none", "/tmp", "cgroup2", 0, NULL));
}

static int plain_mount(void)
{
	unshare_mounts();
	return outcome(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int new_mount(void)
{
	return outcome(syscall(SYS_fsopen, "tmpfs", 0));
}

/* Stays there: the test looks for it on the host. Not where it is the host. */
static int mount_on_the_host(void)
{
	if (careful)
		return plain_mount();
	mount("none", "/", NULL, MS_SHARED | MS_REC, NULL);
	return outcome(mount("nsbox-attempt", "/var/tmp", "tmpfs", 0, NULL));
}

static int remount_root(void)
{
	unshare_mounts();
	return outcome(mount("none", "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int pivot(void)
{
	unshare_mounts();
	if (mount("none", "/tmp", "tmpfs", 0, NULL) < 0 || chdir("/tmp") < 0)
		return errno;
	return outcome(syscall(SYS_pivot_root, ".", "."));
}

/* -- namespaces of others -- */

static bool host_in_sight(void)
{
	return access(marker, F_OK) == 0;
}

static bool differs(const char *path, const char *type)
{
	struct stat there, here;
	char own[64];

	snprintf(own, sizeof(own), "/proc/self/ns/%s", type);
	return stat(path, &there) == 0 && stat(own, &here) == 0 && there.st_ino != here.st_ino;
}

/* Into a namespace of a process in /proc that is not the own one already; 0 only for such a one. */
static int enter_namespaces_of(const char *pid)
{
	static const char *const types[] = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time" };
	char path[300];
	int error = ENOENT;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%.20s/ns/%s", pid, types[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			error = errno;
			continue;
		}
		bool other = differs(path, types[i]);
		if (setns(fd, 0) < 0)
			error = errno;
		else if (other)
			error = 0;
		close(fd);
		if (error == 0) {
			note("%s", path);
			return 0;
		}
	}
	return error;
}

static int namespaces_in_proc(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int error = ENOENT;

	while (proc != NULL && error != 0 && (entry = readdir(proc)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]))
			error = enter_namespaces_of(entry->d_name);
	return error;
}

/* All at once by a pidfd, as the module itself joins. */
static int namespaces_by_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);

	if (fd < 0)
		return errno;
	if (setns(fd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) < 0)
		return errno;
	return host_in_sight() ? 0 : ENOENT; /* it is the box's own PID 1 */
}

/* -- the host's tree -- */

static int up_and_up(void)
{
	for (int i = 0; i < 200; i++)
		if (chdir("..") < 0)
			return errno;
	return access(marker + 1, F_OK) == 0 ? 0 : errno;
}

static int chroot_and_up(void)
{
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	mkdir("/tmp/nsbox-jail", 0700);
	if (chroot("/tmp/nsbox-jail") < 0 || fchdir(top) < 0)
		return errno;
	return up_and_up();
}

static int roots_in_proc(void)
{
	static const char *const links[] = { "root", "cwd", "fd/0", "fd/3" };
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	char path[600];
	int error = ENOENT;

	while (proc != NULL && (entry = readdir(proc)) != NULL)
		for (size_t i = 0; i < sizeof(links) / sizeof(links[0]) && isdigit((unsigned char)entry->d_name[0]);
		     i++) {
			snprintf(path, sizeof(path), "/proc/%.20s/%s%s", entry->d_name, links[i], marker);
			if (access(path, F_OK) == 0)
				return 0;
			if (errno != ENOTDIR)
				error = errno;
		}
	return error;
}

/* What lies below the mounts of a box. */
static int below_mounts(void)
{
	static const char *const places[] = { "/run", "/tmp", "/proc", "/sys", "/dev", "/" };
	int error = EINVAL;

	if (host_in_sight())
		return 0;
	unshare_mounts();
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (int layer = 0; layer < 4; layer++) {
			if (umount2(places[i], MNT_DETACH) < 0) {
				error = errno;
				break;
			}
			if (host_in_sight())
				return 0;
		}
	return host_in_sight() ? 0 : error;
}

/* -- control groups -- */

/* The files that take a process in, in every control group directory that is mounted. A write puts nobody anywhere else than he
 * is: on the host the files are opened only. */
static int look_for_tasks(const char *directory, int depth)
{
	static const char *const names[] = { "cgroup.procs", "tasks", "pids.max", "release_agent",
					     "cgroup.subtree_control" };
	DIR *list = opendir(directory);
	const struct dirent *entry;
	char path[4096];
	int error = EROFS;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%.4000s/%s", directory, names[i]);
		if (access(path, F_OK) == 0 && open(path, O_WRONLY | O_CLOEXEC) >= 0) {
			note("%.150s", path);
			error = 0;
		}
	}
	while (list != NULL && error != 0 && depth < 8 && (entry = readdir(list)) != NULL)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%.3700s/%s", directory, entry->d_name);
			error = look_for_tasks(path, depth + 1);
		}
	if (list != NULL)
		closedir(list);
	return error;
}

static int cgroup_files(void)
{
	FILE *in = fopen("/proc/self/mountinfo", "re");
	char line[4096], point[4096];
	int error = ENOENT;
	struct statfs fs;

	while (in != NULL && error != 0 && fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 && statfs(point, &fs) == 0 &&
		    (fs.f_type == CGROUP || fs.f_type == CGROUP2))
			error = look_for_tasks(point, 0);
	return error;
}

/* Each hierarchy, until one is there with files that can be written. */
static int mount_cgroups(const char *wanted)
{
	static const char *const options[] = { "pids",	  "cpu",   "cpuset",  "memory",
					       "freezer", "blkio", "devices", "none,name=systemd" };
	char path[64];
	int error;

	unshare_mounts();
	error = outcome(mount("none", "/tmp", "cgroup2", 0, NULL));
	if (wanted != NULL)
		error = ENOENT;
	for (size_t i = 0; error != 0 && i < sizeof(options) / sizeof(options[0]); i++) {
		error = outcome(mount("none", "/tmp", "cgroup", 0, options[i]));
		if (error != 0)
			continue;
		if (wanted == NULL)
			return 0;
		snprintf(path, sizeof(path), "/tmp/%s", wanted);
		error = outcome(open(path, O_WRONLY | O_CLOEXEC));
		umount2("/tmp", MNT_DETACH);
	}
	return error;
}

static int cgroup_mount(void)
{
	return mount_cgroups(NULL);
}

/* CVE-2022-0492; the file is opened and not written. */
static int release_agent(void)
{
	return mount_cgroups("release_agent");
}

static int nested_release_agent(void)
{
	if (nest(CLONE_NEWCGROUP) < 0)
		return errno;
	return mount_cgroups("release_agent");
}

#define UNSHARE(name, flag) { "unshare-" #name, unshare_##name },
#define CLONE3(name, flag)  { "clone3-" #name, clone3_##name },
#define NESTED(name, flag)  { "nested-" #name, nested_##name },

const attempt namespace_attempts[] = {
	EACH_NAMESPACE(UNSHARE) EACH_NAMESPACE(CLONE3) EACH_NAMESPACE(NESTED){ "clone-user", clone_user },
	{ "clone-user-and-all", clone_user_and_all },
	{ "clone-user-64-bits", clone_user_64_bits },
	{ "nested-mount", nested_mount },
	{ "nested-proc", nested_proc },
	{ "nested-overlay", nested_overlay },
	{ "nested-network", nested_network },
	{ "nested-cgroup2", nested_cgroup2 },
	{ "mount", plain_mount },
	{ "fsopen", new_mount },
	{ "mount-on-host", mount_on_the_host },
	{ "remount-root", remount_root },
	{ "pivot_root", pivot },
	{ "setns-proc", namespaces_in_proc },
	{ "setns-pidfd", namespaces_by_pidfd },
	{ "dot-dot", up_and_up },
	{ "chroot", chroot_and_up },
	{ "proc-root", roots_in_proc },
	{ "below-mounts", below_mounts },
	{ "cgroup-files", cgroup_files },
	{ "cgroup-mount", cgroup_mount },
	{ "release_agent", release_agent },
	{ "nested-release_agent", nested_release_agent },
	{ NULL, NULL },
};
