/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/default-view.h"

#define TMP	 NSB_VIEW_PRIVATE_TMP
#define OWN_PTS	 NSB_VIEW_OWN_TERMINALS
#define HOST_PTS NSB_VIEW_HOST_TERMINALS
#define NAMES	 NSB_VIEW_NAME_SERVICES
#define NESTED	 NSB_VIEW_NESTED

#define FIXED	NSB_STEP_NO_SYMLINKS
#define MAYBE	NSB_STEP_OPTIONAL
#define PLAIN	(NSB_STEP_NOSUID | NSB_STEP_NODEV)
#define INERT	(NSB_STEP_NOSUID | NSB_STEP_NODEV | NSB_STEP_NOEXEC)
#define SOCKETS (MAYBE | NSB_STEP_READ_ONLY | INERT | RENEWED)
#define INSIDE	NSB_STEP_SOURCE_IN_BOX
#define RENEWED	NSB_STEP_RENEW /* services of the host restart, logs rotate, while the box lives on */

/* Sizes are shares of the machine's memory, tmpfs(5), or those of a key. */
const nsb_view_row nsb_view_before_proc[] = {
	/* when, op, src, dst, data, flags, mode, owned, why */
	{ 0, NSB_OP_DETACH, NULL, "/proc", NULL, 0, 0, 0, "shows the host's processes" },
	{ 0, NSB_OP_DETACH, NULL, "/sys", NULL, 0, 0, 0, "holds cgroup files that are writable" },
	{ 0, NSB_OP_DETACH, NULL, "/dev", NULL, 0, 0, 0, "holds raw devices and other sessions' terminals" },
	{ 0, NSB_OP_DETACH, NULL, "/run", NULL, 0, 0, 0, "holds sockets of the host's services" },
	{ 0, NSB_OP_DETACH_KERNEL, NULL, NULL, NULL, 0, 0, 0, "a second /proc in some chroot shows the host as well" },

	{ 0, NSB_OP_MOUNT, "tmpfs", "/run", "mode=0755,size=@run_size", FIXED | PLAIN, 0, 0,
	  "sockets and state of this box only" },
	{ 0, NSB_OP_MKDIR, NULL, "/run/host", NULL, 0, 0755, 0, "what the host says to the box" },
	{ 0, NSB_OP_FILE, NULL, "/run/host/container-manager", "nsbox\n", 0, 0444, 0,
	  "programs and the module itself see that they are boxed" },
	{ 0, NSB_OP_MKDIR, NULL, "/run/lock", NULL, 0, 01777, 0, "as on the host" },
	{ 0, NSB_OP_MKDIR, NULL, "/run/screen", NULL, 0, 01777, 0, "screen(1) keeps its sockets here" },
	{ 0, NSB_OP_MKDIR, NULL, "/run/user", NULL, 0, 0755, 0, "the place of XDG_RUNTIME_DIR" },
	{ 0, NSB_OP_MKDIR, NULL, "/run/user/%U", NULL, 0, 0700, 1, "mount point" },
	{ 0, NSB_OP_MOUNT, "tmpfs", "/run/user/%U", "mode=0700,uid=%U,gid=%G,size=@run_size", PLAIN, 0, 0,
	  "XDG_RUNTIME_DIR without the user's bus and service manager, which would lead out" },
	{ 0, NSB_OP_FILE_LIKE, "/run/utmp", "/run/utmp", NULL, MAYBE, 0, 0,
	  "every box has a pts/0: records would collide on the host" },
	{ 0, NSB_OP_FILE_LIKE, "/var/log/wtmp", "/run/host/wtmp", NULL, MAYBE, 0, 0, "source of the next row" },
	{ 0, NSB_OP_BIND, "/run/host/wtmp", "/var/log/wtmp", NULL, MAYBE | INERT | INSIDE | RENEWED, 0, 0,
	  "the host's record is written from outside, once, and closed for certain" },
	{ NAMES, NSB_OP_BIND, "/run/nscd", "/run/nscd", NULL, SOCKETS, 0, 0, "name service" },
	{ NAMES, NSB_OP_BIND, "/run/nslcd", "/run/nslcd", NULL, SOCKETS, 0, 0, "name service" },
	{ NAMES, NSB_OP_BIND, "/run/samba/winbindd", "/run/samba/winbindd", NULL, SOCKETS, 0, 0, "name service" },
	{ NAMES, NSB_OP_BIND, "/run/systemd/userdb", "/run/systemd/userdb", NULL, SOCKETS, 0, 0, "name service" },
	{ 0, NSB_OP_BIND, "/run/.heim_org.h5l.kcm-socket", "/run/.heim_org.h5l.kcm-socket", NULL, SOCKETS, 0, 0,
	  "Kerberos tickets kept by a KCM daemon" },
	{ NSB_VIEW_RESOLVER_HOST, NSB_OP_BIND_LINK_TARGET, "/etc/resolv.conf", "/run", NULL, SOCKETS, 0, 0,
	  "resolv.conf may be a link into /run" },

	{ NSB_VIEW_SYS, NSB_OP_MOUNT, "sysfs", "/sys", NULL, FIXED | NSB_STEP_READ_ONLY | INERT, 0, 0,
	  "hardware may be looked at, nothing may be set; without cgroup files" },
	{ NSB_VIEW_NO_SYS, NSB_OP_MOUNT, "tmpfs", "/sys", "mode=0555,size=4k,nr_inodes=1",
	  FIXED | NSB_STEP_READ_ONLY | INERT, 0, 0, "the profile shows no hardware" },

	{ 0, NSB_OP_MOUNT, "tmpfs", "/dev", "mode=0755,size=1%%", FIXED | NSB_STEP_NOSUID | NSB_STEP_NOEXEC, 0, 0,
	  "no raw devices" },
	{ 0, NSB_OP_NODE, NULL, "/dev/null", "1:3", 0, 0666, 0, "standard device" },
	{ 0, NSB_OP_NODE, NULL, "/dev/zero", "1:5", 0, 0666, 0, "standard device" },
	{ 0, NSB_OP_NODE, NULL, "/dev/full", "1:7", 0, 0666, 0, "standard device" },
	{ 0, NSB_OP_NODE, NULL, "/dev/random", "1:8", 0, 0666, 0, "standard device" },
	{ 0, NSB_OP_NODE, NULL, "/dev/urandom", "1:9", 0, 0666, 0, "standard device" },
	{ 0, NSB_OP_NODE, NULL, "/dev/tty", "5:0", 0, 0666, 0, "standard device" },
	{ 0, NSB_OP_NODE, NULL, "/dev/ptmx", "5:2", 0, 0666, 0, "opens the devpts beside it" },
	{ 0, NSB_OP_SYMLINK, NULL, "/dev/fd", "/proc/self/fd", 0, 0, 0, "standard link" },
	{ 0, NSB_OP_SYMLINK, NULL, "/dev/stdin", "/proc/self/fd/0", 0, 0, 0, "standard link" },
	{ 0, NSB_OP_SYMLINK, NULL, "/dev/stdout", "/proc/self/fd/1", 0, 0, 0, "standard link" },
	{ 0, NSB_OP_SYMLINK, NULL, "/dev/stderr", "/proc/self/fd/2", 0, 0, 0, "standard link" },
	{ 0, NSB_OP_MKDIR, NULL, "/dev/pts", NULL, 0, 0755, 0, "mount point" },
	{ OWN_PTS, NSB_OP_MOUNT, "devpts", "/dev/pts", "gid=5,mode=0620,ptmxmode=0666,max=1024",
	  NSB_STEP_NOSUID | NSB_STEP_NOEXEC, 0, 0, "terminals of this box only" },
	{ HOST_PTS, NSB_OP_BIND, "/dev/pts", "/dev/pts", NULL, NSB_STEP_NOSUID | NSB_STEP_NOEXEC, 0, 0,
	  "the terminal comes from outside: the same path must name the same device" },
	{ 0, NSB_OP_MKDIR, NULL, "/dev/shm", NULL, 0, 01777, 0, "mount point" },
	{ NSB_VIEW_OWN_IPC, NSB_OP_MOUNT, "tmpfs", "/dev/shm", "mode=1777,size=@shm_size", PLAIN, 0, 0,
	  "shared memory of this box only" },
	{ NSB_VIEW_HOST_IPC, NSB_OP_BIND, "/dev/shm", "/dev/shm", NULL, PLAIN, 0, 0,
	  "the profile shares IPC with the host" },
	{ 0, NSB_OP_MKDIR, NULL, "/dev/mqueue", NULL, 0, 01777, 0, "mount point" },
	{ 0, NSB_OP_MOUNT, "mqueue", "/dev/mqueue", NULL, INERT, 0, 0, "message queues of the IPC namespace" },
	{ 0, NSB_OP_BIND, "/dev/log", "/dev/log", NULL, MAYBE | NSB_STEP_NOSUID | NSB_STEP_NOEXEC | RENEWED, 0, 0,
	  "syslog(3) of the application and the session" },

	{ TMP, NSB_OP_MOUNT, "tmpfs", "/tmp", "mode=1777,size=@tmp_size", FIXED | PLAIN, 0, 0,
	  "no traps laid by other users" },
	{ TMP, NSB_OP_MOUNT, "tmpfs", "/var/tmp", "mode=1777,size=@tmp_size", MAYBE | PLAIN, 0, 0, "as /tmp" },
};
const size_t nsb_n_view_before_proc = sizeof(nsb_view_before_proc) / sizeof(nsb_view_before_proc[0]);

#define EMPTY(path, reason)                                                                                            \
	{                                                                                                              \
		0, NSB_OP_MASK, NULL, path, NULL, MAYBE, 0, 0, reason                                                  \
	}
#define FROZEN(path, reason)                                                                                           \
	{                                                                                                              \
		0, NSB_OP_BIND, path, path, NULL, MAYBE | INSIDE | NSB_STEP_RECURSIVE | NSB_STEP_READ_ONLY | INERT, 0, \
			0, reason                                                                                      \
	}

const nsb_view_row nsb_view_proc[] = {
	{ NSB_VIEW_PROC_ALL, NSB_OP_PROC, NULL, "/proc", NULL, FIXED | INERT, 0, 0, "processes of this box only" },
	{ NSB_VIEW_PROC_PID, NSB_OP_PROC, NULL, "/proc", "subset=pid", FIXED | INERT, 0, 0,
	  "processes of this box only, and nothing about the kernel" },
	/* In a user namespace the kernel lets mount /proc only where one is in the mount namespace that nothing is mounted
	 * in (fs/namespace.c, mount_too_revealing), and in the box's own is. Whether a path leads there does not matter. */
	{ NESTED, NSB_OP_MKDIR, NULL, "/run/host/nested", NULL, 0, 0700, 0, "covered below" },
	{ NESTED, NSB_OP_MKDIR, NULL, "/run/host/nested/proc", NULL, 0, 0700, 0, "mount point" },
	{ NESTED, NSB_OP_MOUNT, "proc", "/run/host/nested/proc", NULL, INERT, 0, 0,
	  "a /proc without masks: containers in the box may mount theirs then" },
	{ NESTED, NSB_OP_MASK, NULL, "/run/host/nested", NULL, 0, 0, 0, "and nobody gets at it" },
};
const size_t nsb_n_view_proc = sizeof(nsb_view_proc) / sizeof(nsb_view_proc[0]);

/* The files of /proc that speak of, or set, the whole kernel; no namespace divides them. */
const nsb_view_row nsb_view_proc_closed[] = {
	EMPTY("/proc/kcore", "memory of the kernel"),
	EMPTY("/proc/keys", "keys of others"),
	EMPTY("/proc/timer_list", "addresses and timers of the kernel"),
	EMPTY("/proc/sched_debug", "names of all processes"),
	EMPTY("/proc/latency_stats", "kernel call chains of all processes"),
	EMPTY("/proc/acpi", "power switches"),
	EMPTY("/proc/scsi", "commands to devices"),
	EMPTY("/proc/asound", "hardware"),
	FROZEN("/proc/sys", "settings of the kernel"),
	FROZEN("/proc/sysrq-trigger", "reboots the machine"),
	FROZEN("/proc/irq", "settings of the hardware"),
	FROZEN("/proc/bus", "settings of the hardware"),
	FROZEN("/proc/fs", "settings of file systems"),
	FROZEN("/proc/dynamic_debug", "which messages the kernel writes"),
};
const size_t nsb_n_view_proc_closed = sizeof(nsb_view_proc_closed) / sizeof(nsb_view_proc_closed[0]);
