/* SPDX-License-Identifier: BSD-3-Clause */
/* What the module keeps in the application as long as that is in a box: descriptors, that others may close or inherit. */
#include "pam_nsbox/membership.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"

/* All memberships of this process, for the fork handler. The module's only state outside of a PAM handle. */
static nsb_membership *memberships;

/* Remembers what `fd` is. */
int membership_hold(nsb_held *held, int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	*held = (nsb_held){ .fd = fd, .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}

/* Puts a membership where after_fork() finds it. */
void membership_enlist(nsb_membership *m)
{
	m->next = memberships;
	memberships = m;
}

bool membership_holds(const nsb_held *held)
{
	struct stat st;

	return held->fd >= 0 && fstat(held->fd, &st) == 0 && st.st_dev == held->dev && st.st_ino == held->ino;
}

/* Closes it if it still is ours. */
static void release(nsb_held *held)
{
	if (membership_holds(held))
		nsb_close(held->fd);
	held->fd = -1;
}

static void close_all(nsb_membership *m)
{
	for (size_t i = 0; i < NSB_JOIN_NAMESPACES; i++)
		release(&m->own[i].held);
	release(&m->socket);
	release(&m->init);
}

/* In a child: sshd's user child runs on as the user, without exec, and must not hold the way to the host. */
static void after_fork(void)
{
	for (nsb_membership *m = memberships; m != NULL; m = m->next)
		close_all(m);
}

int membership_watch_forks(void)
{
	static bool watching;

	/* taken back by the C library when the module is unloaded, pthread_atfork(3) */
	if (!watching && pthread_atfork(NULL, NULL, after_fork) != 0)
		return -ENOMEM;
	watching = true;
	return 0;
}

void join_forget(nsb_membership *membership)
{
	for (nsb_membership **at = &memberships; *at != NULL; at = &(*at)->next)
		if (*at == membership) {
			*at = membership->next;
			break;
		}
	close_all(membership);
	for (size_t i = 0; i < membership->n_way_back; i++)
		free(membership->way_back[i]);
	free(membership->way_back);
	free(membership);
}

nsb_membership *membership_new(void)
{
	nsb_membership *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	for (size_t i = 0; i < NSB_JOIN_NAMESPACES; i++)
		m->own[i].held.fd = -1;
	m->socket.fd = m->init.fd = -1;
	m->owner = getpid();
	return m;
}

void membership_see_end(int socket, nsb_error *error)
{
	char byte;
	ssize_t n = recv(socket, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);

	/* ECONNRESET: our JOINED lies there unread */
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		snprintf(error->words, sizeof(error->words),
			 "the box is gone (see the lines of nsbox-helper in syslog)");
}
