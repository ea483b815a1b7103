/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/string-util.h"

#define PROGRAM	 NSB_LIBEXECDIR "/nsbox-bus"
#define PATIENCE 6000 /* ms: nsbox-bus gives up by itself after 4.5 s of waiting, with a better sentence */

/* nsbox-bus has an end to what it prints that is far below: 64 devices with their names, 8192 CPUs */
#define OUTPUT_MAX (1024 * 1024)
#define CHUNK	   4096

/* In the child of vfork(2), which shares our memory: nothing but system calls. */
static void __attribute__((noreturn)) become_bus(char *const arguments[], int output, int words)
{
	static char *const environment[] = { NULL };

	/* killed with the helper: whoever cleans then must not be overtaken by a call that is still on its way */
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* the socket of the application is 3 and must not get there: every other descriptor is CLOEXEC */
	if (dup2(output, STDOUT_FILENO) >= 0 && dup2(words, STDERR_FILENO) >= 0 &&
	    syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0)
		execve(PROGRAM, arguments, environment);
	_exit(127);
}

/* Room for more in the text, of which `used` bytes are there. */
static int grow(char **text, size_t used, size_t *size)
{
	char *grown = *size < OUTPUT_MAX ? realloc(*text, *size + CHUNK) : NULL;

	if (grown == NULL)
		return *size < OUTPUT_MAX ? -ENOMEM : -EFBIG;
	grown[used] = '\0';
	*text = grown;
	*size += CHUNK;
	return 0;
}

/* Reads what comes until the end, or until the deadline, into *ret, which the caller frees also after a failure. */
static int read_until(int fd, int64_t deadline, char **ret)
{
	size_t used = 0, size = 0;
	ssize_t n = 1;
	int r = 0;

	while (n > 0) {
		if (used + 1 >= size)
			r = grow(ret, used, &size);
		if (r == 0)
			r = nsb_wait_readable(fd, deadline);
		if (r < 0)
			return r;
		n = read(fd, *ret + used, size - 1 - used);
		if (n < 0)
			return -errno;
		used += (size_t)n;
		(*ret)[used] = '\0';
	}
	return 0;
}

static int no_answer(int r, nsb_error *error)
{
	if (r == -ETIMEDOUT)
		return nsb_error_set(error, r,
				     "logind and systemd do not answer in time; look at: systemctl status "
				     "dbus.service systemd-logind.service");
	return nsb_error_set(error, r, "nsbox-bus did not answer: %s", strerror(-r));
}

static int wait_for(pid_t pid, int r, nsb_error *error, char *words)
{
	int status = 0;

	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return nsb_error_set(error, errno, "cannot wait for nsbox-bus: %s", strerror(errno));
	if (r < 0)
		return no_answer(r, error);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return nsb_error_set(error, ENOENT,
				     "cannot run " PROGRAM
				     ": install nsbox built with systemd (configure --with-systemd)");
	if (!WIFEXITED(status))
		return nsb_error_set(error, EIO, "nsbox-bus died of signal %d", WTERMSIG(status));
	words[strcspn(words, "\n")] = '\0';
	nsb_make_printable(words);
	if (WEXITSTATUS(status) == 0)
		return 0;
	if (WEXITSTATUS(status) == NSB_BUS_NOT_FOUND)
		return words[0] == '\0' ? NSB_BUS_NOT_FOUND : nsb_error_set(error, ESTALE, "%s", words);
	return nsb_error_set(error, EIO, "%s", words[0] != '\0' ? words : "nsbox-bus failed");
}

/* Starts it with pipes for what it prints and what it says; their reading ends are the caller's, also after a failure.
 * By itself: of a function that calls vfork(2) the variables are not safe. Its pid, or negative errno with a sentence.
 */
static pid_t start(char *const arguments[], int *ret_output, int *ret_words, nsb_error *error)
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 };
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
		pid = nsb_error_set(error, errno, "cannot make a pipe: %s", strerror(errno));
	} else {
		pid = vfork();
		if (pid == 0)
			become_bus(arguments, out[1], err[1]);
		if (pid < 0)
			pid = nsb_error_set(error, errno, "cannot start nsbox-bus: %s", strerror(errno));
	}
	nsb_close(out[1]);
	nsb_close(err[1]);
	*ret_output = out[0];
	*ret_words = err[0];
	return pid;
}

int bus_run(char *const arguments[], int64_t deadline, char **ret_output, nsb_error *error)
{
	NSB_CLOSE int out = -1;
	NSB_CLOSE int err = -1;
	NSB_FREE char *output = NULL, *words = NULL;
	int64_t now = nsb_now(), end = deadline < now + PATIENCE ? deadline : now + PATIENCE;
	pid_t pid;
	int r;

	if (now >= end) /* a call must not be on its way when nobody waits for it any more */
		return no_answer(-ETIMEDOUT, error);
	pid = start(arguments, &out, &err, error);
	if (pid < 0)
		return pid;
	r = read_until(out, end, &output);
	if (r == 0)
		r = read_until(err, end, &words);
	r = wait_for(pid, r, error, words);
	if (ret_output != NULL)
		*ret_output = nsb_steal_pointer(&output);
	return r;
}
