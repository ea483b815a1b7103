/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl pamtest: /dev/log of the copy. What a stack has to say about itself it says there, syslog(3). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#define SYSLOG_NAMES /* facilitynames */
#include <syslog.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/pamtest.h"
#include "ctl/tell.h"

#define PLACE	    "/dev/log"
#define MESSAGE_MAX 8192
#define AT_ONCE	    256	      /* messages; more than wait in a socket, net.unix.max_dgram_qlen */
#define MEMORY_MAX  (4 << 20) /* a stack in a loop must not take the machine's memory */

int pamtest_log_open(pamtest_log *log, const char *path, nsb_error *error)
{
	struct stat st;

	log->memory = memfd_create("nsbox-pamtest-log", MFD_CLOEXEC);
	if (log->memory < 0)
		return nsb_error_set(error, errno, "no memory for the log: %s", strerror(errno));
	if (path == NULL)
		return 0;
	log->file = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (log->file < 0 || fstat(log->file, &st) < 0)
		return nsb_error_set(error, errno, "--log: %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return nsb_error_set(error, EPERM, "--log: %s is no plain file of root's: name another one", path);
	return ftruncate(log->file, 0) < 0 ? nsb_error_set(error, errno, "--log: %s: %s", path, strerror(errno)) : 0;
}

int pamtest_log_listen(pamtest_log *log, nsb_error *error)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = PLACE };

	/* what the profile has put in this place (conf/pamtest.conf) */
	while (umount2(PLACE, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	log->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log->socket < 0 || (unlink(PLACE) < 0 && errno != ENOENT) ||
	    bind(log->socket, (const struct sockaddr *)&address, sizeof(address)) < 0 || chmod(PLACE, 0666) < 0)
		return nsb_error_set(error, errno, "cannot listen at " PLACE " of the copy: %s", strerror(errno));
	return 0;
}

/* By number; of the names in <syslog.h> some are old ones for the same. */
static const char *const priorities[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

static const char *facility_name(unsigned priority)
{
	const CODE *code = facilitynames;

	while (code->c_name != NULL && code->c_val != (int)(priority & LOG_FACMASK))
		code++;
	return code->c_name != NULL ? code->c_name : "?";
}

/* "<86>Nov 26 12:00:00 su[7]: text" -> "Nov 26 12:00:00 authpriv.info su[7]: text". NULL without memory; the caller
 * frees. */
static char *as_line(const char *message)
{
	unsigned priority = LOG_USER | LOG_NOTICE;
	NSB_FREE char *text = NULL;
	int length = 0;

	if (sscanf(message, "<%4u>%n", &priority, &length) != 1 || length == 0)
		length = 0;
	text = tell_escape(message + length, false);
	if (text == NULL)
		return NULL;
	/* "Mmm dd hh:mm:ss " of syslog(3), which busybox and others write as well */
	length = strlen(text) > 16 && text[3] == ' ' && text[9] == ':' && text[12] == ':' && text[15] == ' ' ? 16 : 0;
	return nsb_format("%.*s%s.%s %s\n", length, text, facility_name(priority), priorities[LOG_PRI(priority)],
			  text + length);
}

static void keep(pamtest_log *log, const char *line)
{
	size_t length = strlen(line);

	if (log->file >= 0)
		(void)nsb_write_all(log->file, line, length);
	if (log->size < MEMORY_MAX && nsb_write_all(log->memory, line, length) == 0)
		log->size += length;
}

void pamtest_log_take(pamtest_log *log)
{
	char message[MESSAGE_MAX];
	ssize_t n;

	for (int i = 0; i < AT_ONCE && (n = recv(log->socket, message, sizeof(message) - 1, 0)) >= 0; i++) {
		NSB_FREE char *line = NULL;

		/* a line feed at the end is usual, a NUL allowed */
		while (n > 0 && (message[n - 1] == '\n' || message[n - 1] == '\0'))
			n--;
		message[n] = '\0';
		line = as_line(message);
		if (line != NULL)
			keep(log, line);
	}
}

void pamtest_log_print(const pamtest_log *log)
{
	char text[MESSAGE_MAX];
	ssize_t n;

	fprintf(stderr, "nsboxctl: %s\n",
		log->size > 0 ? "written to " PLACE " meanwhile:" : "nothing was written to " PLACE " meanwhile");
	for (off_t at = 0; (n = pread(log->memory, text, sizeof(text), at)) > 0; at += n)
		fwrite(text, 1, (size_t)n, stderr);
	if (log->size >= MEMORY_MAX)
		fprintf(stderr, "nsboxctl: and more, which --log has\n");
}

void pamtest_log_done(pamtest_log *log)
{
	nsb_close(log->socket);
	nsb_close(log->memory);
	nsb_close(log->file);
}
