/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/subid-ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/settings.h"

#define PROGRAM	   NSB_LIBEXECDIR "/nsbox-subid"
#define PATIENCE   4000 /* ms: it may ask a name service */
#define OUTPUT_MAX 8192

/* One line of it: "uid 100000 65536". Beyond 32 bits there are no ids. */
static int parse_line(const char *line, char kind[4], uint64_t *ret_first, uint64_t *ret_last)
{
	unsigned long long first, count;
	char rest;

	if (sscanf(line, "%3s %llu %llu%c", kind, &first, &count, &rest) != 3 ||
	    (strcmp(kind, "uid") != 0 && strcmp(kind, "gid") != 0))
		return -EPROTO;
	*ret_first = first;
	*ret_last = count == 0 || first >= UINT32_MAX ? 0
		    : count > UINT32_MAX - first      ? UINT32_MAX - 1
						      : first + count - 1;
	return 0;
}

/* What both have, if a box fits in and no ordinary account is among them. */
static size_t intersect(const nsb_subid_range *uids, size_t n_uids, const nsb_subid_range *gids, size_t n_gids,
			nsb_subid_range *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < n_uids; i++)
		for (size_t j = 0; j < n_gids; j++) {
			uint32_t first = uids[i].first > gids[j].first ? uids[i].first : gids[j].first;
			uint32_t last = uids[i].last < gids[j].last ? uids[i].last : gids[j].last;

			if (first < NSB_SUBID_COUNT)
				first = NSB_SUBID_COUNT;
			if (last > INT32_MAX)
				last = INT32_MAX;
			if (first <= last && last - first + 1 >= NSB_SUBID_COUNT && n < NSB_SUBID_RANGES_MAX)
				ret[n++] = (nsb_subid_range){ first, last };
		}
	return n;
}

int subid_ranges_parse(const char *text, nsb_subid_range ret[NSB_SUBID_RANGES_MAX])
{
	nsb_subid_range found[2][NSB_SUBID_RANGES_MAX];
	size_t n[2] = { 0 };

	for (const char *at = text; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
		char line[64], kind[4];
		uint64_t first, last;
		size_t length = strcspn(at, "\n"), which;

		if (length >= sizeof(line))
			return -EPROTO;
		memcpy(line, at, length);
		line[length] = '\0';
		if (parse_line(line, kind, &first, &last) < 0)
			return -EPROTO;
		which = kind[0] == 'g';
		if (last >= first && first <= UINT32_MAX && n[which] < NSB_SUBID_RANGES_MAX)
			found[which][n[which]++] = (nsb_subid_range){ (uint32_t)first, (uint32_t)last };
	}
	return (int)intersect(found[0], n[0], found[1], n[1], ret);
}

static void __attribute__((noreturn)) become_program(const char *user, int output)
{
	static char *const environment[] = { NULL };
	char *const arguments[] = { (char *)"nsbox-subid", (char *)user, NULL };

	/* the socket of the application is 3 and must not get there */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && dup2(output, STDOUT_FILENO) >= 0 &&
	    syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0)
		execve(PROGRAM, arguments, environment);
	_exit(127);
}

/* All that it prints, as text. */
static int read_all(int fd, int64_t deadline, char text[OUTPUT_MAX])
{
	size_t used = 0;
	ssize_t n = 1;

	while (n > 0 && used < OUTPUT_MAX - 1) {
		int r = nsb_wait_readable(fd, deadline);

		if (r < 0)
			return r;
		n = read(fd, text + used, OUTPUT_MAX - 1 - used);
		if (n < 0)
			return -errno;
		used += (size_t)n;
	}
	text[used] = '\0';
	return n == 0 ? 0 : -EFBIG;
}

static int run(const char *user, int64_t deadline, char text[OUTPUT_MAX], nsb_error *error)
{
	NSB_CLOSE int ours = -1;
	int64_t end = nsb_now() + PATIENCE;
	int out[2], status, r;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return nsb_error_set(error, errno, "cannot make a pipe: %s", strerror(errno));
	ours = out[0];
	pid = fork();
	if (pid == 0)
		become_program(user, out[1]);
	close(out[1]);
	if (pid < 0)
		return nsb_error_set(error, EAGAIN, "cannot start nsbox-subid");
	r = read_all(ours, deadline < end ? deadline : end, text);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return nsb_error_set(error, r, "subid_pool = subuid: nsbox-subid does not answer: %s", strerror(-r));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return nsb_error_set(error, ENOENT,
				     "subid_pool = subuid: cannot run " PROGRAM
				     ": install nsbox built with libsubid (configure "
				     "--with-subid), or name a range");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : nsb_error_set(error, EIO,
				       "subid_pool = subuid: nsbox-subid failed: see its messages, /etc/subuid "
				       "and /etc/nsswitch.conf");
}

int subid_ranges(const char *user, int64_t deadline, nsb_subid_range ret[NSB_SUBID_RANGES_MAX], nsb_error *error)
{
	char text[OUTPUT_MAX];
	int r = run(user, deadline, text, error);

	if (r < 0)
		return r;
	r = subid_ranges_parse(text, ret);
	return r < 0 ? nsb_error_set(error, r, "subid_pool = subuid: nsbox-subid answered what is no range") : r;
}
