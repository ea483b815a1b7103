/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registry of boxes: NSB_RUNDIR/boxes/ID/{lock,state,plan,network,control,members/SESSION}. Whoever holds the record lock
 * (fcntl(2) F_SETLK) of `lock` answers for the box: the helper, then the monitor, which is the same process. A lock that
 * can be had means that both are gone and the box is to be cleaned. An entry is made under a temporary name, locked, then
 * renamed, so no entry is ever seen without its lock. Files are replaced by rename only.
 *
 * `state` is the box, written by the holder of the lock alone; each file in `members` is a login, written by the helper
 * that lets it in and removed when it is over; `plan` is what the box was made by; `network`
 * is the record of a network of its own (network.h), from before it is made until it is gone; `control` is the socket of the monitor
 * of a box that sessions share.
 *
 * Three versions are read and written: 1 had the only login in `state`, and none of the other files; 2 knew nothing of
 * privileges. Boxes that were made by them live on and are cleaned when newer programs are installed over them.
 *
 * A process that holds the lock of a box must not open its lock file again: closing any descriptor of a file drops all
 * record locks that the process has on it.
 */
#ifndef NSB_REGISTRY_H
#define NSB_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/network.h"
#include "common/session.h"

#ifndef NSB_RUNDIR
#define NSB_RUNDIR "/run/nsbox"
#endif

#define NSB_ENTRY_VERSION     3
#define NSB_ENTRY_CGROUPS_MAX 8
#define NSB_ENTRY_LIMITS_MAX  24
#define NSB_ENTRY_MEMBERS_MAX 64 /* version 1 */

/* States, as `state` and `nsboxctl list` name them. */
#define NSB_STATE_STARTING "starting"
#define NSB_STATE_READY	   "ready"
#define NSB_STATE_UNBOXED  "unboxed"
#define NSB_STATE_ENDING   "ending"
#define NSB_STATE_DYING	   "dying" /* all is cleaned but PID 1 cannot finish dying */

typedef struct nsb_process {
	pid_t pid;	/* 0: none */
	uint64_t start; /* field 22 of /proc/PID/stat, clock ticks since boot: tells a reused pid */
} nsb_process;

/* Who shares a box, as `state` says it. */
#define NSB_ENTRY_SHARED "user"

typedef struct nsb_entry {
	unsigned version; /* of the text: 1 to NSB_ENTRY_VERSION */
	char id[NSB_ID_LENGTH + 1];
	char state[16];
	char user[256], profile[80], hostname[80];
	char service[64], tty[64], rhost[256]; /* of the login that made the box */
	char share[16];			       /* NSB_ENTRY_SHARED: later logins of the user may join; "" */
	char terminals[80];		       /* what those logins must bring: nsb_plan.terminals */
	uid_t uid;
	int64_t started;      /* CLOCK_REALTIME seconds */
	int64_t stop_timeout; /* ms */
	uint64_t namespaces;  /* CLONE_NEW* */
	uint64_t inodes[8];   /* of PID 1's namespaces, in the order of nsb_namespaces */
	nsb_process init, monitor;
	nsb_process members[NSB_ENTRY_MEMBERS_MAX]; /* version 1: the application; since then files of their own */
	size_t n_members;
	char cgroups[NSB_ENTRY_CGROUPS_MAX][256]; /* directories made for this box, absolute */
	size_t n_cgroups;
	char scope[256]; /* under systemd: the directory of the session's scope, which is not ours to remove; else "" */
	char limits[NSB_ENTRY_LIMITS_MAX][192]; /* "KEY VALUE" as they were set */
	size_t n_limits;
	char ut_id[5]; /* version 1: of the utmp record; "" if none */
	/* since version 3: what every process of the box has taken upon itself */
	uint64_t capabilities; /* the bounding set, a bit for each number */
	uint32_t confine;      /* nsb_confine_flags (protocol.h) */
	char seccomp[64];      /* words of the filter of system calls; "": none */
	uint32_t subids;       /* the first of the box's own 65536 ids; 0: it has the host's */
} nsb_entry;

/* One login that is in a box, or runs beside one (on_error=allow). */
typedef struct nsb_member {
	char session[NSB_ID_LENGTH + 1]; /* the id that its messages carry; the first one's is the box's */
	nsb_process process;		 /* the application */
	char service[64], tty[64], rhost[256];
	int64_t started; /* CLOCK_REALTIME seconds */
	char ut_id[5];	 /* of its utmp record; "" if none */
} nsb_member;

/* Opens the directory `name` in NSB_RUNDIR (both made 0700 with `create`). Refused unless both are root's alone. The caller
 * closes. */
int nsb_registry_directory(const char *name, bool create, nsb_error *error);

/* Opens NSB_RUNDIR/boxes (made 0700 with `create`). Refused unless both directories are root's alone.
 * The caller closes. -ENOENT where nothing was ever boxed. */
int nsb_registry_open(bool create, nsb_error *error);

/* Makes an entry that is locked by this process. *ret_lock: the lock, to be kept open; no CLOEXEC, since the monitor
 * inherits it by exec. -EEXIST if the id is taken. */
int nsb_registry_create(int boxes, const nsb_entry *entry, int *ret_lock, nsb_error *error);

/* Replaces the state file of an existing entry. Only for the holder of the lock. */
int nsb_registry_write(int boxes, const nsb_entry *entry, nsb_error *error);

/* -ENOENT; -EBADMSG for a damaged file; -EPROTO for an entry of an unknown version. */
int nsb_registry_read(int boxes, const char *id, nsb_entry *ret);

/* Takes the lock of an entry whose holder is gone. -EAGAIN while it lives, -ENOENT if the entry vanished meanwhile. */
int nsb_registry_lock(int boxes, const char *id, int *ret_lock);

/* The pid that holds the lock, 0 if none, negative errno. */
pid_t nsb_registry_holder(int boxes, const char *id);

/* Removes the entry: its files, then its directory. -ENOENT is no error. */
int nsb_registry_remove(int boxes, const char *id);

/* The text of the plan that a box was made by (nsb_plan_text). Written once, before the box is ready. Reading: the
 * caller frees *ret; -ENOENT for a box of version 1. */
int nsb_registry_write_plan(int boxes, const char *id, const char *text, nsb_error *error);
int nsb_registry_read_plan(int boxes, const char *id, char **ret);

/* The record of the box's network, in common/registry-network.c. Reading: -ENOENT where there is none; -EBADMSG for a damaged
 * one. Opening: a descriptor of the file, which the caller closes. */
#define NSB_REGISTRY_NETWORK "network"
int nsb_registry_write_network(int boxes, const nsb_network_record *record, nsb_error *error);
int nsb_registry_read_network(int boxes, const char *id, nsb_network_record *ret);
int nsb_registry_open_network(int boxes, const char *id);
/* -ENOENT is no error. */
int nsb_registry_remove_network(int boxes, const char *id);

/* Adds a login to an entry, or replaces it. In common/registry-members.c. */
int nsb_registry_add_member(int boxes, const char *id, const nsb_member *member, nsb_error *error);

/* -ENOENT; -EBADMSG for a damaged file. */
int nsb_registry_read_member(int boxes, const char *id, const char *session, nsb_member *ret);

/* -ENOENT is no error. */
int nsb_registry_remove_member(int boxes, const char *id, const char *session);

/* The logins of an entry, oldest first, whatever its version; damaged files are left out. The caller frees *ret. */
int nsb_registry_members(int boxes, const nsb_entry *entry, nsb_member **ret, size_t *ret_n);

/* Until the descriptor *ret is closed nobody else who asks adds a session of this user. Waits for at most `deadline`
 * (CLOCK_MONOTONIC ms): -ETIMEDOUT. */
int nsb_registry_lock_user(int boxes, uid_t uid, int64_t deadline, int *ret);

/* Until *ret is closed nobody else chooses from that pool. As above. */
typedef enum nsb_pool { NSB_POOL_SUBIDS, NSB_POOL_ADDRESSES } nsb_pool;
int nsb_registry_lock_pool(int boxes, nsb_pool pool, int64_t deadline, int *ret);

/* How many live sessions of the user there are, boxed or not: the logins of entries with a holder that are not dying. */
int nsb_registry_count(int boxes, uid_t uid, size_t *ret);

/* The group of nsbox.service ("/nsbox.slice/nsbox.service"), kept in NSB_RUNDIR/cgroup. */
int nsb_registry_set_base(const char *path, nsb_error *error);
/* -ENOENT if the service never ran, -EBADMSG if the file holds no absolute path. */
int nsb_registry_base(char *buffer, size_t size);

/* All ids (sorted), also half-made temporary names that crashed makers left (they begin with "."). The caller frees the
 * array with one free(). */
int nsb_registry_list(int boxes, char (**ret)[NSB_ID_LENGTH + 8], size_t *ret_n);

/* Whether the text is a box id: NSB_ID_LENGTH characters of [a-z0-9]. */
bool nsb_id_valid(const char *id);

/* A random id; `buffer`: NSB_ID_LENGTH + 1 bytes. 0 or negative errno of getrandom(2). */
int nsb_id_make(char *buffer);

/* Start time of a process as in nsb_process; 0 if it is gone. */
uint64_t nsb_process_start(pid_t pid);

/* A pidfd of exactly that process: -ESRCH if it is gone or its pid belongs to another one now. */
int nsb_process_open(const nsb_process *process);

#endif
