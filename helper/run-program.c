/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/run-program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/string-util.h"

#define EXTRA	   3
#define NO_PROGRAM 127

/* In the child of vfork(2), which shares our memory: nothing but system calls. */
static void __attribute__((noreturn)) become_program(const run_wish *wish, int words)
{
	static char *const environment[] = { NULL };
	const struct rlimit size = { wish->output_max, wish->output_max };

	/* killed with the helper: whoever cleans then must not be overtaken by a request that is still on its way */
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* 3 is the application's socket here, and must not get there */
	if (dup2(words, STDERR_FILENO) >= 0 && (wish->input < 0 || dup2(wish->input, STDIN_FILENO) >= 0) &&
	    (wish->output < 0 || dup2(wish->output, STDOUT_FILENO) >= 0) &&
	    (wish->output_max == 0 || syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &size, NULL) == 0) &&
	    (wish->extra < 0 || dup2(wish->extra, EXTRA) >= 0) &&
	    syscall(SYS_close_range, wish->extra < 0 ? EXTRA : EXTRA + 1, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0)
		syscall(SYS_execveat, wish->program < 0 ? AT_FDCWD : wish->program, wish->program < 0 ? wish->path : "",
			wish->arguments, environment, wish->program < 0 ? 0 : AT_EMPTY_PATH);
	_exit(NO_PROGRAM);
}

/* By itself: of a function that calls vfork(2) the variables are not safe. */
static pid_t start(const run_wish *wish, int words)
{
	pid_t pid = vfork();

	if (pid == 0)
		become_program(wish, words);
	return pid < 0 ? -errno : pid;
}

/* 0, or -ETIMEDOUT after it was killed; *ret_status as waitpid(2) gives it. */
static int wait_for(pid_t pid, int64_t deadline, int *ret_status)
{
	NSB_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = pidfd < 0 ? -errno : nsb_wait_readable(pidfd, deadline);

	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return r;
}

int run_program_start(const run_wish *wish, run_started *ret, nsb_error *error)
{
	*ret = (run_started){ .words = memfd_create("nsbox-words", MFD_CLOEXEC) };
	if (ret->words < 0)
		return nsb_error_set(error, errno, "cannot hold what %s says: %s", wish->path, strerror(errno));
	ret->pid = start(wish, ret->words);
	if (ret->pid >= 0)
		return 0;
	ret->words = nsb_close(ret->words);
	return nsb_error_set(error, ret->pid, "cannot start %s: %s", wish->path, strerror(-ret->pid));
}

int run_program_finish(const run_wish *wish, run_started *started, char said[NSB_WORDS_SAID], nsb_error *error)
{
	NSB_CLOSE int words = nsb_steal_fd(&started->words);
	int status = 0, r = wait_for(started->pid, wish->deadline, &status);
	ssize_t n;

	said[0] = '\0';
	if (r < 0)
		return nsb_error_set(error, r, "%s did not end in time: it was killed", wish->path);
	n = pread(words, said, NSB_WORDS_SAID - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	nsb_make_printable(said);
	if (WIFSIGNALED(status))
		return nsb_error_set(error, EIO, "%s died of signal %d", wish->path, WTERMSIG(status));
	if (WEXITSTATUS(status) == NO_PROGRAM)
		return nsb_error_set(error, ENOENT, "%s does not start: %s%s%s", wish->path, wish->how_to_mend,
				     said[0] != '\0' ? ": " : "", said);
	return WEXITSTATUS(status);
}

int run_program(const run_wish *wish, char said[NSB_WORDS_SAID], nsb_error *error)
{
	run_started started;
	int r = run_program_start(wish, &started, error);

	said[0] = '\0';
	return r == 0 ? run_program_finish(wish, &started, said, error) : r;
}
