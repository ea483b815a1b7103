/* SPDX-License-Identifier: BSD-3-Clause */
/* The only part that alters the application: it enters the box, and leaves it again. */
#ifndef NSB_MODULE_JOIN_H
#define NSB_MODULE_JOIN_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/protocol.h"

#define NSB_JOIN_NAMESPACES 7

/* A descriptor, and what it was when we opened it: applications close numbers that they do not know, and use them
 * again. */
typedef struct nsb_held {
	int fd; /* -1: none */
	dev_t dev;
	ino_t ino;
} nsb_held;

/* What is needed to find the way back; alive as long as the application is in the box. */
typedef struct nsb_membership {
	pid_t owner; /* the process that joined: no other one may leave */
	bool stays;  /* it is in a user namespace, from which nobody comes back: leaving is telling */
	struct {
		nsb_held held; /* of the application's own namespace */
		int flag;      /* 0 if the box has none of this type */
	} own[NSB_JOIN_NAMESPACES];
	nsb_held socket; /* to the monitor */
	nsb_held init;	 /* pidfd of PID 1 */
	char **way_back;
	size_t n_way_back;
	char directory[PATH_MAX]; /* working directory before the join; "" if it had no name */
	dev_t directory_dev;
	ino_t directory_ino;
	struct nsb_membership *next;
} nsb_membership;

/*
 * Moves this process into the box of `answer` and makes the box the monitor's: cgroup, one atomic setns(2), working
 * directory by name, JOINED, COMMITTED, and then its
 * confinement (confine.h). Takes over `socket` and the descriptors of `answer` if it succeeds.
 * `from_caller`: the application runs with what a caller of su handed down; descriptors that lead to the host's tree
 * are then closed at exec. Every descriptor is CLOEXEC, and is closed in children that fork (sshd's user child never
 * execs). On failure the process is where it was before (what it has taken upon
 * itself by then stays), and -errno with a sentence is returned. Sources: setns(2),
 * pidfd_open(2), cgroups(7).
 *
 * A box with a user namespace (CLONE_NEWUSER) is entered for good, so there the monitor is confirmed before: what fails after
 * that leaves the process where it got to. Its ids that were root's are those of root of the box from then on, and it cannot
 * be traced by anybody in there (PR_SET_DUMPABLE). Source: user_namespaces(7).
 */
int join_box(nsb_answer *answer, int socket, bool from_caller, nsb_membership **ret, nsb_error *error);

/* For a session that on_error=allow lets in without a box: only the monitor is confirmed, so that join_leave() can tell
 * it when the session is over. Takes over `socket` if it succeeds. */
int join_nothing(int socket, nsb_membership **ret);

/*
 * Takes this process back out (unless it is in a user namespace) and tells the monitor. Never waits for the box to end: PID 1 cannot finish dying before
 * the application has reaped its own children, which sshd does only after close_session.
 * If a saved descriptor is not what it was (closed or reused by the application), nothing is touched: -EBADF with a
 * sentence. Frees the membership in every case.
 */
int join_leave(nsb_membership *membership, nsb_error *error);

/*
 * After setns(2) into a user namespace, with the real, effective and saved ids of before: what was root of the host is root
 * of the box from here on; other ids stay. Without that a change of ids would leave all capabilities in the namespace in
 * force, because it takes them from its root only (capabilities(7)). Nor can the process be traced from within any more. 0,
 * or -errno with a sentence.
 */
int join_become_root(const uid_t uids[3], const gid_t gids[3], nsb_error *error);

/* Frees a membership without leaving: in a child, or at pam_end without close_session. The box ends with the process.
 */
void join_forget(nsb_membership *membership);

#endif
