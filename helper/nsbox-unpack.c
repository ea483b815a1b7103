/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsbox-unpack [MAX]: unpacks the tar archive on standard input into the directory "root" of the directory on
 * descriptor 3. Started by nsboxctl mkroot, as root; the archive is a stranger's.
 *
 *   1 limits   no new privileges, no environment, bounded memory, no core file
 *   2 library  what libarchive needs of the host is loaded here, and nothing later
 *   3 enclose  chroot into the directory that holds "root" and nothing else: should the library ever leave the
 *		working directory, there is nothing outside to write to, and nothing that the C library could load
 *   4 drop     capabilities for owners and modes of files remain; none to make devices or to leave a chroot
 *   -- from here on the archive is read --
 *   5 unpack   unpack.c
 *
 * Exit status: 0; 1 with a sentence on standard error: the caller removes what was made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/capability-set.h"
#include "common/string-util.h"
#include "helper/unpack.h"

#define DIRECTORY  3
#define MEMORY_MAX (1024UL * 1024 * 1024) /* an xz dictionary takes what the archive asks for */

#define KEPT                                                                                                           \
	(NSB_CAPABILITY(CAP_CHOWN) | NSB_CAPABILITY(CAP_DAC_OVERRIDE) | NSB_CAPABILITY(CAP_FOWNER) |                   \
	 NSB_CAPABILITY(CAP_FSETID) | NSB_CAPABILITY(CAP_SETFCAP))

static int set_limits(nsb_error *error)
{
	const struct rlimit none = { 0, 0 };

	umask(022);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN); /* a file beyond what this file system can hold is a sentence */
	if (clearenv() != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return nsb_error_set(error, errno, "cannot set limits: %s", strerror(errno));
#if !defined(__SANITIZE_ADDRESS__) /* whose shadow is larger than any bound */
	if (setrlimit(RLIMIT_AS, &(const struct rlimit){ MEMORY_MAX, MEMORY_MAX }) < 0)
		return nsb_error_set(error, errno, "cannot bound the memory: %s", strerror(errno));
#endif
	return 0;
}

static int enclose(nsb_error *error)
{
	if (fchdir(DIRECTORY) < 0 || chroot(".") < 0 || chdir("/root") < 0)
		return nsb_error_set(error, errno, "cannot make the new directory the root of this process: %s",
				     strerror(errno));
	close(DIRECTORY);
	return 0;
}

static int drop(nsb_error *error)
{
	const uint64_t more = KEPT | NSB_CAPABILITY(CAP_SYS_CHROOT);
	const nsb_capability_sets wanted = { KEPT, KEPT, 0 };
	int r = nsb_capabilities_reduce(KEPT);

	if (r < 0)
		return nsb_error_set(error, r, "cannot give up capabilities: %s", strerror(-r));
	if (!nsb_capabilities_are(&wanted) || nsb_capabilities_set(&(nsb_capability_sets){ more, more, 0 }) == 0)
		return nsb_error_set(error, EPERM, "capabilities that were given up are still there");
	return 0;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* What the administrator does not see in the tree. */
static void tell_count(const unpack_count *count)
{
	if (count->devices + count->channels > 0)
		fprintf(stderr,
			"nsboxctl: left out: %llu device node%s, %llu FIFO%s or socket%s; a box has a /dev of its "
			"own\n",
			(unsigned long long)count->devices, plural(count->devices), (unsigned long long)count->channels,
			plural(count->channels), plural(count->channels));
	if (count->lost > 0)
		fprintf(stderr,
			"nsboxctl: warning: %llu file%s without the capabilities that the archive gives: this "
			"file system takes none\n",
			(unsigned long long)count->lost, plural(count->lost));
	if (count->privileged > 0)
		fprintf(stderr,
			"nsboxctl: warning: %llu program%s of the archive set-uid, set-gid or with capabilities: "
			"whoever "
			"reaches the tree on the host can start them there, outside of any box; unless you trust the "
			"archive, keep it below a directory of mode 0700\n",
			(unsigned long long)count->privileged, plural(count->privileged));
}

static int unpack(const char *max_words, nsb_error *error)
{
	unpack_count count = { 0 };
	uint64_t max = UINT64_MAX;
	int r;

	if (max_words != NULL && nsb_parse_u64(max_words, UINT64_MAX - 1, &max) < 0)
		return nsb_error_set(error, EINVAL, "\"%s\" is no number of bytes", max_words);
	r = set_limits(error);
	if (r < 0)
		return r;
	/* pax names are UTF-8: in another locale the library would convert them, by code that it loads for that */
	setlocale(LC_CTYPE, "C.UTF-8");
	r = unpack_begin(error);
	if (r == 0)
		r = enclose(error);
	if (r == 0)
		r = drop(error);
	/* -- from here on the archive is read, and there is nothing around to harm -- */
	if (r == 0)
		r = unpack_all(STDIN_FILENO, max, &count, error);
	if (r == 0)
		tell_count(&count);
	return r;
}

int main(int argc, char **argv)
{
	nsb_error error = { 0 };
	int r;

	if (argc > 2) {
		fprintf(stderr, "usage: nsbox-unpack [MAX] <ARCHIVE 3<DIRECTORY\n");
		return 2;
	}
	r = unpack(argc == 2 ? argv[1] : NULL, &error);
	unpack_end();
	if (r == 0)
		return 0;
	nsb_make_printable(error.words);
	fprintf(stderr, "nsboxctl: %s\n", error.words[0] != '\0' ? error.words : strerror(-r));
	return 1;
}
