/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What module and helper say to each other over one SOCK_SEQPACKET pair. Each message is one packet of exactly the
 * length that its head states; strings are counted, bounded and free of NUL; anything else is -EPROTO.
 *
 *   app -> helper   request
 *   helper -> app   answer (with the pidfd of PID 1; in each control group tree, the file that takes it into the box; and
 *                   the filter of system calls)
 *   app -> helper   JOINED
 *   monitor -> app  COMMITTED
 *   app -> monitor  LEAVE
 *
 * A later login of the user joins a box that sessions share by the control socket of its monitor, one connection each:
 *
 *   helper -> monitor   JOIN: the box does not end until this connection does
 *   monitor -> helper   READY (with the pidfd of PID 1); or it closes: ending, full, another version
 *   helper -> app, app -> helper   answer, JOINED as above
 *   helper -> monitor   MEMBER (with the application's socket and pidfd)
 *   monitor -> app      COMMITTED
 *
 * One that finds the box made by another configuration, and makes one of its own, says RETIRE to the old one's monitor, and
 * nothing else.
 */
#ifndef NSB_PROTOCOL_H
#define NSB_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/session.h"

#define NSB_PROTOCOL_VERSION 3	   /* of request and answer: module and helper are updated together */
#define NSB_WORDS_VERSION    1	   /* of the words: boxes that were made before an update say them, too */
#define NSB_MESSAGE_MAX	     16384 /* bytes in one message */
#define NSB_LIST_MAX	     64	   /* strings in one list */
#define NSB_ANSWER_FDS_MAX   10	   /* even: recvmsg(2) has room for one more otherwise */
#define NSB_ANSWER_NONE                                                                                                \
	{                                                                                                              \
		.init = -1, .confinement.filter = -1                                                                   \
	}

/* The app gives up at NSB_MODULE_DEADLINE, the helper before it, so that the helper's undo comes first. Milliseconds.
 */
#define NSB_HELPER_DEADLINE 8000
#define NSB_MODULE_DEADLINE 10000

typedef enum nsb_verb {
	NSB_VERB_OPEN = 1, /* make a box */
	NSB_VERB_CHECK,	   /* could a box be made? stages 1 to 5 */
} nsb_verb;

enum nsb_request_flags {
	NSB_REQUEST_DEBUG = 1 << 0,
};

typedef struct nsb_request {
	uint32_t verb; /* nsb_verb */
	uint32_t flags;
	/* strings are never NULL; "" where there is nothing. After nsb_request_receive() the caller owns them. */
	char *id; /* of the box to be, made by the module: the REF of its messages */
	char *user, *service, *tty, *rhost, *krb5ccname;
	char *profile; /* forced by profile=; "" */
	char *conf;    /* conf=; "" */
	/* OPEN: the account of the answer to CHECK in the same login; none where there was none */
	char **account;
	size_t n_account;
} nsb_request;

typedef enum nsb_result {
	NSB_RESULT_OK = 1,	 /* boxed (OPEN) or could be (CHECK) */
	NSB_RESULT_IGNORE,	 /* no profile matches */
	NSB_RESULT_UNBOXED,	 /* could not be boxed; the profile's on_error=allow lets the session in */
	NSB_RESULT_FAILED,	 /* could not be boxed */
	NSB_RESULT_BAD_CONFIG,	 /* the configuration is wrong: nothing is known about this login */
	NSB_RESULT_UNKNOWN_USER, /* the name service does not know the user */
	NSB_RESULT_MAX
} nsb_result;

/* Not the box's cgroup namespace, which begins at the group of PID 1, but a new one, which begins at the group that the
 * app stays in. */
#define NSB_OWN_CGROUP_NAMESPACE (1ULL << 32)

/* "/" of the box is a tree that may be written by root of a box: code that the application needs is loaded before the join. */
#define NSB_OTHER_TREE (1ULL << 33)

enum nsb_confine_flags {
	NSB_CONFINE_NO_NEW_PRIVS = 1 << 0,
	NSB_CONFINE_NO_CORE = 1 << 1, /* a crash starts no program outside */
};

/* What the application takes upon itself as the last thing of the join. */
typedef struct nsb_confinement {
	uint64_t capabilities; /* the bounding set, a bit for each number */
	uint32_t flags;	       /* nsb_confine_flags */
	char *keyring;	       /* name of the new session keyring; "": none */
	int filter;	       /* open file with a seccomp program (struct sock_filter[]); -1: none */
} nsb_confinement;

typedef struct nsb_answer {
	uint32_t result;     /* nsb_result */
	uint64_t namespaces; /* CLONE_NEW* for setns(2), NSB_OWN_CGROUP_NAMESPACE, NSB_OTHER_TREE */
	uint64_t root_mount; /* mount id of the box's root: where the app must find itself after the join */
	uint64_t uid, gid;   /* of the session's user */
	nsb_error error;     /* for everything but OK and IGNORE */
	char *profile;	     /* name; "" */
	char **environment;  /* "NAME=VALUE" to set, "NAME" to unset */
	size_t n_environment;
	char **account; /* CHECK: what was looked up about the user, for the OPEN that follows; its meaning is the helper's */
	size_t n_account;
	char **way_back; /* files to write "0" to when leaving: the cgroups the app came from */
	size_t n_way_back;
	nsb_confinement confinement;
	int init;     /* pidfd of PID 1; -1 if none */
	int *cgroups; /* open files to write "0" to before the join */
	size_t n_cgroups;
} nsb_answer;

typedef enum nsb_signal_word { NSB_SAY_JOINED = 1, NSB_SAY_COMMITTED, NSB_SAY_LEAVE } nsb_signal_word;

/* All return 0 or negative errno: -EPROTO for a message that is not exactly what it should be, -EPIPE/-ECONNRESET for a
 * closed peer, -ETIMEDOUT when `deadline` (CLOCK_MONOTONIC milliseconds, nsb_now() based) has passed. Sending never
 * raises SIGPIPE. */
int nsb_request_send(int socket, const nsb_request *request);
int nsb_request_receive(int socket, int64_t deadline, nsb_request *ret);
void nsb_request_done(nsb_request *request);

/* Sends answer->init, answer->cgroups and the filter along, which stay the caller's. */
int nsb_answer_send(int socket, const nsb_answer *answer);
/* The descriptors received are the caller's (O_CLOEXEC) and closed by nsb_answer_done() unless stolen. */
int nsb_answer_receive(int socket, int64_t deadline, nsb_answer *ret);
void nsb_answer_done(nsb_answer *answer);
/* Frees a list of a message, and its strings. NULL is none. */
void nsb_list_free(char **list, size_t n);

int nsb_say(int socket, nsb_signal_word word);
int nsb_hear(int socket, int64_t deadline, nsb_signal_word expected);

/* What helper and monitor say to each other over the control socket. */
typedef enum nsb_control_word {
	NSB_CONTROL_JOIN = 1,
	NSB_CONTROL_READY,
	NSB_CONTROL_MEMBER,
	NSB_CONTROL_RETIRE
} nsb_control_word;

#define NSB_CONTROL_FDS 2

typedef struct nsb_control {
	uint32_t word;			 /* nsb_control_word */
	char session[NSB_ID_LENGTH + 1]; /* the login that it is about */
	int fds[NSB_CONTROL_FDS];	 /* READY: PID 1; MEMBER: socket, pidfd; -1 where none */
} nsb_control;

/* Sends fds along, which stay the caller's. */
int nsb_control_send(int socket, const nsb_control *control);
/* The descriptors received are the caller's (O_CLOEXEC): as many as belong to the word, exactly. -EPROTO also for
 * another version. */
int nsb_control_receive(int socket, int64_t deadline, nsb_control *ret);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t nsb_now(void);

/* Waits until `fd` can be read or has hung up. 0, -ETIMEDOUT, or another negative errno; EINTR is waited out. */
int nsb_wait_readable(int fd, int64_t deadline);

#endif
