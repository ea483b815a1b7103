/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resident program on the host, one for each box: what the helper becomes when the application has joined, so that
 * pid, registry lock and life pipe stay the same.
 *
 *   nsbox-monitor ID JOINED_MS RUNTIME_MS LINGER_MS SOCKET APP LIFE INIT LISTENER [EVENT...] [PATH...] [MOUNTS] [RULES]	(see init-fds.h)
 *   nsbox-monitor guard ID
 *   nsbox-monitor hold
 *
 * The monitor hears JOINED and says COMMITTED, then waits until the application leaves (LEAVE) or is gone (its pidfd), or
 * the session's time is over. The end of the socket means nothing: an application may close its descriptors and live on. Then the
 * monitor becomes `nsbox-helper end`, which ends the box and cleans.
 *
 * Where sessions share the box, helpers of later logins connect to LISTENER (protocol.h). Each of their applications is a
 * member like the first one. As long as a member, or a helper that is about to bring one, is there, the box stays, and
 * then for the time of LINGER. What a member leaves behind on the host is removed by `nsbox-helper leave`.
 *
 * Meanwhile it watches the counters of the limits. One that grew is told to the session by `nsbox-helper notice`, at
 * most once a minute. And it looks whether the host has put something new in the place of what is bound into the box
 * (PATH): `nsbox-helper renew` binds it again. Of a box that hides accounts the mounts (MOUNTS) tell when one is gone.
 * And whether the table of its rules is still the same (RULES): `nsbox-helper renew` puts in what somebody has removed.
 *
 * The guard is started before the first thing is made on the host. It knows by the end of the life pipe that helper or
 * monitor is gone without having cleaned, and does it then: without it nobody would be left when application and
 * monitor are killed together.
 *
 * The holder does nothing. systemd removes the control group of a service that has no processes, and with it the place
 * where boxes are made: so one process of nsbox.service stays there.
 *
 * Small on purpose: no stdio, no malloc of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/protocol.h"
#include "helper/init-fds.h"
#include "helper/monitor-watch.h"

static char *const no_environment[] = { NULL };

static void __attribute__((noreturn)) become_cleaner(char *const arguments[])
{
	/* SIGTERM stays blocked, as it is here: cleaning is not to be broken off half-way */
	execve(NSB_LIBEXECDIR "/nsbox-helper", arguments, no_environment);
	/* Uninstalled under a live box, or no memory: the life pipe ends with this process, so PID 1 does, and the next
	 * run of any helper finds the entry without its lock. */
	_exit(1);
}

static int guard(char *id)
{
	char word = 0;
	ssize_t n;

	prctl(PR_SET_NAME, "nsbox-guard");
	do
		n = read(NSB_INIT_FD_LIFE, &word, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && word == NSB_LIFE_CLEAN)
		return 0;
	close(NSB_INIT_FD_LIFE);
	become_cleaner((char *[]){ (char *)"nsbox-helper", (char *)"end", id, NULL });
}

/* SIGTERM and SIGINT end the box in order: a shutdown sends them to everybody. */
static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

typedef struct box {
	const char *id;
	int signals, init, listener;
	int64_t end;	/* when the time is over; 0: never */
	int64_t linger; /* ms after the last member; -1: for good */
	int64_t empty;	/* since when nobody is there; 0: somebody is */
} box;

/* ---- members ---- */

#define MEMBERS_MAX  64
#define SPARE_FILES  32 /* descriptors that are not a member's */
#define ACCEPT_PAUSE 20 /* ms */

/* An application in the box; or, as long as `helper` is open, one that is about to come. */
typedef struct member {
	char session[NSB_ID_LENGTH + 1];
	int helper; /* connection, -1 when it is done */
	int app;    /* pidfd */
	int socket; /* to the application; -1: it closed it, or does not speak our language */
} member;

static member members[MEMBERS_MAX]; /* together with the other data they still fit into one page */
static size_t n_members;

static void close_member(const member *m)
{
	const int fds[] = { m->helper, m->app, m->socket };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* An application that leaves while its box is being ended must find its socket: without a monitor it would kill PID 1, and
 * cut stop_timeout short. */
static void leave_to_cleaner(const member *m)
{
	if (m->helper >= 0)
		close(m->helper);
	if (m->socket >= 0)
		fcntl(m->socket, F_SETFD, 0);
}

/* What is left of the login on the host goes with it, or with the box if that ends at once. */
static void remove_member(size_t index, const char *id, bool box_stays)
{
	member gone = members[index];

	close_member(&gone);
	members[index] = members[--n_members];
	if (gone.session[0] != '\0' && (box_stays || n_members > 0))
		monitor_run_helper("leave", id, gone.session);
}

/* Each has two descriptors here. */
static size_t room_for_members(void)
{
	struct rlimit files;
	size_t room = MEMBERS_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 2 * MEMBERS_MAX + SPARE_FILES)
		room = files.rlim_cur > SPARE_FILES ? (files.rlim_cur - SPARE_FILES) / 2 : 0;
	return room;
}

/* A path below /proc/PID/ns is one namespace for two processes if it is one file. */
static bool in_our_pid_namespace(pid_t pid)
{
	char path[32] = "/proc/", digits[12];
	struct stat theirs, ours;
	size_t at = strlen(path), n = 0;

	for (; pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n > 0)
		path[at++] = digits[--n];
	memcpy(path + at, "/ns/pid", sizeof("/ns/pid"));
	return stat(path, &theirs) == 0 && stat("/proc/self/ns/pid", &ours) == 0 && theirs.st_dev == ours.st_dev &&
	       theirs.st_ino == ours.st_ino;
}

/* Only root outside of boxes brings logins, whoever else may have found a way to the socket. */
static bool is_a_helper(int connection)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0 && peer.pid > 0 &&
	       in_our_pid_namespace(peer.pid);
}

/* A login asks whether it may come: from now on the box waits for it. */
static void accept_helper(int listener)
{
	int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (connection < 0) {
		/* it stays in the queue, and poll(2) says so at once */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			poll(NULL, 0, ACCEPT_PAUSE);
		return;
	}
	if (n_members < room_for_members() && is_a_helper(connection))
		members[n_members++] = (member){ .helper = connection, .app = -1, .socket = -1 };
	else
		close(connection);
}

/* What a helper says. False: its login will not come, or has failed. */
static bool hear_helper(member *m, box *b)
{
	nsb_control heard, answer = { .word = NSB_CONTROL_READY, .fds = { b->init, -1 } };

	if (nsb_control_receive(m->helper, nsb_now(), &heard) < 0)
		return false;
	if (heard.word == NSB_CONTROL_JOIN && m->session[0] == '\0') {
		memcpy(m->session, heard.session, sizeof(m->session));
		memcpy(answer.session, heard.session, sizeof(answer.session));
		return nsb_control_send(m->helper, &answer) == 0;
	}
	/* nobody will come back: the configuration has changed */
	if (heard.word == NSB_CONTROL_RETIRE)
		b->linger = 0;
	if (heard.word != NSB_CONTROL_MEMBER || strcmp(heard.session, m->session) != 0) {
		for (size_t i = 0; i < NSB_CONTROL_FDS; i++)
			if (heard.fds[i] >= 0)
				close(heard.fds[i]);
		return false;
	}
	close(m->helper);
	m->helper = -1;
	m->socket = heard.fds[0];
	m->app = heard.fds[1];
	/* not heard: it gave up waiting, or is gone */
	return nsb_say(m->socket, NSB_SAY_COMMITTED) == 0;
}

/* LEAVE, or the end of the socket, which means nothing. False: it has left. */
static bool hear_application(member *m)
{
	if (nsb_hear(m->socket, nsb_now(), NSB_SAY_LEAVE) == 0)
		return false;
	close(m->socket);
	m->socket = -1;
	return true;
}

/* ---- the wait ---- */

enum { SIGNALS, INIT, LISTENER, WATCHED, MEMBERS = WATCHED + NSB_WATCH_FILES };

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* For poll(2): until the time is over, nobody comes back any more, or a counter wants to be looked at. */
static int time_left(const box *b)
{
	int64_t left = INT64_MAX, now = nsb_now();

	if (b->end != 0)
		left = b->end - now;
	if (b->empty != 0 && b->linger >= 0)
		left = earlier(left, b->empty + b->linger - now);
	left = earlier(left, watch_left());
	return left == INT64_MAX ? -1 : left <= 0 ? 0 : (int)earlier(left, INT32_MAX);
}

static nfds_t fill_wanted(const box *b, struct pollfd *wanted)
{
	wanted[SIGNALS] = (struct pollfd){ .fd = b->signals, .events = POLLIN };
	wanted[INIT] = (struct pollfd){ .fd = b->init, .events = POLLIN };
	wanted[LISTENER] = (struct pollfd){ .fd = b->listener, .events = POLLIN };
	watch_fill(&wanted[WATCHED]);
	for (size_t i = 0; i < n_members; i++) {
		const member *m = &members[i];

		wanted[MEMBERS + 2 * i] = (struct pollfd){ .fd = m->app, .events = POLLIN };
		wanted[MEMBERS + 2 * i + 1] =
			(struct pollfd){ .fd = m->helper >= 0 ? m->helper : m->socket, .events = POLLIN };
	}
	return MEMBERS + 2 * n_members;
}

/* The first `n`, which `wanted` is about. */
static void look_at_members(box *b, const struct pollfd *wanted, size_t n)
{
	/* backwards: the last one takes the place of one that is removed */
	for (size_t i = n; i-- > 0;) {
		member *m = &members[i];
		bool stays = wanted[MEMBERS + 2 * i].revents == 0;

		if (stays && wanted[MEMBERS + 2 * i + 1].revents != 0)
			stays = m->helper >= 0 ? hear_helper(m, b) : hear_application(m);
		if (!stays)
			remove_member(i, b->id, b->linger != 0);
	}
}

/* Whether the box is to end because nobody is there. */
static bool is_over(box *b)
{
	if (n_members > 0)
		b->empty = 0;
	else if (b->empty == 0)
		b->empty = nsb_now();
	return b->empty != 0 && b->linger >= 0 && nsb_now() - b->empty >= b->linger;
}

/* Waits for one thing to happen, and does what it asks for. False: the box is to end. */
static bool wait_once(box *b)
{
	static struct pollfd
		wanted[MEMBERS + 2 * MEMBERS_MAX]; /* not on the stack: what is never written takes no page */
	size_t n = n_members;

	if (poll(wanted, fill_wanted(b, wanted), time_left(b)) < 0)
		return errno == EINTR;
	if (wanted[SIGNALS].revents != 0 || wanted[INIT].revents != 0)
		return false;
	watch_look(b->id, &wanted[WATCHED]);
	if (b->end != 0 && nsb_now() >= b->end) {
		monitor_run_helper("notice", b->id, "runtime");
		return false;
	}
	/* before anybody leaves: who is the last one decides what is cleaned of him */
	if (wanted[LISTENER].revents != 0)
		accept_helper(b->listener);
	look_at_members(b, wanted, n);
	return true;
}

/* Waits until nobody is a member any more, PID 1 is gone, or the time is over. */
static void wait_for_end(box *b)
{
	while (!is_over(b) && wait_once(b))
		;
}

/* The first member: the application that the box was made for. */
static bool take_application(const char *id, int64_t deadline, int socket, int app)
{
	member *first = &members[0];

	if (strlen(id) != NSB_ID_LENGTH || nsb_hear(socket, deadline, NSB_SAY_JOINED) < 0 ||
	    nsb_say(socket, NSB_SAY_COMMITTED) < 0) {
		/* It could not join, gave up waiting, or is gone: no member. If it waits, the end of the line turns it back. */
		close(socket);
		return false;
	}
	*first = (member){ .helper = -1, .app = app, .socket = socket };
	memcpy(first->session, id, NSB_ID_LENGTH);
	n_members = 1;
	return true;
}

static void __attribute__((noreturn, noinline)) monitor(int argc, char **argv)
{
	int64_t runtime = atoll(argv[3]);
	bool joined;
	box b = { .id = argv[1],
		  .signals = catch_signals(),
		  .init = atoi(argv[8]),
		  .listener = atoi(argv[9]),
		  .end = runtime > 0 ? nsb_now() + runtime : 0,
		  .linger = atoll(argv[4]) };

	for (int i = 10; i < argc; i++)
		watch_add(argv[i]);
	watch_begin();
	joined = take_application(argv[1], atoll(argv[2]), atoi(argv[5]), atoi(argv[6]));
	if (joined)
		wait_for_end(&b);
	/* first of all: who is not accepted yet must not wait for us */
	if (b.listener >= 0)
		close(b.listener);
	for (size_t i = 0; i < n_members; i++)
		leave_to_cleaner(&members[i]);
	become_cleaner((char *[]){ (char *)"nsbox-helper", (char *)(joined ? "end" : "unjoined"), argv[1], argv[7],
				   argv[8], NULL });
}

int main(int argc, char **argv)
{
	prctl(PR_SET_DUMPABLE, 0);
	if (argc == 3 && strcmp(argv[1], "guard") == 0)
		return guard(argv[2]);
	if (argc == 2 && strcmp(argv[1], "hold") == 0)
		return pause();
	if (argc < 10)
		return 2;
	monitor(argc, argv);
}
