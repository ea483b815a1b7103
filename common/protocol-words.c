/* SPDX-License-Identifier: BSD-3-Clause */
/* The short words between application, monitor and the helper of a login that joins. A file of its own, without the large buffers of request and answer:
 * the monitor, of which one lives for every box, needs no more than this. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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
					 .version = NSB_WORDS_VERSION,
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

/* ---- the control socket ---- */

typedef struct control_message {
	nsb_message_head head;
	uint32_t word;
	char session[NSB_ID_LENGTH + 2]; /* to a multiple of 4 */
} control_message;

typedef union control_room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * NSB_CONTROL_FDS)];
} control_room;

/* How many descriptors go with a word; -1: no word. */
static int fds_of(uint32_t word)
{
	switch (word) {
	case NSB_CONTROL_JOIN:
	case NSB_CONTROL_RETIRE:
		return 0;
	case NSB_CONTROL_READY:
		return 1;
	case NSB_CONTROL_MEMBER:
		return 2;
	default:
		return -1;
	}
}

int nsb_control_send(int sock, const nsb_control *control)
{
	control_message text = { .head = { .magic = NSB_MAGIC,
					   .version = NSB_WORDS_VERSION,
					   .type = NSB_MESSAGE_CONTROL,
					   .size = sizeof(text) },
				 .word = control->word };
	struct iovec part = { &text, sizeof(text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int n = fds_of(control->word);
	control_room room;

	memcpy(text.session, control->session, sizeof(control->session));
	if (n > 0) {
		memset(&room, 0, sizeof(room));
		message.msg_control = room.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), control->fds, sizeof(int) * (size_t)n);
	}
	return sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Takes the descriptors out, whatever the message says. How many there were. */
static int take_fds(struct msghdr *message, int fds[NSB_CONTROL_FDS])
{
	struct cmsghdr *head = CMSG_FIRSTHDR(message);
	size_t n;

	if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int); /* not more than there is room for, cmsg(3) */
	memcpy(fds, CMSG_DATA(head), n * sizeof(int));
	return (int)n;
}

int nsb_control_receive(int sock, int64_t deadline, nsb_control *ret)
{
	nsb_control control = { .fds = { -1, -1 } };
	control_message text;
	struct iovec part = { &text, sizeof(text) };
	control_room room;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)
	};
	ssize_t n;
	int n_fds, r = nsb_wait_readable(sock, deadline);

	if (r < 0)
		return r;
	do
		n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	n_fds = take_fds(&message, control.fds);
	if (n == sizeof(text) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && text.head.magic == NSB_MAGIC &&
	    text.head.version == NSB_WORDS_VERSION && text.head.type == NSB_MESSAGE_CONTROL &&
	    text.head.size == sizeof(text) && text.head.reserved == 0 && fds_of(text.word) == n_fds &&
	    strnlen(text.session, sizeof(text.session)) == NSB_ID_LENGTH) {
		control.word = text.word;
		memcpy(control.session, text.session, sizeof(control.session));
		*ret = control;
		return 0;
	}
	for (int i = 0; i < n_fds; i++)
		close(control.fds[i]);
	return n == 0 ? -EPIPE : -EPROTO;
}
