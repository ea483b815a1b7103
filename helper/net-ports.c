/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/net-ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd-util.h"

/* Tries it: whoever listens on any address of that family is in the way. 0, -EADDRINUSE; a family that the host does not have
 * has no services. */
static int try_port(int family, int type, uint16_t port)
{
	NSB_CLOSE int fd = socket(family, type | SOCK_CLOEXEC, 0);
	const struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const int yes = 1, reuse = type == SOCK_STREAM;
	int r;

	if (fd < 0)
		return 0;
	/* TCP: connections that have ended do not count, listeners do. To UDP it would mean that nobody is in the way. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) < 0)
		return 0;
	if (family == AF_INET)
		r = bind(fd, (const struct sockaddr *)&four, sizeof(four));
	else if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0)
		r = 0;
	else
		r = bind(fd, (const struct sockaddr *)&six, sizeof(six));
	return r < 0 && errno == EADDRINUSE ? -EADDRINUSE : 0;
}

int net_ports_check(const nsb_network_record *record, nsb_error *error)
{
	for (size_t i = 0; i < record->n_publish; i++) {
		nsb_publish publish;
		int type, r = nsb_publish_parse(record->publish[i], &publish, error);

		if (r < 0)
			return r;
		type = publish.protocol == NSB_PROTOCOL_UDP ? SOCK_DGRAM : SOCK_STREAM;
		if (try_port(AF_INET, type, publish.host) < 0 || try_port(AF_INET6, type, publish.host) < 0)
			return nsb_error_set(
				error, EBUSY,
				"publish: a service of the host has the port %u (%s), which would lead into the "
				"box from now on: choose another one for \"%s\"",
				publish.host, type == SOCK_DGRAM ? "udp" : "tcp", record->publish[i]);
	}
	return 0;
}
