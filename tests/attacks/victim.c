/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * victim NAME [accomplice]: a process whose name is NAME, with everything of that name that others could reach if they were
 * let: an abstract socket, shared memory and queues of both kinds, a semaphore, a key that everybody may read, packets on its
 * loopback. "accomplice": gives its root directory and mount namespace to whoever connects to ACCOMPLICE, and listens as
 * sshd does. Prints "ready PID SERIAL"; at the end of its standard input "signals N connections N" and takes all away.
 */
#include "victim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void count(int number)
{
	(void)number;
	signals++;
}

static int listen_at(const char *path, size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, length);
	if (bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0 ||
	    listen(fd, 8) < 0) {
		perror("victim");
		exit(1);
	}
	return fd;
}

static int listen_abstract(const char *name)
{
	char path[64] = "";

	memcpy(path + 1, name, strlen(name));
	return listen_at(path, 1 + strlen(name));
}

/* Whoever gets there is in the backlog. */
static int listen_to_the_network(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(VICTIM_PORT),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	return fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : listen(fd, 8);
}

static void give_away(int fd)
{
	int gifts[2] = { open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			 open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC) };
	char room[CMSG_SPACE(sizeof(gifts))] = "";
	struct iovec data = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);

	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(gifts));
	memcpy(CMSG_DATA(part), gifts, sizeof(gifts));
	sendmsg(fd, &message, MSG_NOSIGNAL);
	close(gifts[0]);
	close(gifts[1]);
}

/* Readable by everybody who can name it. Where keys are filtered it has none: 0. */
static long make_key(const char *name)
{
	long serial = syscall(SYS_add_key, "user", name, "secret", 6UL, KEY_SPEC_PROCESS_KEYRING);

	if (serial < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, serial, 0x3f3f3f3f) < 0)
		return 0;
	return serial;
}

/* Through the loopback of its network namespace. */
static void say(const char *name)
{
	static int fd = -1;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(9),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };

	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sendto(fd, name, strlen(name), 0, (struct sockaddr *)&address, sizeof(address));
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "victim";
	struct pollfd polls[3] = { { .fd = 0, .events = POLLIN },
				   { .fd = -1, .events = POLLIN },
				   { .fd = -1, .events = POLLIN } };
	char path[128], queue[128], byte;
	unsigned connections = 0;
	int ids[3], fd;

	umask(0);
	signal(SIGUSR1, count);
	prctl(PR_SET_NAME, name);
	snprintf(path, sizeof(path), "/dev/shm/%s", name);
	snprintf(queue, sizeof(queue), "/%s", name);
	polls[1].fd = listen_abstract(name);
	if (argc > 2) {
		unlink(ACCOMPLICE);
		polls[2].fd = listen_at(ACCOMPLICE, sizeof(ACCOMPLICE));
		if (listen_to_the_network() < 0) {
			perror("victim");
			return 1;
		}
	}
	ids[0] = shmget(victim_key(name), 4096, IPC_CREAT | 0666);
	ids[1] = msgget(victim_key(name), IPC_CREAT | 0666);
	ids[2] = semget(victim_key(name), 1, IPC_CREAT | 0666);
	if (open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) < 0 ||
	    mq_open(queue, O_RDWR | O_CREAT | O_CLOEXEC, 0666, NULL) < 0 || ids[0] < 0 || ids[1] < 0 || ids[2] < 0) {
		perror("victim");
		return 1;
	}
	printf("ready %d %ld\n", getpid(), make_key(name));
	fflush(stdout);
	while (true) {
		say(name);
		if (poll(polls, 3, 20) < 0 && errno != EINTR)
			break;
		if (polls[0].revents != 0 && read(0, &byte, 1) <= 0)
			break;
		while ((fd = accept(polls[1].fd, NULL, NULL)) >= 0) {
			connections++;
			close(fd);
		}
		while (polls[2].fd >= 0 && (fd = accept(polls[2].fd, NULL, NULL)) >= 0) {
			give_away(fd);
			close(fd);
		}
	}
	printf("signals %d connections %u\n", (int)signals, connections);
	shmctl(ids[0], IPC_RMID, NULL);
	msgctl(ids[1], IPC_RMID, NULL);
	semctl(ids[2], 0, IPC_RMID);
	unlink(path);
	mq_unlink(queue);
	if (polls[2].fd >= 0)
		unlink(ACCOMPLICE);
	return 0;
}
