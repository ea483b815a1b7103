/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fd-util.h"

#ifndef NSB_LOG_SOCKET
#define NSB_LOG_SOCKET "/dev/log"
#endif
#define PATIENCE 1 /* second */

/* With the inode: whoever closes all descriptors closes this one too, and its number may be another's then. */
static struct {
	int fd;
	ino_t inode;
	bool stream;
	bool slow; /* it did not read in time: the next lines wait no longer */
} receiver = { .fd = -1 };

static int connect_as(int type)
{
	static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = NSB_LOG_SOCKET };
	static const struct timeval patience = { .tv_sec = PATIENCE };
	NSB_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return nsb_steal_fd(&fd);
}

static void forget(void)
{
	if (receiver.fd >= 0 && nsb_fd_inode(receiver.fd) == receiver.inode)
		close(receiver.fd);
	receiver.fd = -1;
}

/* Some syslogds listen for streams, in which a NUL ends each line; most take datagrams. */
static void reconnect(void)
{
	forget();
	receiver.fd = connect_as(SOCK_DGRAM);
	receiver.stream = receiver.fd == -EPROTOTYPE;
	if (receiver.stream)
		receiver.fd = connect_as(SOCK_STREAM);
	receiver.inode = nsb_fd_inode(receiver.fd);
}

static ssize_t send_line(const char *line, size_t length)
{
	ssize_t n;

	if (receiver.fd < 0 || nsb_fd_inode(receiver.fd) != receiver.inode) {
		errno = ENOTCONN;
		return -1;
	}
	n = send(receiver.fd, line, length + receiver.stream, MSG_NOSIGNAL | (receiver.slow ? MSG_DONTWAIT : 0));
	receiver.slow |= n < 0 && errno == EAGAIN;
	/* half a line in a stream: the next one begins another */
	if (n >= 0 && (size_t)n < length + receiver.stream)
		forget();
	return n;
}

void nsb_log(int priority, const char *format, ...)
{
	char line[NSB_LOG_MAX];
	int saved = errno, head, n;
	va_list args;

	head = snprintf(line, sizeof(line), "<%d>%s[%d]: ", LOG_AUTHPRIV | LOG_PRI(priority),
			program_invocation_short_name, (int)getpid());
	if (head < 0 || (size_t)head >= sizeof(line))
		return;
	errno = saved;
	va_start(args, format);
	n = vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
	va_end(args);
	if (n < 0)
		n = 0;
	n += head;
	if ((size_t)n >= sizeof(line))
		n = (int)sizeof(line) - 1;
	/* a syslogd that was started again has another socket behind the same name */
	if (send_line(line, (size_t)n) < 0 && errno != EAGAIN) {
		reconnect();
		send_line(line, (size_t)n);
	}
	errno = saved;
}
