/* SPDX-License-Identifier: BSD-3-Clause */
/* What module and helper say to each other: everything that is not exactly a message is refused, and no descriptor that
 * came with it stays open. Linked with --wrap=strndup beside what alloc-fail.h needs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "tests/unit/alloc-fail.h"

#define HEAD 16 /* bytes before the content */

char *__real_strndup(const char *text, size_t size);
char *__wrap_strndup(const char *text, size_t size);

char *__wrap_strndup(const char *text, size_t size)
{
	return alloc_fails() ? NULL : __real_strndup(text, size);
}

static char *account[] = { (char *)"DOM\\al ice", (char *)"2001", (char *)"" };
static const nsb_request full_request = {
	.verb = NSB_VERB_OPEN,
	.flags = NSB_REQUEST_DEBUG,
	.id = (char *)"k3j5h7g9fx",
	.user = (char *)"DOM\\al ice",
	.service = (char *)"sshd",
	.tty = (char *)"/dev/pts/3",
	.rhost = (char *)"2001:db8::1",
	.krb5ccname = (char *)"FILE:/tmp/krb5cc_2001",
	.profile = (char *)"students",
	.conf = (char *)"/etc/other.conf",
	.account = account,
	.n_account = sizeof(account) / sizeof(account[0]),
};

static char *environment[] = { (char *)"NSBOX_ID=k3j5h7g9fx", (char *)"DBUS_SESSION_BUS_ADDRESS" };
static char *way_back[] = { (char *)"/sys/fs/cgroup/pids/user/tasks" };

static int sockets[2];
static int descriptors_before;

/* The one that opendir(3) uses counts in every call. */
static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static int open_sockets(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets);
}

static int close_sockets(void **state)
{
	(void)state;
	nsb_close(sockets[0]);
	nsb_close(sockets[1]);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static int64_t soon(void)
{
	return nsb_now() + 2000;
}

static nsb_answer full_answer(int *cgroups)
{
	nsb_answer answer = {
		.result = NSB_RESULT_OK,
		.namespaces = 0x2c020000,
		.root_mount = 4711,
		.uid = 2001,
		.gid = 3001,
		.error = { .err = EPERM, .stage = NSB_STAGE_CHECK, .words = "root \"/srv\": can be changed by others" },
		.profile = (char *)"students",
		.environment = environment,
		.n_environment = 2,
		.account = account,
		.n_account = 3,
		.way_back = way_back,
		.n_way_back = 1,
		.confinement = { .capabilities = 1ULL << 40 | 1,
				 .flags = NSB_CONFINE_NO_NEW_PRIVS,
				 .keyring = (char *)"nsbox:k3j5h7g9fx",
				 .filter = open("/dev/full", O_RDONLY | O_CLOEXEC) },
		.init = open("/dev/null", O_RDONLY | O_CLOEXEC),
		.cgroups = cgroups,
		.n_cgroups = 1,
	};

	cgroups[0] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_true(answer.init >= 0 && answer.confinement.filter >= 0 && cgroups[0] >= 0);
	return answer;
}

static void send_full_answer(void)
{
	int cgroups[1];
	nsb_answer answer = full_answer(cgroups);

	assert_int_equal(nsb_answer_send(sockets[0], &answer), 0);
	close(answer.init);
	close(answer.confinement.filter);
	close(cgroups[0]);
}

/* The packet that is waiting; its descriptors are closed. */
static size_t take_bytes(char *buffer)
{
	ssize_t n = recv(sockets[1], buffer, NSB_MESSAGE_MAX, 0); /* without msg_control descriptors are dropped */

	assert_true(n > 0);
	return (size_t)n;
}

static void send_bytes(const char *bytes, size_t size, const int *fds, size_t n_fds)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] __attribute__((aligned(8))) = { 0 };
	struct iovec part = { (void *)bytes, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (n_fds > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, sizeof(int) * n_fds);
	}
	assert_int_equal(sendmsg(sockets[0], &message, MSG_NOSIGNAL), size);
}

static size_t request_bytes(char *buffer)
{
	assert_int_equal(nsb_request_send(sockets[0], &full_request), 0);
	return take_bytes(buffer);
}

static size_t answer_bytes(char *buffer)
{
	send_full_answer();
	return take_bytes(buffer);
}

static size_t word_bytes(char *buffer)
{
	assert_int_equal(nsb_say(sockets[0], NSB_SAY_JOINED), 0);
	return take_bytes(buffer);
}

static int receive_request(void)
{
	nsb_request request;
	int r = nsb_request_receive(sockets[1], soon(), &request);

	if (r == 0)
		nsb_request_done(&request);
	return r;
}

static int receive_answer(void)
{
	nsb_answer answer;
	int r = nsb_answer_receive(sockets[1], soon(), &answer);

	if (r == 0)
		nsb_answer_done(&answer);
	return r;
}

static int receive_word(void)
{
	return nsb_hear(sockets[1], soon(), NSB_SAY_JOINED);
}

static const struct {
	size_t (*bytes)(char *buffer);
	int (*receive)(void);
	size_t n_fds; /* that the message says it has */
} kinds[] = {
	{ request_bytes, receive_request, 0 },
	{ answer_bytes, receive_answer, 3 },
	{ word_bytes, receive_word, 0 },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void send_with_fds(const char *bytes, size_t size, size_t n)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[64];

	for (size_t i = 0; i < n; i++)
		fds[i] = null;
	send_bytes(bytes, size, fds, n);
	close(null);
}

static void assert_same_request(const nsb_request *a, const nsb_request *b)
{
	assert_int_equal(a->verb, b->verb);
	assert_int_equal(a->flags, b->flags);
	assert_string_equal(a->id, b->id);
	assert_string_equal(a->user, b->user);
	assert_string_equal(a->service, b->service);
	assert_string_equal(a->tty, b->tty);
	assert_string_equal(a->rhost, b->rhost);
	assert_string_equal(a->krb5ccname, b->krb5ccname);
	assert_string_equal(a->profile, b->profile);
	assert_string_equal(a->conf, b->conf);
	assert_int_equal(a->n_account, b->n_account);
	for (size_t i = 0; i < a->n_account; i++)
		assert_string_equal(a->account[i], b->account[i]);
}

static void request_round_trip(void **state)
{
	nsb_request empty = { .verb = NSB_VERB_CHECK,
			      .id = (char *)"",
			      .user = (char *)"",
			      .service = (char *)"",
			      .tty = (char *)"",
			      .rhost = (char *)"",
			      .krb5ccname = (char *)"",
			      .profile = (char *)"",
			      .conf = (char *)"" };
	const nsb_request *const sent[] = { &full_request, &empty };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		nsb_request got;

		assert_int_equal(nsb_request_send(sockets[0], sent[i]), 0);
		assert_int_equal(nsb_request_receive(sockets[1], soon(), &got), 0);
		assert_same_request(sent[i], &got);
		nsb_request_done(&got);
		assert_null(got.user);
	}
}

static void assert_same_file(int fd, const char *path)
{
	char link[64], target[64] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(readlink(link, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, path);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void answer_round_trip(void **state)
{
	nsb_answer got;

	(void)state;
	send_full_answer();
	assert_int_equal(nsb_answer_receive(sockets[1], soon(), &got), 0);
	assert_int_equal(got.result, NSB_RESULT_OK);
	assert_true(got.namespaces == 0x2c020000 && got.root_mount == 4711 && got.uid == 2001 && got.gid == 3001);
	assert_int_equal(got.error.err, EPERM);
	assert_int_equal(got.error.stage, NSB_STAGE_CHECK);
	assert_string_equal(got.error.words, "root \"/srv\": can be changed by others");
	assert_string_equal(got.profile, "students");
	assert_int_equal(got.n_environment, 2);
	assert_string_equal(got.environment[0], environment[0]);
	assert_string_equal(got.environment[1], environment[1]);
	assert_int_equal(got.n_account, 3);
	assert_string_equal(got.account[0], account[0]);
	assert_string_equal(got.account[2], "");
	assert_int_equal(got.n_way_back, 1);
	assert_string_equal(got.way_back[0], way_back[0]);
	assert_int_equal(got.n_cgroups, 1);
	assert_same_file(got.init, "/dev/null");
	assert_true(got.confinement.capabilities == (1ULL << 40 | 1));
	assert_int_equal(got.confinement.flags, NSB_CONFINE_NO_NEW_PRIVS);
	assert_string_equal(got.confinement.keyring, "nsbox:k3j5h7g9fx");
	assert_same_file(got.confinement.filter, "/dev/full");
	assert_same_file(got.cgroups[0], "/dev/zero");
	nsb_answer_done(&got);
	assert_int_equal(got.init, -1);
}

/* A refusal: no descriptor, no list, no profile. */
static void short_answer(void **state)
{
	nsb_answer sent = { .result = NSB_RESULT_IGNORE, .init = -1, .confinement.filter = -1 }, got;

	(void)state;
	assert_int_equal(nsb_answer_send(sockets[0], &sent), 0);
	assert_int_equal(nsb_answer_receive(sockets[1], soon(), &got), 0);
	assert_int_equal(got.result, NSB_RESULT_IGNORE);
	assert_string_equal(got.profile, "");
	assert_int_equal(got.init, -1);
	assert_int_equal(got.confinement.filter, -1);
	assert_int_equal(got.n_cgroups, 0);
	assert_int_equal(got.n_environment, 0);
	nsb_answer_done(&got);
}

static void words(void **state)
{
	(void)state;
	for (int said = NSB_SAY_JOINED; said <= NSB_SAY_LEAVE; said++)
		for (int expected = NSB_SAY_JOINED; expected <= NSB_SAY_LEAVE; expected++) {
			assert_int_equal(nsb_say(sockets[0], (nsb_signal_word)said), 0);
			assert_int_equal(nsb_hear(sockets[1], soon(), (nsb_signal_word)expected),
					 said == expected ? 0 : -EPROTO);
		}
}

static void truncated(void **state)
{
	char bytes[NSB_MESSAGE_MAX];

	(void)state;
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		size_t size = kinds[kind].bytes(bytes);

		for (size_t length = 1; length < size; length++) {
			uint32_t told = (uint32_t)length;

			send_with_fds(bytes, length, kinds[kind].n_fds);
			assert_int_equal(kinds[kind].receive(), -EPROTO);
			/* the head knows of the cut: what is counted inside does not */
			if (length >= HEAD) {
				char cut[NSB_MESSAGE_MAX];

				memcpy(cut, bytes, length);
				memcpy(cut + 8, &told, sizeof(told));
				send_with_fds(cut, length, kinds[kind].n_fds);
				assert_int_equal(kinds[kind].receive(), -EPROTO);
			}
		}
		send_with_fds(bytes, size, kinds[kind].n_fds);
		assert_int_equal(kinds[kind].receive(), 0);
	}
}

/* One byte more, with and without a head that tells it. */
static void longer(void **state)
{
	char bytes[NSB_MESSAGE_MAX + 1];

	(void)state;
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		size_t size = kinds[kind].bytes(bytes);
		uint32_t told = (uint32_t)size + 1;

		bytes[size] = 0;
		send_with_fds(bytes, size + 1, kinds[kind].n_fds);
		assert_int_equal(kinds[kind].receive(), -EPROTO);
		memcpy(bytes + 8, &told, sizeof(told));
		send_with_fds(bytes, size + 1, kinds[kind].n_fds);
		assert_int_equal(kinds[kind].receive(), -EPROTO);
	}
}

/* A flipped byte in the content of a string is another string; everywhere else it is refused; nowhere does it hurt. */
static void flipped(void **state)
{
	char bytes[NSB_MESSAGE_MAX];

	(void)state;
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		size_t size = kinds[kind].bytes(bytes), accepted = 0;

		for (size_t at = 0; at < size; at++)
			for (int bit = 0; bit < 8; bit++) {
				int r;

				bytes[at] ^= (char)(1 << bit);
				send_with_fds(bytes, size, kinds[kind].n_fds);
				r = kinds[kind].receive();
				bytes[at] ^= (char)(1 << bit);
				if (at < HEAD)
					assert_int_equal(r, -EPROTO);
				assert_true(r == 0 || r == -EPROTO);
				accepted += r == 0;
			}
		assert_true(accepted < size * 8);
		if (kinds[kind].receive == receive_word)
			assert_int_equal(accepted, 0);
	}
}

static void put_head(char *bytes, uint16_t version, uint16_t type, uint32_t size, uint32_t reserved)
{
	static const uint32_t magic = 0x6e736278;

	memcpy(bytes, &magic, 4);
	memcpy(bytes + 4, &version, 2);
	memcpy(bytes + 6, &type, 2);
	memcpy(bytes + 8, &size, 4);
	memcpy(bytes + 12, &reserved, 4);
}

static void heads(void **state)
{
	static const struct {
		uint16_t version, type;
		int more;
		uint32_t reserved;
		int r;
	} rows[] = {
		{ NSB_WORDS_VERSION, 3, 0, 0, 0 },
		{ NSB_WORDS_VERSION + 1, 3, 0, 0, -EPROTO },
		{ 0, 3, 0, 0, -EPROTO },
		{ NSB_WORDS_VERSION, 1, 0, 0, -EPROTO },
		{ NSB_WORDS_VERSION, 2, 0, 0, -EPROTO },
		{ NSB_WORDS_VERSION, 4, 0, 0, -EPROTO },
		{ NSB_WORDS_VERSION, 3, 1, 0, -EPROTO },
		{ NSB_WORDS_VERSION, 3, -1, 0, -EPROTO },
		{ NSB_WORDS_VERSION, 3, 0, 1, -EPROTO },
	};
	char bytes[HEAD + 8];
	uint64_t word = NSB_SAY_JOINED;

	(void)state;
	memcpy(bytes + HEAD, &word, sizeof(word));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_head(bytes, rows[i].version, rows[i].type, (uint32_t)(HEAD + 8 + rows[i].more), rows[i].reserved);
		send_bytes(bytes, sizeof(bytes), NULL, 0);
		assert_int_equal(receive_word(), rows[i].r);
	}
}

/* Messages of another kind are refused, each by each. */
static void kinds_mixed(void **state)
{
	char bytes[NSB_MESSAGE_MAX];

	(void)state;
	for (size_t sent = 0; sent < N_KINDS; sent++)
		for (size_t expected = 0; expected < N_KINDS; expected++) {
			size_t size = kinds[sent].bytes(bytes);

			send_with_fds(bytes, size, kinds[sent].n_fds);
			assert_int_equal(kinds[expected].receive(), sent == expected ? 0 : -EPROTO);
		}
}

static void nul_in_string(void **state)
{
	char bytes[NSB_MESSAGE_MAX];
	size_t size = request_bytes(bytes);
	char *name = memmem(bytes, size, "DOM", 3);

	(void)state;
	assert_non_null(name);
	name[1] = '\0';
	send_bytes(bytes, size, NULL, 0);
	assert_int_equal(receive_request(), -EPROTO);
}

/* Lengths near the top of the type must not wrap around. */
static void huge_lengths(void **state)
{
	static const uint64_t lengths[] = { UINT64_MAX, UINT64_MAX - 7, INT64_MAX, UINT32_MAX, NSB_MESSAGE_MAX, 11 };
	char bytes[NSB_MESSAGE_MAX];
	size_t size = request_bytes(bytes);

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memcpy(bytes + HEAD + 16, &lengths[i], 8); /* of the id, behind verb and flags */
		send_bytes(bytes, size, NULL, 0);
		assert_int_equal(receive_request(), -EPROTO);
	}
}

static void unknown_verbs(void **state)
{
	nsb_request request = full_request;

	(void)state;
	for (uint32_t verb = 0; verb < 5; verb++) {
		request.verb = verb;
		assert_int_equal(nsb_request_send(sockets[0], &request), 0);
		assert_int_equal(receive_request(), verb == 1 || verb == 2 ? 0 : -EPROTO);
	}
}

/* Numbers are 64 bits wide on the wire, some of them narrower in memory: the upper half counts as well. */
static void wide_numbers(void **state)
{
	static const struct {
		size_t kind, at;
	} numbers[] = { { 0, 0 /* verb */ },
			{ 0, 8 /* flags */ },
			{ 1, 0 /* result */ },
			{ 1, 40 /* errno */ },
			{ 1, 48 /* stage */ } };
	char bytes[NSB_MESSAGE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		size_t size = kinds[numbers[i].kind].bytes(bytes);

		bytes[HEAD + numbers[i].at + 4] = 1;
		send_with_fds(bytes, size, kinds[numbers[i].kind].n_fds);
		assert_int_equal(kinds[numbers[i].kind].receive(), -EPROTO);
	}
}

static void unknown_results(void **state)
{
	nsb_answer answer = NSB_ANSWER_NONE;

	(void)state;
	for (uint32_t result = 0; result <= NSB_RESULT_MAX + 1; result++) {
		answer.result = result;
		assert_int_equal(nsb_answer_send(sockets[0], &answer), 0);
		assert_int_equal(receive_answer(), result >= 1 && result < NSB_RESULT_MAX ? 0 : -EPROTO);
	}
}

/* Too few, too many, far too many: refused, and none stays open (close_sockets() counts). */
static void wrong_descriptors(void **state)
{
	static const size_t numbers[] = { 0, 1, 2, 4, 5, 6, 30, 64 };
	char bytes[NSB_MESSAGE_MAX];

	(void)state;
	for (size_t kind = 0; kind < N_KINDS; kind++)
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			size_t size = kinds[kind].bytes(bytes);

			if (numbers[i] == kinds[kind].n_fds)
				continue;
			send_with_fds(bytes, size, numbers[i]);
			assert_int_equal(kinds[kind].receive(), -EPROTO);
			send_with_fds("x", 1, numbers[i]);
			assert_int_equal(kinds[kind].receive(), -EPROTO);
		}
}

/* As many as there may be, and one more that the reader has no room for. */
static void descriptors_cut_off(void **state)
{
	int cgroups[NSB_ANSWER_FDS_MAX - 2];
	nsb_answer answer = full_answer(cgroups);
	char bytes[NSB_MESSAGE_MAX];
	size_t size;

	(void)state;
	for (size_t i = 1; i < NSB_ANSWER_FDS_MAX - 2; i++)
		cgroups[i] = cgroups[0];
	answer.n_cgroups = NSB_ANSWER_FDS_MAX - 2;
	assert_int_equal(nsb_answer_send(sockets[0], &answer), 0);
	close(answer.init);
	close(answer.confinement.filter);
	close(cgroups[0]);
	size = take_bytes(bytes);
	send_with_fds(bytes, size, NSB_ANSWER_FDS_MAX);
	assert_int_equal(receive_answer(), 0);
	send_with_fds(bytes, size, NSB_ANSWER_FDS_MAX + 1);
	assert_int_equal(receive_answer(), -EPROTO);
}

static void oversize(void **state)
{
	char *text = malloc(NSB_MESSAGE_MAX + 2), *list[NSB_LIST_MAX + 1];
	nsb_request request = full_request;
	nsb_answer answer = { .result = NSB_RESULT_FAILED, .init = -1, .environment = list, .confinement.filter = -1 };

	(void)state;
	memset(text, 'x', NSB_MESSAGE_MAX + 1);
	text[NSB_MESSAGE_MAX + 1] = '\0';
	request.user = text;
	assert_int_equal(nsb_request_send(sockets[0], &request), -EMSGSIZE);
	for (size_t i = 0; i <= NSB_LIST_MAX; i++)
		list[i] = (char *)"A=1";
	answer.n_environment = NSB_LIST_MAX + 1;
	assert_int_equal(nsb_answer_send(sockets[0], &answer), -EMSGSIZE);
	answer.n_environment = NSB_LIST_MAX;
	assert_int_equal(nsb_answer_send(sockets[0], &answer), 0);
	assert_int_equal(receive_answer(), 0);
	answer.n_environment = 0;
	answer.n_cgroups = NSB_ANSWER_FDS_MAX + 1;
	assert_int_equal(nsb_answer_send(sockets[0], &answer), -EMSGSIZE);
	/* what was not sent is not there to be read; what is too long for the reader is refused */
	send_bytes(text, NSB_MESSAGE_MAX + 1, NULL, 0);
	assert_int_equal(receive_request(), -EPROTO);
	free(text);
}

/* The largest request that there can be goes through. */
static void exactly_full(void **state)
{
	char *text = calloc(1, NSB_MESSAGE_MAX);
	nsb_request request = full_request, got;
	char bytes[NSB_MESSAGE_MAX];
	static char longer_bytes[NSB_MESSAGE_MAX + 1];
	size_t size, length = strlen(full_request.user);

	(void)state;
	size = request_bytes(bytes);
	memset(text, 'u', NSB_MESSAGE_MAX - size + length);
	request.user = text;
	assert_int_equal(nsb_request_send(sockets[0], &request), 0);
	assert_int_equal(nsb_request_receive(sockets[1], soon(), &got), 0);
	assert_same_request(&request, &got);
	nsb_request_done(&got);
	/* one byte behind the largest: the reader's buffer holds a whole message, and yet it is not one */
	assert_int_equal(nsb_request_send(sockets[0], &request), 0);
	assert_int_equal(take_bytes(bytes), NSB_MESSAGE_MAX);
	memcpy(longer_bytes, bytes, NSB_MESSAGE_MAX);
	send_bytes(longer_bytes, NSB_MESSAGE_MAX + 1, NULL, 0);
	assert_int_equal(receive_request(), -EPROTO);
	text[NSB_MESSAGE_MAX - size + length] = 'u';
	assert_int_equal(nsb_request_send(sockets[0], &request), -EMSGSIZE);
	free(text);
}

/* Words that do not fit into nsb_error. */
static void long_words(void **state)
{
	nsb_answer answer = { .result = NSB_RESULT_FAILED, .init = -1, .confinement.filter = -1 }, got;
	char bytes[NSB_MESSAGE_MAX];
	size_t size;
	uint64_t length = NSB_WORDS_MAX;
	uint32_t told;

	(void)state;
	memset(answer.error.words, 'w', NSB_WORDS_MAX - 1);
	assert_int_equal(nsb_answer_send(sockets[0], &answer), 0);
	assert_int_equal(nsb_answer_receive(sockets[1], soon(), &got), 0);
	assert_string_equal(got.error.words, answer.error.words);
	nsb_answer_done(&got);
	/* one more: put in by hand */
	assert_int_equal(nsb_answer_send(sockets[0], &answer), 0);
	size = take_bytes(bytes);
	memmove(bytes + HEAD + 65, bytes + HEAD + 64, size - HEAD - 64);
	memcpy(bytes + HEAD + 56, &length, 8);
	told = (uint32_t)size + 1;
	memcpy(bytes + 8, &told, 4);
	send_bytes(bytes, size + 1, NULL, 0);
	assert_int_equal(receive_answer(), -EPROTO);
}

static void peer_gone(void **state)
{
	(void)state;
	sockets[0] = nsb_close(sockets[0]);
	assert_int_equal(receive_request(), -EPIPE);
	assert_int_equal(receive_answer(), -EPIPE);
	assert_int_equal(receive_word(), -EPIPE);
	/* without SIGPIPE, which would end this program */
	assert_int_equal(nsb_say(sockets[1], NSB_SAY_LEAVE), -EPIPE);
}

static void deadline(void **state)
{
	int64_t before = nsb_now();
	nsb_request request;

	(void)state;
	assert_int_equal(nsb_request_receive(sockets[1], before + 50, &request), -ETIMEDOUT);
	assert_true(nsb_now() - before >= 50 && nsb_now() - before < 1500);
	assert_int_equal(nsb_hear(sockets[1], before - 1000, NSB_SAY_LEAVE), -ETIMEDOUT);
	/* what is there already is taken even after the deadline */
	assert_int_equal(nsb_say(sockets[0], NSB_SAY_LEAVE), 0);
	assert_int_equal(nsb_hear(sockets[1], before - 1000, NSB_SAY_LEAVE), 0);
}

static void no_memory(void **state)
{
	char bytes[NSB_MESSAGE_MAX];

	(void)state;
	for (size_t kind = 0; kind < 2; kind++)
		for (long n = 0;; n++) {
			size_t size = kinds[kind].bytes(bytes);
			int r;

			send_with_fds(bytes, size, kinds[kind].n_fds);
			alloc_fail_at(n);
			r = kinds[kind].receive();
			if (!alloc_fail_end()) {
				assert_int_equal(r, 0);
				assert_true(n > 3);
				break;
			}
			assert_true(r == -EPROTO || r == -ENOMEM);
		}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_sockets, close_sockets)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_round_trip),
		TEST(answer_round_trip),
		TEST(short_answer),
		TEST(words),
		TEST(truncated),
		TEST(longer),
		TEST(flipped),
		TEST(heads),
		TEST(kinds_mixed),
		TEST(nul_in_string),
		TEST(huge_lengths),
		TEST(unknown_verbs),
		TEST(wide_numbers),
		TEST(unknown_results),
		TEST(wrong_descriptors),
		TEST(descriptors_cut_off),
		TEST(oversize),
		TEST(exactly_full),
		TEST(long_words),
		TEST(peer_gone),
		TEST(deadline),
		TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
