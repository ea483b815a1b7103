/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices, handles, set-user-ID files, and the settings of the kernel in /proc and /sys. What is written to a setting is what it
 * says already. */
#include "attempt.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEEPEST = 12 };

static int can_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? errno : close(fd);
}

static int use_node(const char *directory, mode_t type, dev_t device)
{
	char path[4200];
	int error;

	snprintf(path, sizeof(path), "%s/nsbox-node-%d", directory, getpid());
	if (mknod(path, type | 0666, device) < 0)
		return errno;
	error = can_open(path);
	if (error == 0)
		note("%s", directory);
	unlink(path);
	return error;
}

static int zero_on(const char *directory)
{
	return use_node(directory, S_IFCHR, makedev(1, 5));
}

static int node(void)
{
	return on_writable(zero_on);
}

static int node_in_dev(void)
{
	return use_node("/dev", S_IFCHR, makedev(1, 11)); /* /dev/kmsg */
}

/* Each disk that the kernel has is opened for reading, until one can be. */
static int disk_on(const char *directory)
{
	FILE *in = fopen("/proc/partitions", "re");
	char line[256], name[64];
	unsigned numbers[2], blocks;
	int error = ENOENT;

	while (in != NULL && error != 0 && fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "%u %u %u %63s", &numbers[0], &numbers[1], &blocks, name) == 4)
			error = use_node(directory, S_IFBLK, makedev(numbers[0], numbers[1]));
	if (in != NULL)
		fclose(in);
	return error;
}

static int disk(void)
{
	return on_writable(disk_on);
}

static int disk_in_dev(void)
{
	return disk_on("/dev");
}

/* A disk, or the memory, that is there without mknod(2). */
static int open_in_dev(void)
{
	static const char *const names[] = { "/dev/mem",  "/dev/kmem",	   "/dev/port",		  "/dev/kmsg",
					     "/dev/sda",  "/dev/vda",	   "/dev/loop0",	  "/dev/loop-control",
					     "/dev/kvm",  "/dev/fuse",	   "/dev/net/tun",	  "/dev/vcs",
					     "/dev/tty1", "/dev/console",  "/dev/mapper/control", "/dev/rtc0",
					     "/dev/hpet", "/dev/cpu/0/msr" };
	int error = ENOENT;

	for (size_t i = 0; error != 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open(names[i], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0 || errno == EACCES || errno == EPERM)
			error = fd >= 0 ? 0 : errno;
		if (fd >= 0)
			note("%s", names[i]);
	}
	return error;
}

/* CVE-2014-6407 and the program called shocker: the handle of inode 2, and that of a directory that one has. */
static int forge(const char *directory, bool own)
{
	struct {
		struct file_handle head;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle = { .head = { .handle_bytes = 8, .handle_type = 1 }, .bytes = { 2 } };
	int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), mount_id, fd;

	if (top < 0)
		return errno;
	if (own)
		handle.head.handle_bytes = MAX_HANDLE_SZ;
	if (own && name_to_handle_at(top, "", &handle.head, &mount_id, AT_EMPTY_PATH) < 0)
		return errno;
	fd = open_by_handle_at(top, &handle.head, O_RDONLY);
	if (fd >= 0)
		note("%s", directory);
	return outcome(fd);
}

static int handle_of_own(void)
{
	return forge("/dev/shm", true);
}

static int handle_forged(void)
{
	static const char *const places[] = { "/", "/etc", "/usr", "/home", "/tmp", "/dev", "/proc", "/sys", "/run" };
	int error = ENOENT;

	for (size_t i = 0; error != 0 && error != EPERM && i < sizeof(places) / sizeof(places[0]); i++)
		error = forge(places[i], false);
	return error;
}

static bool copy_self(const char *path)
{
	static char buffer[1 << 16];
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ssize_t n;

	while (in >= 0 && out >= 0 && (n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, (size_t)n) != n)
			break;
	close(in);
	return close(out) == 0;
}

/* The copy runs as alice and says by its status whether it is root. */
static int exec_copy(const char *path)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (geteuid() == 0 && (setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0))
			_exit(errno);
		execl(path, path, "/none", "is-root", NULL);
		_exit(errno);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int setuid_on(const char *directory)
{
	char path[4200];
	int error = 0;

	snprintf(path, sizeof(path), "%s/nsbox-setuid-%d", directory, getpid());
	if (!copy_self(path) || chown(path, 0, 0) < 0 || chmod(path, 06755) < 0)
		error = errno;
	else
		error = exec_copy(path);
	if (error == 0)
		note("%s", directory);
	unlink(path);
	return error;
}

static int setuid_copy(void)
{
	return on_writable(setuid_on);
}

/* -- settings of the kernel -- */

/* Writes what the file says into it. */
static int write_back(const char *path)
{
	char text[4096];
	int fd = open(path, careful ? O_WRONLY : O_RDWR), error = 0;
	ssize_t n;

	if (fd < 0)
		return errno;
	if (!careful) {
		n = read(fd, text, sizeof(text));
		if (n < 0 || pwrite(fd, text, (size_t)n, 0) < 0)
			error = errno;
	}
	close(fd);
	return error;
}

static int core_pattern(void)
{
	return write_back("/proc/sys/kernel/core_pattern");
}

/* The first of them that is there decides; nothing here has all. */
static int helpers_of_the_kernel(void)
{
	static const char *const names[] = { "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper",
					     "/proc/sys/kernel/poweroff_cmd", "/proc/sys/kernel/hotplug",
					     "/proc/sys/kernel/usermodehelper/bset" };
	int error = ENOENT;

	for (size_t i = 0; error != 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		int now = write_back(names[i]);

		if (now == 0)
			note("%s", names[i]);
		if (now != ENOENT)
			error = now;
	}
	return error;
}

static int sysrq(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? errno : careful ? 0 : outcome(write(fd, "h", 1)); /* prints its help */
}

/* Registers nothing: the file is opened. */
static int binfmt(void)
{
	char place[] = "/tmp/nsbox-binfmt.XXXXXX", path[64];
	int error = 0, fd = open("/proc/sys/fs/binfmt_misc/register", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	if (mkdtemp(place) == NULL)
		return errno;
	unshare_mounts();
	if (mount("none", place, "binfmt_misc", 0, NULL) < 0) {
		error = errno;
	} else {
		snprintf(path, sizeof(path), "%s/register", place);
		error = outcome(open(path, O_WRONLY | O_CLOEXEC));
		umount2(place, MNT_DETACH);
	}
	rmdir(place);
	return error;
}

static unsigned looked, opened;
static char first[160];

static void walk(const char *directory, dev_t device, int depth)
{
	DIR *list = opendir(directory);
	const struct dirent *entry;
	char path[4096];
	struct stat st;

	while (list != NULL && (entry = readdir(list)) != NULL) {
		snprintf(path, sizeof(path), "%.3700s/%s", directory, entry->d_name);
		if (entry->d_name[0] == '.' || lstat(path, &st) < 0 || (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
			continue;
		/* what root could open all the same takes nothing */
		if (S_ISREG(st.st_mode) && (st.st_mode & 0222) == 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			if (st.st_dev == device && depth < DEEPEST)
				walk(path, device, depth + 1);
			continue;
		}
		looked++;
		/* one that says nothing is a trigger */
		if ((st.st_mode & 0444) != 0 ? write_back(path) != 0 : open(path, O_WRONLY | O_CLOEXEC) < 0)
			continue;
		if (opened++ == 0)
			snprintf(first, sizeof(first), "%.159s", path);
	}
	if (list != NULL)
		closedir(list);
}

static int walk_settings(const char *top)
{
	struct stat st;

	if (stat(top, &st) < 0)
		return errno;
	walk(top, st.st_dev, 0);
	note("%u of %u files %s", opened, looked, first);
	return opened > 0 ? 0 : looked > 0 ? EROFS : ENOENT;
}

static int settings_of_proc(void)
{
	return walk_settings("/proc/sys");
}

static int settings_of_sys(void)
{
	return walk_settings("/sys");
}

/* What else of /proc can be opened for writing, processes and what watches the load apart. */
static int rest_of_proc(void)
{
	DIR *list = opendir("/proc");
	const struct dirent *entry;
	char path[300];
	struct stat st, top;

	if (list == NULL || stat("/proc", &top) < 0)
		return errno;
	careful = true; /* some of them do what is written at once */
	while ((entry = readdir(list)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s", entry->d_name);
		if (entry->d_name[0] == '.' || isdigit((unsigned char)entry->d_name[0]) ||
		    strcmp(entry->d_name, "sys") == 0 || strcmp(entry->d_name, "pressure") == 0 || lstat(path, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			walk(path, top.st_dev, 0);
		else if (S_ISREG(st.st_mode) && (st.st_mode & 0222) != 0 && ++looked > 0 && write_back(path) == 0 &&
			 opened++ == 0)
			snprintf(first, sizeof(first), "%.159s", path);
	}
	closedir(list);
	note("%u of %u files %s", opened, looked, first);
	return opened > 0 ? 0 : looked > 0 ? EROFS : ENOENT;
}

static int read_one_of(const char *const *names)
{
	struct stat st;
	int error = ENOENT;

	for (; *names != NULL; names++) {
		char bytes[64];
		int fd = open(*names, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		/* one that is masked is an empty file or directory */
		if (fd < 0 && (errno == EACCES || errno == EPERM))
			error = errno;
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && read(fd, bytes, sizeof(bytes)) > 0) {
			note("%s", *names);
			return 0;
		}
		if (fd >= 0)
			close(fd);
	}
	return error;
}

static int memory_of_the_kernel(void)
{
	static const char *const names[] = { "/proc/kcore",	  "/proc/kmsg",	     "/proc/timer_list",
					     "/proc/sched_debug", "/proc/keys",	     "/proc/latency_stats",
					     "/proc/acpi/wakeup", "/proc/scsi/scsi", NULL };

	return read_one_of(names);
}

/* What a page of the memory is used for, not what is in it. */
static int pages_of_the_machine(void)
{
	static const char *const names[] = { "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", NULL };

	return read_one_of(names);
}

/* Takes the cover off, or mounts another /proc. */
static int uncover(void)
{
	static const char *const covers[] = { "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus" };

	unshare_mounts();
	if (mount("none", "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 &&
	    access("/proc/sys/kernel/core_pattern", W_OK) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(covers) / sizeof(covers[0]); i++)
		umount2(covers[i], MNT_DETACH);
	if (mount("none", "/tmp", "proc", 0, NULL) == 0)
		return access("/tmp/sys/kernel/core_pattern", W_OK) == 0 ? 0 : errno;
	return errno;
}

const attempt file_attempts[] = {
	{ "node", node },
	{ "node-in-dev", node_in_dev },
	{ "disk", disk },
	{ "disk-in-dev", disk_in_dev },
	{ "devices", open_in_dev },
	{ "handle-of-own", handle_of_own },
	{ "handle-forged", handle_forged },
	{ "setuid-copy", setuid_copy },
	{ "core_pattern", core_pattern },
	{ "kernel-helpers", helpers_of_the_kernel },
	{ "sysrq", sysrq },
	{ "binfmt_misc", binfmt },
	{ "settings-proc", settings_of_proc },
	{ "settings-sys", settings_of_sys },
	{ "rest-of-proc", rest_of_proc },
	{ "kernel-memory", memory_of_the_kernel },
	{ "machine-pages", pages_of_the_machine },
	{ "uncover-proc", uncover },
	{ NULL, NULL },
};
