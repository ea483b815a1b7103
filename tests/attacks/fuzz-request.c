/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz-request HELPER ROUNDS SEED: runs the helper as root with messages that are none: cut off, too long, changed, random,
 * with descriptors, several at once, none. Prints each round that ends by a signal or not at all, then "rounds N answers M".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/protocol.h"

#define ROOM (256 * 1024)
#define PATIENCE 10000 /* ms */

static char valid[NSB_MESSAGE_MAX], message[ROOM];
static size_t n_valid;
static int answers;

/* A true request, as bytes. */
static void make_valid(void)
{
	nsb_request request = { .verb = NSB_VERB_OPEN, .id = (char *)"abcdefghij", .user = (char *)"alice",
				.service = (char *)"sshd", .tty = (char *)"ssh", .rhost = (char *)"192.0.2.1",
				.krb5ccname = (char *)"FILE:/tmp/krb5cc", .profile = (char *)"", .conf = (char *)"" };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || nsb_request_send(pair[0], &request) < 0)
		exit(2);
	n_valid = (size_t)recv(pair[1], valid, sizeof(valid), 0);
	close(pair[0]);
	close(pair[1]);
}

static size_t change(int kind)
{
	size_t size = n_valid;

	memset(message, 0, sizeof(message));
	memcpy(message, valid, n_valid);
	if (kind == 0) /* cut off */
		size = (size_t)rand() % n_valid;
	else if (kind == 1) /* too long */
		size = n_valid + 1 + (size_t)rand() % (ROOM / 2 - n_valid);
	else if (kind == 2) /* some bytes changed */
		for (int i = 1 + rand() % 4; i > 0; i--)
			message[(size_t)rand() % n_valid] = (char)rand();
	else if (kind == 3) /* noise, with a true head half of the time */
		for (size_t i = rand() % 2 ? 16 : 0; i < (size = 64 + (size_t)rand() % 2000); i++)
			message[i] = (char)rand();
	else if (kind == 4) /* a length at the edges */
		memset(message + 16 + 8 * (rand() % 4), rand() % 2 ? 0xff : 0x7f, 8);
	return size;
}

static void send_message(int socket, size_t size, int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
	} control = { 0 };
	struct iovec part = { message, size };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };

	if (n_fds > 0) {
		head.msg_control = control.bytes;
		head.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
		CMSG_FIRSTHDR(&head)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&head)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&head)->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
		memset(CMSG_DATA(CMSG_FIRSTHDR(&head)), 0, sizeof(int) * (size_t)n_fds); /* descriptor 0 */
	}
	sendmsg(socket, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void round_of(const char *helper, int number)
{
	int pair[2], status, kind = number % 8, size = ROOM;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		exit(2);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	pid = fork();
	if (pid == 0) {
		alarm(0);
		if (pair[1] != 3 && dup2(pair[1], 3) < 0)
			_exit(126);
		fcntl(3, F_SETFD, 0);
		if (pair[0] != 3)
			close(pair[0]);
		execl(helper, "nsbox-helper", (char *)NULL);
		_exit(126);
	}
	close(pair[1]);
	if (kind != 7) /* 7: says nothing and goes */
		for (int i = kind == 6 ? 3 : 1; i > 0; i--)
			send_message(pair[0], change(kind), kind == 5 ? 1 + rand() % 16 : 0);
	if (kind != 7)
		poll(&(struct pollfd){ .fd = pair[0], .events = POLLIN }, 1, PATIENCE);
	answers += recv(pair[0], message, sizeof(message), MSG_DONTWAIT) > 0;
	close(pair[0]);
	for (int i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
		usleep(1000);
		if (i > PATIENCE) {
			printf("round %d (kind %d) does not end\n", number, kind);
			kill(pid, SIGKILL);
		}
	}
	if (WIFSIGNALED(status) || WEXITSTATUS(status) > 2)
		printf("round %d (kind %d) ended with status 0x%x\n", number, kind, status);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 0;

	srand(argc > 3 ? (unsigned)atoi(argv[3]) : 1);
	make_valid();
	for (int i = 0; i < rounds; i++)
		round_of(argv[1], i);
	printf("rounds %d answers %d\n", rounds, answers);
	return 0;
}
