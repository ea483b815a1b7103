/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that reach the kernel itself. Arguments are such that a kernel that lets them through answers with an error of
 * its own, or does what is so already. */
#include "attempt.h"

#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/personality.h>
#include <sys/quota.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <unistd.h>

/* an empty image: ENOEXEC where code may be loaded */
static int init_module(void)
{
	return outcome(syscall(SYS_init_module, "", 0UL, ""));
}

static int finit_module(void)
{
	int fd = open("/dev/null", O_RDONLY);

	return outcome(syscall(SYS_finit_module, fd, "", 0));
}

static int delete_module(void)
{
	return outcome(syscall(SYS_delete_module, "nsbox_no_such_module", O_NONBLOCK));
}

/* more segments than there can be: EINVAL, before anything is looked at */
static int kexec(void)
{
	return outcome(syscall(SYS_kexec_load, 0UL, 1000UL, NULL, 0UL));
}

static int kexec_file(void)
{
	return outcome(syscall(SYS_kexec_file_load, -1, -1, 0UL, NULL, ~0UL));
}

static int bpf(void)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};

	return outcome(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
}

static int perf(void)
{
	struct perf_event_attr attributes = { .type = PERF_TYPE_SOFTWARE,
					      .size = sizeof(attributes),
					      .config = PERF_COUNT_SW_TASK_CLOCK,
					      .exclude_kernel = 1 };

	return outcome(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0UL));
}

/* one that may see the kernel's own faults: what exploits want */
static int userfault(void)
{
	return outcome(syscall(SYS_userfaultfd, O_CLOEXEC));
}

static int userfault_own(void)
{
	return outcome(syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */));
}

static int uring(void)
{
	struct io_uring_params parameters = { 0 };

	return outcome(syscall(SYS_io_uring_setup, 1, &parameters));
}

static int key_of_another(void)
{
	const char *serial = getenv("NSBOX_ATTACK_KEY");
	char text[64] = "";
	long n = syscall(SYS_keyctl, KEYCTL_READ, serial != NULL ? atoi(serial) : 0, text, sizeof(text) - 1);

	if (n >= 0)
		note("%s", text);
	return outcome(n);
}

static int user_keyring(void)
{
	return outcome(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
}

static int add_key(void)
{
	return outcome(syscall(SYS_add_key, "user", "nsbox-attempt", "x", 1UL, KEY_SPEC_PROCESS_KEYRING));
}

/* ENOKEY: no such key, and nobody is asked for one */
static int request_key(void)
{
	return outcome(syscall(SYS_request_key, "user", "nsbox-no-such-key", NULL, KEY_SPEC_PROCESS_KEYRING));
}

#ifdef __x86_64__
static sigjmp_buf no_entry;

static void no_int_80(int number)
{
	(void)number;
	siglongjmp(no_entry, 1);
}

/* The same question in the words of a 32-bit program: a filter that looks at the numbers of one architecture lets it pass.
 * ENOSYS where the machine has no such entry: some virtual ones kill who tries. */
static int keyctl_of_32_bits(void)
{
	long r;

	if (sigsetjmp(no_entry, 1) != 0)
		return ENOSYS;
	signal(SIGSEGV, no_int_80);
	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(288L), "b"((long)KEYCTL_GET_KEYRING_ID), "c"((long)KEY_SPEC_USER_KEYRING), "d"(1L)
			 : "memory");
	errno = (int)-r;
	return r < 0 && r > -4096 ? errno : 0;
}

static int keyctl_of_x32(void)
{
	return outcome(syscall(0x40000000 | SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
}
#endif

static int swap(void)
{
	return outcome(swapon("/dev/null", 0));
}

/* says nothing about the machine where PID 1 is in a namespace, as the throw-away host's is: EINVAL */
static int reboot_call(void)
{
	return outcome(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, NULL));
}

/* the length of a tick as it is */
static int tick(void)
{
	struct timex now = { .modes = 0 };

	if (adjtimex(&now) < 0)
		return errno;
	now.modes = ADJ_TICK;
	return outcome(adjtimex(&now));
}

/* only where it must fail: the time of now is another one at once */
static int clock_set(void)
{
	struct timeval now;

	if (careful && geteuid() == 0)
		return ECANCELED;
	gettimeofday(&now, NULL);
	return outcome(settimeofday(&now, NULL));
}

static int hostname(void)
{
	char own[256] = "";

	if (careful)
		gethostname(own, sizeof(own) - 1);
	return outcome(sethostname(careful ? own : "taken", careful ? strlen(own) : 5));
}

static int accounting(void)
{
	return outcome(acct(NULL)); /* of the own PID namespace, where it is off */
}

/* the quota of somebody else: ESRCH where there is none */
static int quota(void)
{
	struct dqblk block;
	int fd = open("/cache", O_RDONLY | O_DIRECTORY);

	return fd < 0 ? errno : outcome(syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, USRQUOTA), 1, &block));
}

static int set_immutable(const char *directory)
{
	char path[4200];
	int flags = 0, error, fd;

	snprintf(path, sizeof(path), "%s/nsbox-attempt-%d", directory, getpid());
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return errno;
	error = outcome(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	if (error == 0) {
		flags |= FS_IMMUTABLE_FL;
		error = outcome(ioctl(fd, FS_IOC_SETFLAGS, &flags));
		flags &= ~FS_IMMUTABLE_FL;
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	unlink(path);
	close(fd);
	return error;
}

static int immutable(void)
{
	return on_writable(set_immutable);
}

static int io_level(void)
{
	return outcome(iopl(3));
}

static int io_port(void)
{
	return outcome(ioperm(0x80, 1, 1));
}

static int messages(void)
{
	char text[64];

	return outcome(klogctl(3 /* SYSLOG_ACTION_READ_ALL */, text, sizeof(text)));
}

static int clear_messages(void)
{
	/* the level of the console as it would be after a boot is what SYSLOG_ACTION_CONSOLE_LEVEL sets: 9 is no level */
	return outcome(klogctl(8, NULL, 9));
}

static int personality_call(void)
{
	return outcome(personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC));
}

static int ldt(void)
{
	struct user_desc entry = {
		.entry_number = 0, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1
	};

	return outcome(syscall(SYS_modify_ldt, 1, &entry, sizeof(entry)));
}

static int faster(void)
{
	return outcome(setpriority(PRIO_PROCESS, 0, -20));
}

static int raise_limit(void)
{
	struct rlimit limit = { 0, 0 };

	if (setrlimit(RLIMIT_SIGPENDING, &limit) < 0)
		return errno;
	limit.rlim_cur = limit.rlim_max = 1;
	return outcome(setrlimit(RLIMIT_SIGPENDING, &limit));
}

static int line_discipline(void)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), discipline = 0;

	return terminal < 0 ? errno : outcome(ioctl(terminal, TIOCSETD, &discipline));
}

/* Into a terminal of one's own, which anybody may without a filter; what it does to an outer one is test_attack_terminals. */
static int terminal_input(unsigned long request, void *argument)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), slave;

	if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0)
		return errno;
	setsid();
	slave = open(ptsname(terminal), O_RDWR); /* becomes the controlling one */
	if (slave < 0)
		return errno;
	return outcome(syscall(SYS_ioctl, slave, request, argument));
}

static int tiocsti(void)
{
	return terminal_input(0x5412, "x");
}

/* the kernel looks at 32 bits of the number (CVE-2019-10063) */
static int tiocsti_of_64_bits(void)
{
	return terminal_input(0x100005412UL, "x");
}

const attempt call_attempts[] = {
	{ "init_module", init_module },
	{ "finit_module", finit_module },
	{ "delete_module", delete_module },
	{ "kexec_load", kexec },
	{ "kexec_file_load", kexec_file },
	{ "bpf", bpf },
	{ "perf_event_open", perf },
	{ "userfaultfd", userfault },
	{ "userfaultfd-own", userfault_own },
	{ "io_uring_setup", uring },
	{ "key-of-another", key_of_another },
	{ "user-keyring", user_keyring },
	{ "add_key", add_key },
	{ "request_key", request_key },
#ifdef __x86_64__
	{ "keyctl-32-bits", keyctl_of_32_bits },
	{ "keyctl-x32", keyctl_of_x32 },
#endif
	{ "swapon", swap },
	{ "reboot", reboot_call },
	{ "clock-tick", tick },
	{ "clock-set", clock_set },
	{ "sethostname", hostname },
	{ "acct", accounting },
	{ "quotactl", quota },
	{ "immutable", immutable },
	{ "iopl", io_level },
	{ "ioperm", io_port },
	{ "dmesg", messages },
	{ "console-level", clear_messages },
	{ "personality", personality_call },
	{ "modify_ldt", ldt },
	{ "nice", faster },
	{ "raise-limit", raise_limit },
	{ "line-discipline", line_discipline },
	{ "tiocsti", tiocsti },
	{ "tiocsti-64-bits", tiocsti_of_64_bits },
	{ NULL, NULL },
};
