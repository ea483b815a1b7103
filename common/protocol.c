/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol-internal.h"

/* A message being written or read: `bad` is set once and stays, so callers check at the end only. */
typedef struct packet {
	char bytes[NSB_MESSAGE_MAX];
	size_t size; /* writing: used; reading: length of the message */
	size_t at;   /* reading: position */
	bool bad;
} packet;

static void put(packet *p, const void *data, size_t size)
{
	if (p->bad || size > sizeof(p->bytes) - p->size) {
		p->bad = true;
		return;
	}
	memcpy(p->bytes + p->size, data, size);
	p->size += size;
}

static void put_u64(packet *p, uint64_t value)
{
	put(p, &value, sizeof(value));
}

static void put_string(packet *p, const char *text)
{
	size_t length = strlen(text);

	put_u64(p, length);
	put(p, text, length);
}

static void put_list(packet *p, char *const *list, size_t n)
{
	if (n > NSB_LIST_MAX)
		p->bad = true;
	put_u64(p, n);
	for (size_t i = 0; i < n && !p->bad; i++)
		put_string(p, list[i]);
}

static void put_head(packet *p, nsb_message_type type)
{
	nsb_message_head head = { .magic = NSB_MAGIC, .version = NSB_PROTOCOL_VERSION, .type = (uint16_t)type };

	p->size = p->at = 0;
	p->bad = false;
	put(p, &head, sizeof(head));
}

static void get(packet *p, void *data, size_t size)
{
	if (p->bad || size > p->size - p->at) {
		p->bad = true;
		memset(data, 0, size);
		return;
	}
	memcpy(data, p->bytes + p->at, size);
	p->at += size;
}

static uint64_t get_u64(packet *p)
{
	uint64_t value;

	get(p, &value, sizeof(value));
	return value;
}

/* Numbers travel as 64 bits; what must be smaller is looked at. */
static uint32_t get_u32(packet *p, uint32_t max)
{
	uint64_t value = get_u64(p);

	if (value > max)
		p->bad = true;
	return p->bad ? 0 : (uint32_t)value;
}

/* Never NULL unless p->bad. */
static char *get_string(packet *p)
{
	uint64_t length = get_u64(p);
	char *text;

	if (p->bad || length > p->size - p->at || memchr(p->bytes + p->at, '\0', length) != NULL) {
		p->bad = true;
		return NULL;
	}
	text = strndup(p->bytes + p->at, length);
	p->at += length;
	if (text == NULL)
		p->bad = true;
	return text;
}

static char **get_list(packet *p, size_t *ret_n)
{
	uint64_t n = get_u64(p);
	char **list;

	if (p->bad || n > NSB_LIST_MAX) {
		p->bad = true;
		return NULL;
	}
	list = calloc(n + 1, sizeof(*list));
	if (list == NULL)
		p->bad = true;
	for (*ret_n = 0; *ret_n < n && !p->bad; (*ret_n)++)
		list[*ret_n] = get_string(p);
	return list;
}

void nsb_list_free(char **list, size_t n)
{
	for (size_t i = 0; list != NULL && i < n; i++)
		free(list[i]);
	free(list);
}

/* Whether the whole message was taken, no byte more or less. */
static int get_end(const packet *p)
{
	return p->bad || p->at != p->size ? -EPROTO : 0;
}

static int send_packet(int sock, packet *p, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * NSB_ANSWER_FDS_MAX)];
	} control;
	struct iovec part = { p->bytes, p->size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	uint32_t size = (uint32_t)p->size;

	if (p->bad || n_fds > NSB_ANSWER_FDS_MAX)
		return -EMSGSIZE;
	memcpy(p->bytes + offsetof(nsb_message_head, size), &size, sizeof(size));
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, sizeof(int) * n_fds);
	}
	return sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Takes the descriptors out of a received message, all of them, so that none leaks whatever the message says. */
static void take_fds(struct msghdr *message, int fds[NSB_ANSWER_FDS_MAX], size_t *ret_n)
{
	*ret_n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*ret_n < NSB_ANSWER_FDS_MAX)
				fds[(*ret_n)++] = fd;
			else
				nsb_close(fd);
		}
	}
}

static int receive_packet(int sock, int64_t deadline, nsb_message_type type, packet *p, int fds[NSB_ANSWER_FDS_MAX],
			  size_t *ret_n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * NSB_ANSWER_FDS_MAX)];
	} control;
	struct iovec part = { p->bytes, sizeof(p->bytes) };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	nsb_message_head head;
	ssize_t n;
	int r = nsb_wait_readable(sock, deadline);

	*ret_n_fds = 0;
	if (r < 0)
		return r;
	do
		n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(&message, fds, ret_n_fds);
	if (n == 0)
		return -EPIPE;
	p->size = (size_t)n;
	p->at = 0;
	p->bad = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
	get(p, &head, sizeof(head));
	if (p->bad || head.magic != NSB_MAGIC || head.version != NSB_PROTOCOL_VERSION || head.type != type ||
	    head.size != p->size || head.reserved != 0)
		return -EPROTO;
	return 0;
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		nsb_close(fds[i]);
}

int nsb_request_send(int sock, const nsb_request *request)
{
	packet p;

	put_head(&p, NSB_MESSAGE_REQUEST);
	put_u64(&p, request->verb);
	put_u64(&p, request->flags);
	put_string(&p, request->id);
	put_string(&p, request->user);
	put_string(&p, request->service);
	put_string(&p, request->tty);
	put_string(&p, request->rhost);
	put_string(&p, request->krb5ccname);
	put_string(&p, request->profile);
	put_string(&p, request->conf);
	put_list(&p, request->account, request->n_account);
	return send_packet(sock, &p, NULL, 0);
}

int nsb_request_receive(int sock, int64_t deadline, nsb_request *ret)
{
	nsb_request request = { 0 };
	int fds[NSB_ANSWER_FDS_MAX];
	size_t n_fds;
	packet p;
	int r = receive_packet(sock, deadline, NSB_MESSAGE_REQUEST, &p, fds, &n_fds);

	close_fds(fds, n_fds); /* a request carries none */
	if (r < 0)
		return r;
	request.verb = get_u32(&p, UINT32_MAX);
	request.flags = get_u32(&p, UINT32_MAX);
	request.id = get_string(&p);
	request.user = get_string(&p);
	request.service = get_string(&p);
	request.tty = get_string(&p);
	request.rhost = get_string(&p);
	request.krb5ccname = get_string(&p);
	request.profile = get_string(&p);
	request.conf = get_string(&p);
	request.account = get_list(&p, &request.n_account);
	r = get_end(&p);
	if (r == 0 && (n_fds != 0 || (request.verb != NSB_VERB_OPEN && request.verb != NSB_VERB_CHECK)))
		r = -EPROTO;
	if (r < 0)
		nsb_request_done(&request);
	else
		*ret = request;
	return r;
}

void nsb_request_done(nsb_request *request)
{
	free(request->id);
	free(request->user);
	free(request->service);
	free(request->tty);
	free(request->rhost);
	free(request->krb5ccname);
	free(request->profile);
	free(request->conf);
	nsb_list_free(request->account, request->n_account);
	memset(request, 0, sizeof(*request));
}

int nsb_answer_send(int sock, const nsb_answer *answer)
{
	int fds[NSB_ANSWER_FDS_MAX];
	size_t n_fds = 0;
	packet p;

	put_head(&p, NSB_MESSAGE_ANSWER);
	put_u64(&p, answer->result);
	put_u64(&p, answer->namespaces);
	put_u64(&p, answer->root_mount);
	put_u64(&p, answer->uid);
	put_u64(&p, answer->gid);
	put_u64(&p, (uint64_t)answer->error.err);
	put_u64(&p, answer->error.stage);
	put_string(&p, answer->error.words);
	put_string(&p, answer->profile != NULL ? answer->profile : "");
	put_list(&p, answer->environment, answer->n_environment);
	put_list(&p, answer->account, answer->n_account);
	put_list(&p, answer->way_back, answer->n_way_back);
	put_u64(&p, answer->confinement.capabilities);
	put_u64(&p, answer->confinement.flags);
	put_string(&p, answer->confinement.keyring != NULL ? answer->confinement.keyring : "");
	put_u64(&p, answer->init >= 0);
	put_u64(&p, answer->confinement.filter >= 0);
	put_u64(&p, answer->n_cgroups);
	if (answer->init >= 0)
		fds[n_fds++] = answer->init;
	if (answer->confinement.filter >= 0)
		fds[n_fds++] = answer->confinement.filter;
	if (answer->n_cgroups > NSB_ANSWER_FDS_MAX - n_fds)
		return -EMSGSIZE;
	for (size_t i = 0; i < answer->n_cgroups; i++)
		fds[n_fds++] = answer->cgroups[i];
	return send_packet(sock, &p, fds, n_fds);
}

/* The fixed part and the strings; descriptors are dealt out afterwards. */
static void get_answer(packet *p, nsb_answer *answer, uint64_t *ret_has_init, uint64_t *ret_has_filter)
{
	char *words;

	answer->result = get_u32(p, NSB_RESULT_MAX - 1);
	answer->namespaces = get_u64(p);
	answer->root_mount = get_u64(p);
	answer->uid = get_u64(p);
	answer->gid = get_u64(p);
	answer->error.err = (int)get_u32(p, INT32_MAX);
	answer->error.stage = (nsb_stage)get_u32(p, NSB_STAGE_MAX - 1);
	words = get_string(p);
	if (words != NULL && strlen(words) >= sizeof(answer->error.words))
		p->bad = true;
	else if (words != NULL)
		strcpy(answer->error.words, words); /* NOLINT: measured above */
	free(words);
	answer->profile = get_string(p);
	answer->environment = get_list(p, &answer->n_environment);
	answer->account = get_list(p, &answer->n_account);
	answer->way_back = get_list(p, &answer->n_way_back);
	answer->confinement.capabilities = get_u64(p);
	answer->confinement.flags = get_u32(p, NSB_CONFINE_NO_NEW_PRIVS | NSB_CONFINE_NO_CORE);
	answer->confinement.keyring = get_string(p);
	*ret_has_init = get_u64(p);
	*ret_has_filter = get_u64(p);
	answer->n_cgroups = get_u64(p);
}

int nsb_answer_receive(int sock, int64_t deadline, nsb_answer *ret)
{
	nsb_answer answer = NSB_ANSWER_NONE;
	int fds[NSB_ANSWER_FDS_MAX];
	uint64_t has_init = 0, has_filter = 0;
	size_t n_fds;
	packet p;
	int r = receive_packet(sock, deadline, NSB_MESSAGE_ANSWER, &p, fds, &n_fds);

	if (r == 0) {
		get_answer(&p, &answer, &has_init, &has_filter);
		r = get_end(&p);
	}
	if (r == 0 && (answer.result == 0 || has_init > 1 || has_filter > 1 || answer.n_cgroups > NSB_ANSWER_FDS_MAX ||
		       has_init + has_filter + answer.n_cgroups != n_fds))
		r = -EPROTO;
	if (r == 0) {
		answer.cgroups = calloc(answer.n_cgroups + 1, sizeof(int));
		if (answer.cgroups == NULL)
			r = -ENOMEM;
	}
	if (r < 0) {
		close_fds(fds, n_fds);
		answer.n_cgroups = 0;
		nsb_answer_done(&answer);
		return r;
	}
	if (has_init)
		answer.init = fds[0];
	if (has_filter)
		answer.confinement.filter = fds[has_init];
	memcpy(answer.cgroups, fds + has_init + has_filter, answer.n_cgroups * sizeof(int));
	*ret = answer;
	return 0;
}

void nsb_answer_done(nsb_answer *answer)
{
	nsb_close(answer->init);
	nsb_close(answer->confinement.filter);
	if (answer->cgroups != NULL)
		close_fds(answer->cgroups, answer->n_cgroups);
	free(answer->cgroups);
	nsb_list_free(answer->environment, answer->n_environment);
	nsb_list_free(answer->account, answer->n_account);
	nsb_list_free(answer->way_back, answer->n_way_back);
	free(answer->profile);
	free(answer->confinement.keyring);
	*answer = (nsb_answer)NSB_ANSWER_NONE;
}
