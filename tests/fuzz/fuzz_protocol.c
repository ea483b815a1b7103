/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target of the messages between module and helper. The first byte says who reads (0 request, 1 answer, 2 word) and,
 * above that, how many descriptors come along; the rest is the packet. With the highest bit set the head is made right,
 * so that the fuzzer need not learn it. What is taken must come out the same when it is sent again, and every descriptor
 * must be closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/protocol.h"

#define FDS_MAX 15 /* more than any message may have */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sockets[2] = { -1, -1 };

static void must(int holds)
{
	if (!holds)
		abort();
}

static void send_packet(const void *bytes, size_t size, size_t n_fds)
{
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX)] __attribute__((aligned(8))) = { 0 };
	struct iovec part = { (void *)bytes, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[FDS_MAX] = { 0 };

	if (n_fds > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, sizeof(int) * n_fds);
	}
	must(sendmsg(sockets[0], &message, MSG_NOSIGNAL) == (ssize_t)size);
}

static void must_say_again(const void *bytes, size_t size)
{
	char again[NSB_MESSAGE_MAX];

	must(recv(sockets[1], again, sizeof(again), MSG_DONTWAIT) == (ssize_t)size);
	must(memcmp(again, bytes, size) == 0);
}

static int read_request(const void *bytes, size_t size)
{
	nsb_request request;
	int r = nsb_request_receive(sockets[1], nsb_now() + 1000, &request);

	if (r == 0) {
		must(nsb_request_send(sockets[0], &request) == 0);
		must_say_again(bytes, size);
		nsb_request_done(&request);
	}
	return r;
}

static int read_answer(const void *bytes, size_t size)
{
	nsb_answer answer;
	int r = nsb_answer_receive(sockets[1], nsb_now() + 1000, &answer);

	if (r == 0) {
		must(memchr(answer.error.words, '\0', sizeof(answer.error.words)) != NULL);
		must(nsb_answer_send(sockets[0], &answer) == 0);
		must_say_again(bytes, size);
		nsb_answer_done(&answer);
	}
	return r;
}

static int read_word(const void *bytes, size_t size)
{
	int r = nsb_hear(sockets[1], nsb_now() + 1000, NSB_SAY_LEAVE);

	if (r == 0) {
		must(nsb_say(sockets[0], NSB_SAY_LEAVE) == 0);
		must_say_again(bytes, size);
	}
	return r;
}

static void mend_head(uint8_t *bytes, size_t size, uint16_t type)
{
	const uint32_t magic = 0x6e736278, told = (uint32_t)size, reserved = 0;
	const uint16_t version = type == 3 ? NSB_WORDS_VERSION : NSB_PROTOCOL_VERSION;

	if (size < 16)
		return;
	memcpy(bytes, &magic, 4);
	memcpy(bytes + 4, &version, 2);
	memcpy(bytes + 6, &type, 2);
	memcpy(bytes + 8, &told, 4);
	memcpy(bytes + 12, &reserved, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const readers[])(const void *, size_t) = { read_request, read_answer, read_word };
	uint8_t *bytes;
	size_t reader, n_fds;
	int probe, r;

	if (sockets[0] < 0)
		must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	if (size < 2 || size > NSB_MESSAGE_MAX + 64)
		return 0;
	reader = (data[0] & 3) % 3;
	n_fds = (data[0] >> 2) & FDS_MAX;
	bytes = malloc(size - 1);
	memcpy(bytes, data + 1, size - 1);
	if (data[0] & 0x80)
		mend_head(bytes, size - 1, (uint16_t)(reader + 1));
	probe = dup(sockets[0]);
	close(probe);
	send_packet(bytes, size - 1, n_fds);
	r = readers[reader](bytes, size - 1);
	must(r == 0 || r == -EPROTO);
	r = dup(sockets[0]);
	close(r);
	must(r == probe); /* no descriptor stayed */
	free(bytes);
	return 0;
}
