/* SPDX-License-Identifier: BSD-3-Clause */
/* IPC of the host and of another session, networks, descriptors of an accomplice. */
#include "attempt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <mqueue.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/attacks/victim.h"

static int abstract(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path + 1, name, strlen(name));
	return outcome(connect(fd, (struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))));
}

static int posix_memory(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/dev/shm/%s", name);
	return outcome(open(path, O_RDWR | O_CLOEXEC));
}

static int posix_queue(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/%s", name);
	return outcome(mq_open(path, O_RDWR | O_CLOEXEC));
}

static int sysv(const char *name)
{
	if (shmget(victim_key(name), 1, 0) >= 0 || msgget(victim_key(name), 0) >= 0 ||
	    semget(victim_key(name), 1, 0) >= 0)
		return 0;
	return errno;
}

/* Does a packet with its name go by? */
static int sniff(const char *name)
{
	struct timeval end = { 0, 400000 };
	char packet[2048];
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &end, sizeof(end));
	for (int i = 0; i < 500; i++) {
		ssize_t n = recv(fd, packet, sizeof(packet), 0);

		if (n < 0)
			return errno;
		if (memmem(packet, (size_t)n, name, strlen(name)) != NULL)
			return 0;
	}
	return ENOENT;
}

#define ON(who, name)                                                                                                  \
	static int abstract_##who(void)                                                                                \
	{                                                                                                              \
		return abstract(name);                                                                                 \
	}                                                                                                              \
	static int shm_##who(void)                                                                                     \
	{                                                                                                              \
		return posix_memory(name);                                                                             \
	}                                                                                                              \
	static int queue_##who(void)                                                                                   \
	{                                                                                                              \
		return posix_queue(name);                                                                              \
	}                                                                                                              \
	static int sysv_##who(void)                                                                                    \
	{                                                                                                              \
		return sysv(name);                                                                                     \
	}                                                                                                              \
	static int sniff_##who(void)                                                                                   \
	{                                                                                                              \
		return sniff(name);                                                                                    \
	}
ON(host, HOST_VICTIM)
ON(other, OTHER_VICTIM)

/* -- networks -- */

/* A request that takes CAP_NET_ADMIN: a link that is not there is changed. */
static int change_link(void)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg link;
	} request = { .head = { .nlmsg_len = sizeof(request),
				.nlmsg_type = RTM_DELLINK,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		      .link = { .ifi_index = 0x7ffffff0 } };
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[512];
	} answer = { 0 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		return errno;
	return -answer.error.error;
}

static int family(int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		close(fd);
	return outcome(fd);
}

static int firewall(void)
{
	return family(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

static int vsock(void)
{
	return family(AF_VSOCK, SOCK_STREAM, 0);
}

static int alg(void)
{
	return family(AF_ALG, SOCK_SEQPACKET, 0);
}

/* The first of the exotic ones that there is; EAFNOSUPPORT from all. */
static int exotic(void)
{
	static const int families[] = { AF_X25,	   AF_AX25,	  AF_APPLETALK, AF_NETROM, AF_ROSE, AF_KEY,
					AF_RDS,	   AF_LLC,	  AF_IB,	AF_CAN,	   AF_TIPC, AF_BLUETOOTH,
					AF_PHONET, AF_IEEE802154, AF_CAIF,	AF_NFC,	   AF_KCM,  AF_QIPCRTR,
					AF_SMC,	   AF_XDP,	  AF_MCTP };
	int error = EAFNOSUPPORT;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
			int now = family(families[i], type, 0);

			/* "not of this type" comes from a family that is there */
			if (now == 0 || now == ESOCKTNOSUPPORT) {
				note("family %d", families[i]);
				return 0;
			}
			if (now != EAFNOSUPPORT)
				error = now;
		}
	return error;
}

/* -- what an accomplice outside gives away: tests/attacks/victim.c listens at this name -- */

static int received[2] = { -1, -1 };

static int receive(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = ACCOMPLICE };
	char byte, room[CMSG_SPACE(sizeof(received))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || recvmsg(fd, &message, 0) != 1)
		return errno;
	if (CMSG_FIRSTHDR(&message) == NULL)
		return EBADMSG;
	memcpy(received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(received));
	return 0;
}

static int given_directory(void)
{
	int error = receive();

	return error != 0 ? error : outcome(faccessat(received[0], marker + 1, F_OK, 0));
}

static int given_namespace(void)
{
	int error = receive();

	if (error != 0)
		return error;
	if (setns(received[1], CLONE_NEWNS) < 0)
		return errno;
	return outcome(access(marker, F_OK));
}

/* -- who acts outside for the user -- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return outcome(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

#define DEPUTY(name, path)                                                                                             \
	static int name##_socket(void)                                                                                 \
	{                                                                                                              \
		return connect_to(path);                                                                               \
	}
DEPUTY(system_bus, "/run/dbus/system_bus_socket")
DEPUTY(user_bus, "/run/user/2001/bus")
DEPUTY(user_manager, "/run/user/2001/systemd/private")
DEPUTY(system_manager, "/run/systemd/private")
DEPUTY(docker, "/run/docker.sock")
DEPUTY(tmux, "/tmp/tmux-2001/default")
DEPUTY(screen, "/run/screen/S-alice/1.host")
DEPUTY(emacs, "/run/user/2001/emacs/server")
DEPUTY(gpg, "/run/user/2001/gnupg/S.gpg-agent")
DEPUTY(ssh_agent, "/tmp/ssh-nsbox/agent.1")
DEPUTY(x_server, "/tmp/.X11-unix/X77")
DEPUTY(control_master, "/home/alice/.ssh/control-nsbox")

static int ssh_localhost(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(VICTIM_PORT),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return outcome(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

#define ROWS(who)                                                                                                      \
	{ "abstract-" #who, abstract_##who }, { "shm-" #who, shm_##who }, { "queue-" #who, queue_##who },              \
		{ "sysv-" #who, sysv_##who }, { "sniff-" #who, sniff_##who },

const attempt socket_attempts[] = {
	ROWS(host) ROWS(other){ "change-link", change_link },
	{ "netfilter", firewall },
	{ "vsock", vsock },
	{ "alg", alg },
	{ "exotic-families", exotic },
	{ "given-directory", given_directory },
	{ "given-namespace", given_namespace },
	{ "system-bus", system_bus_socket },
	{ "user-bus", user_bus_socket },
	{ "user-manager", user_manager_socket },
	{ "system-manager", system_manager_socket },
	{ "docker", docker_socket },
	{ "tmux-server", tmux_socket },
	{ "screen-server", screen_socket },
	{ "emacs-server", emacs_socket },
	{ "gpg-agent", gpg_socket },
	{ "ssh-agent", ssh_agent_socket },
	{ "x-server", x_server_socket },
	{ "control-master", control_master_socket },
	{ "ssh-localhost", ssh_localhost },
	{ NULL, NULL },
};
