/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/syscall-table.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

/* <sched.h> of older systems; in clone(2) the bit belongs to the signal */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* clone(2): the one call whose arguments stand in another order somewhere */
#if defined(__s390__)
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

#define STRICT NSB_DENIED_STRICT
#define NESTED NSB_DENIED_UNLESS_NESTED
#define CORE   NSB_DENIED_UNLESS_CORE
#define MUXED  NSB_DENIED_SOCKETCALL

#define NEW_ANY (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)

/* The terms of a comparison; n counts the values. */
#define IS(arg, count, ...)	     { NSB_COMPARE_IS, arg, 0, count, { __VA_ARGS__ } }
#define IS_TYPE(arg, count, ...)     { NSB_COMPARE_IS, arg, S_IFMT, count, { __VA_ARGS__ } }
#define IS_NOT(arg, count, ...)	     { NSB_COMPARE_IS_NOT, arg, 0, count, { __VA_ARGS__ } }
#define HAS(arg, bits)		     { NSB_COMPARE_HAS, arg, 0, 1, { bits } }
#define GIVEN(arg)		     { NSB_COMPARE_GIVEN, arg, 0, 0, { 0 } }

/*
 * EPERM: the call is there, but not for this session. ENOSYS: programs shall take it for missing, and fall back.
 *
 * The application that opened the session is filtered as well, and cannot get rid of it. So all of what sshd, login,
 * su, sudo and cron do between the join and their end stays, in strict too: fork, the ids, groups and capabilities,
 * chroot(2) (ChrootDirectory of sshd, which takes a capability), terminals, chown, mknod of pipes and sockets,
 * descriptors by SCM_RIGHTS, syslog(3), seccomp(2), pidfds. And setns(2): the module goes back to the host's namespaces
 * by descriptors that the session has not got. A user has no namespace to enter that it owns and is not in: the kernel
 * refuses.
 */
const nsb_denied nsb_denied_calls[] = {
	/* ---- objects of the kernel that no namespace divides ---- */
	{ "add_key request_key", EPERM, 0, "keys belong to the user, whichever box he is in", { { 0 } } },
	/* pam_keyinit(8) revokes the session keyring at the end. A user can revoke what is his, nothing else. */
	{ "keyctl", EPERM, 0, "as above; all but revoking one's own",
	  { IS_NOT(0, 1, KEYCTL_REVOKE) } },
	{ "bpf", EPERM, 0, "programs in the kernel", { { 0 } } },
	{ "perf_event_open", EPERM, 0, "looks at other processes and the kernel; a long row of holes", { { 0 } } },
	{ "userfaultfd", EPERM, 0, "makes the kernel wait in the midst of its work, which most exploits of races need",
	  { { 0 } } },
	{ "io_uring_setup io_uring_enter io_uring_register", ENOSYS, 0,
	  "does what other calls do, past every filter; programs fall back", { { 0 } } },
	{ "open_by_handle_at", EPERM, 0, "opens files outside the tree", { { 0 } } },
	/* ---- user namespaces ---- */
	{ "clone", EPERM, NESTED, "user namespace: all capabilities in it, and by them most of the kernel's code",
	  { HAS(CLONE_FLAGS, CLONE_NEWUSER) } },
	{ "unshare", EPERM, NESTED, "as above", { HAS(0, CLONE_NEWUSER) } },
	{ "clone3", ENOSYS, NESTED, "its flags are behind a pointer; C libraries fall back to clone", { { 0 } } },
	/* ---- terminals ---- */
	{ "ioctl", EPERM, 0, "input pushed into the terminal, which its owner outside the box would read (CVE-2016-2568)",
	  { IS(1, 2, TIOCSTI, 0x541c /* TIOCLINUX */) } },
	/* ---- sockets ---- */
	{ "socket socketpair", EAFNOSUPPORT, MUXED,
	  "families that hardly anybody needs, each with code of its own in the kernel",
	  { IS_NOT(0, 5, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET) } },
	/* ---- the machine ---- */
	{ "kexec_load kexec_file_load reboot", EPERM, 0, "another kernel, or none", { { 0 } } },
	{ "init_module finit_module delete_module", EPERM, 0, "code of the kernel", { { 0 } } },
	{ "swapon swapoff acct", EPERM, 0, "settings of the whole host", { { 0 } } },
	{ "iopl ioperm pciconfig_iobase pciconfig_read pciconfig_write rtas", EPERM, 0, "ports of the hardware", { { 0 } } },
	{ "_sysctl afs_syscall bdflush create_module get_kernel_syms getpmsg lookup_dcookie nfsservctl putpmsg "
	  "query_module security sysfs tuxcall uselib ustat vm86 vm86old vserver",
	  ENOSYS, 0, "obsolete", { { 0 } } },
	/* ---- core dumps ---- */
	/* The join has set the limit to 1 where a program would get the dump: core(5). To lower it to 0, as agents do,
	 * would start that program again, and they end if they cannot: so they are told that it is done. */
	{ "setrlimit", 0, CORE, "the limit of core dumps that keeps the host's handler out stays as it is",
	  { IS(0, 1, RLIMIT_CORE) } },
	{ "prlimit64", 0, CORE, "as above", { IS(1, 1, RLIMIT_CORE), GIVEN(2) } },

	/* ---- strict: what container runtimes deny as well, and more ---- */
	{ "clone", EPERM, STRICT | NESTED, "namespaces of any kind", { HAS(CLONE_FLAGS, NEW_ANY) } },
	{ "unshare", EPERM, STRICT | NESTED, "as above", { HAS(0, NEW_ANY | CLONE_NEWTIME) } },
	{ "mount umount umount2 pivot_root move_mount open_tree fsopen fspick fsconfig fsmount mount_setattr", EPERM,
	  STRICT | NESTED, "the tree is made when the session begins", { { 0 } } },
	{ "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp", EPERM, STRICT,
	  "one process looks into another, and what has fallen takes over what has not", { { 0 } } },
	{ "name_to_handle_at fanotify_init", EPERM, STRICT, "files by handle, past paths", { { 0 } } },
	{ "syslog", EPERM, STRICT, "messages of the kernel", { { 0 } } },
	{ "mbind set_mempolicy set_mempolicy_home_node get_mempolicy migrate_pages move_pages", EPERM, STRICT,
	  "where memory lies; code of the kernel that few look at", { { 0 } } },
	{ "clock_settime clock_settime64 clock_adjtime clock_adjtime64 settimeofday stime", EPERM, STRICT,
	  "the clock of the host", { { 0 } } },
	{ "quotactl quotactl_fd", EPERM, STRICT, "quotas of the host's file systems", { { 0 } } },
	{ "sethostname setdomainname", EPERM, STRICT, "the names are given when the session begins", { { 0 } } },
	{ "vhangup", EPERM, STRICT, "a terminal is taken from whoever has it", { { 0 } } },
	{ "mknod", EPERM, STRICT, "device nodes", { IS_TYPE(1, 2, S_IFCHR, S_IFBLK) } },
	{ "mknodat", EPERM, STRICT, "as above", { IS_TYPE(2, 2, S_IFCHR, S_IFBLK) } },
	{ "modify_ldt", EPERM, STRICT, "segments of 16 bits, for programs of another age (wine)", { { 0 } } },
	{ "personality", EPERM, STRICT, "weakens the layout of memory; all but the common ones",
	  { IS_NOT(0, 5, PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, 0xffffffff) } },
	{ "ioctl", EPERM, STRICT, "line disciplines: modules of the kernel that are loaded by naming them",
	  { IS(1, 1, TIOCSETD) } },
	{ "socket", EAFNOSUPPORT, STRICT | MUXED, "packets of others on the same network", { IS(0, 1, AF_PACKET) } },
	{ "socket", EPROTONOSUPPORT, STRICT | MUXED,
	  "netlink, but for what addresses are looked up by and audit records go through",
	  { IS(0, 1, AF_NETLINK), IS_NOT(2, 2, NETLINK_ROUTE, NETLINK_AUDIT) } },
};
const size_t nsb_n_denied_calls = sizeof(nsb_denied_calls) / sizeof(nsb_denied_calls[0]);
