/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of the builder: everything but CAP_KILL is given up, and the process becomes nsbox-init. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "helper/capabilities.h"
#include "helper/init-fds.h"
#include "helper/steps.h"

/* Puts `fd` to the number `to` without CLOEXEC. */
static int place(int fd, int to)
{
	return dup2(fd, to) < 0 || (fd == to && fcntl(fd, F_SETFD, 0) < 0) ? -errno : 0;
}

int init_exec(nsb_box *box, const nsb_step *step)
{
	static char *const arguments[] = { (char *)"nsbox-init", NULL };
	static char *const environment[] = { NULL };
	int null, life, status, program, r;

	(void)step;
	r = capabilities_keep_kill(&box->error);
	if (r < 0)
		return r;
	/* 0 to 2 so far are the host's /dev/null */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* above the numbers that are about to be used, so that no dup2 closes one of them */
	life = fcntl(box->life[0], F_DUPFD_CLOEXEC, 16);
	status = fcntl(box->status[1], F_DUPFD_CLOEXEC, 16);
	program = fcntl(box->init_program, F_DUPFD_CLOEXEC, 16);
	if (null < 0 || life < 0 || status < 0 || program < 0)
		return nsb_error_set(&box->error, errno, "cannot arrange nsbox-init's descriptors: %s",
				     strerror(errno));
	for (int fd = 0; fd <= 2 && r == 0; fd++)
		r = place(null, fd);
	if (r == 0)
		r = place(life, NSB_INIT_FD_LIFE);
	if (r == 0)
		r = place(status, NSB_INIT_FD_STATUS);
	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot arrange nsbox-init's descriptors: %s", strerror(-r));
	/* Everything else is CLOEXEC by how it was opened; this makes sure. `status` stays open for the words of a
	 * failed exec, which closes it as well when it succeeds. */
	if (syscall(SYS_close_range, NSB_INIT_FD_STATUS + 1, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		return nsb_error_set(&box->error, errno, "cannot close descriptors: %s", strerror(errno));
	syscall(SYS_execveat, program, "", arguments, environment, AT_EMPTY_PATH);
	return nsb_error_set(&box->error, errno, "cannot start nsbox-init in the box: %s%s", strerror(errno),
			     errno == ENOENT ? " (a dynamic nsbox-init needs the loader in the root: configure "
					       "--with-static=musl or glibc)"
					     : "");
}
