/* SPDX-License-Identifier: BSD-3-Clause */
/* escape MARKER: the known ways out of a chroot, as root. Prints "OUT HOW" for each that shows MARKER, a path that exists
 * on the host and not in the box, and "tried N" at the end. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *marker;

static int seen_from_here(void)
{
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			break;
	return access(marker + 1, F_OK) == 0 || (chroot(".") == 0 && access(marker, F_OK) == 0);
}

static int by_fchdir(void)
{
	int top = open("/", O_RDONLY | O_DIRECTORY);

	mkdir("/tmp/jail", 0700);
	return chroot("/tmp/jail") == 0 && fchdir(top) == 0 && seen_from_here();
}

static int by_chdir(void)
{
	mkdir("/tmp/jail", 0700);
	return chdir("/") == 0 && chroot("/tmp/jail") == 0 && seen_from_here();
}

static int by_proc(const char *link)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	char path[512];

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%.20s/%s%s", entry->d_name, link, marker);
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && access(path, F_OK) == 0)
			return 1;
		snprintf(path, sizeof(path), "/proc/%.20s/%s", entry->d_name, link);
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && chdir(path) == 0 && seen_from_here())
			return 1;
	}
	return 0;
}

static int by_root_links(void)
{
	return by_proc("root");
}

static int by_cwd_links(void)
{
	return by_proc("cwd");
}

/* pivot_root(".", ".") leaves the old root on top until it is unmounted: is one still there? */
static int by_old_root(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return 0;
	for (int i = 0; i < 8 && umount2("/", MNT_DETACH) == 0; i++)
		if (access(marker, F_OK) == 0 || seen_from_here())
			return 1;
	return seen_from_here();
}

/* What lies below the mounts of the default view. */
static int by_unmounting(void)
{
	static const char *const places[] = { "/proc", "/sys", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev", "/run/user/0",
					      "/run", "/tmp", "/var/tmp" };

	if (unshare(CLONE_NEWNS) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		while (umount2(places[i], MNT_DETACH) == 0)
			if (access(marker, F_OK) == 0)
				return 1;
	return access(marker, F_OK) == 0;
}

static int by_pid_1(void)
{
	int mount = open("/proc/1/ns/mnt", O_RDONLY);

	return mount >= 0 && setns(mount, 0) == 0 && (access(marker, F_OK) == 0 || seen_from_here());
}

/* A mount that is shared, or still has a peer on the host, would carry this over; the test looks there. */
static int by_mounting(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL) < 0 || mount("none", "/", NULL, MS_SHARED | MS_REC, NULL) < 0 ||
	       mkdir("/mnt/box", 0700) < 0 || mount("none", "/mnt/box", "tmpfs", 0, NULL) < 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*try)(void);
	} ways[] = { { "chroot, fchdir", by_fchdir },	{ "chroot, chdir", by_chdir },
		     { "/proc/*/root", by_root_links },	{ "/proc/*/cwd", by_cwd_links },
		     { "umount /", by_old_root },	{ "umount below", by_unmounting },
		     { "namespace of PID 1", by_pid_1 }, { "mount (failed)", by_mounting } };
	size_t n = sizeof(ways) / sizeof(ways[0]);
	int status;

	marker = argc > 1 ? argv[1] : "/none";
	if (access(marker, F_OK) == 0)
		puts("OUT without any trick");
	for (size_t i = 0; i < n; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(ways[i].try() ? 1 : 0);
		if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
			printf("OUT %s: cannot be tried\n", ways[i].name);
		else if (WEXITSTATUS(status) != 0)
			printf("OUT %s\n", ways[i].name);
	}
	printf("tried %zu\n", n);
	return 0;
}
