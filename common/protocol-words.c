/* SPDX-License-Identifier: BSD-3-Clause */
/* The short words between application and monitor. A file of its own, without the large buffers of request and answer:
 * the monitor, of which one lives for every box, needs no more than this. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/protocol-internal.h"
#include "common/protocol.h"

typedef struct word_message {
	nsb_message_head head;
	uint64_t word;
} word_message;

int64_t nsb_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int nsb_wait_readable(int fd, int64_t deadline)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline - nsb_now();
		int n = poll(&wanted, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static word_message make(nsb_signal_word word)
{
	return (word_message){ .head = { .magic = NSB_MAGIC,
					 .version = NSB_PROTOCOL_VERSION,
					 .type = NSB_MESSAGE_WORD,
					 .size = sizeof(word_message) },
			       .word = word };
}

int nsb_say(int sock, nsb_signal_word word)
{
	word_message message = make(word);

	return send(sock, &message, sizeof(message), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int nsb_hear(int sock, int64_t deadline, nsb_signal_word expected)
{
	word_message message, wanted = make(expected);
	struct iovec part = { &message, sizeof(message) };
	/* without room for them, descriptors that come along are dropped by the kernel, which sets MSG_CTRUNC */
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;
	int r = nsb_wait_readable(sock, deadline);

	if (r < 0)
		return r;
	do
		n = recvmsg(sock, &packet, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE;
	if (n != sizeof(message) || (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    memcmp(&message, &wanted, sizeof(message)) != 0)
		return -EPROTO;
	return 0;
}
