/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plan of a box: everything decided, nothing done yet.
 *
 * nsb_plan_make() is pure: the same session and settings give the same plan on any machine. What may or may not be
 * there on a host is a flag of the step (optional), not a decision of the plan. `nsboxctl explain` and the golden tests
 * print the very list that helper/build.c executes.
 */
#ifndef NSB_PLAN_H
#define NSB_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/network.h"
#include "common/session.h"
#include "common/settings.h"

/* What a step does. One row each in helper/build.c (how it is run and undone) and in plan-text.c (how it is told). */
typedef enum nsb_op {
	/* on the host, each with an undo */
	NSB_OP_SESSIONS, /* data: how many sessions the user may have, this one counted */
	NSB_OP_REGISTER, /* entry and lock in /run/nsbox */
	NSB_OP_MEMBER,	 /* dst: this login, in that entry or in the one of the box that it joins */
	NSB_OP_CONTROL,	 /* the socket by which later logins of the user find the box */
	NSB_OP_UPPER,	 /* dst: the directory that keeps what is written to the box; no other box may have it */
	NSB_OP_CGROUP,	 /* src: group below which boxes are made, dst: the box's below that, in each tree needed */
	NSB_OP_LIMIT,	 /* src: configuration key, dst: group as above, data: value (limit-table.h) */
	NSB_OP_FILTER,	 /* data: words of the filter of system calls, as nsbox-seccomp takes them */
	NSB_OP_USERNS,	 /* the box's user namespace, and those that it owns; data: where its ids come from */
	/* the border */
	NSB_OP_SPAWN, /* one clone3(2) with all namespaces */
	NSB_OP_NETWORK, /* on the host, while the builder works; dst: the key's word. The rest is nsb_plan.network */
	/* inside the new namespaces */
	NSB_OP_CGROUP_ENTER, /* builder moves itself, then the cgroup namespace */
	NSB_OP_ASSERT,	     /* this is a new mount namespace, by inode; its tree receives from the host, never sends */
	NSB_OP_ENTER_OWNED,  /* the UTS, IPC and network namespaces of the box's user namespace */
	NSB_OP_ENTER_NETWORK, /* src: NSB_PLAN_NETNS or NSB_PLAN_JOIN and a name: the network namespace that is that */
	NSB_OP_HOSTNAME,     /* data */
	NSB_OP_DOMAINNAME,   /* data */
	NSB_OP_LOOPBACK,     /* lo up */
	NSB_OP_ROOT,	     /* src: tree (directory or image) that becomes the root; flag SLAVE or not */
	NSB_OP_ROOT_TMPFS,   /* a new tree in memory becomes the root; data: its options */
	NSB_OP_LAYER,	     /* src: tree (directory or image) that the overlay is made of, the uppermost first */
	NSB_OP_OVERLAY, /* the layers become the root; dst: directory, or data: tmpfs options, of what is written */
	NSB_OP_OVERLAY_HOST, /* src: the host's tree, of which each file system comes under an overlay; data: tmpfs options */
	NSB_OP_WRITTEN,	     /* dst: where root of the box can look at what that has taken */
	NSB_OP_ALIAS,	/* src: /bin and the like: a symbolic link on the host is made at dst, a directory is bound */
	NSB_OP_DETACH,	/* dst: unmount the clone of a host mount and what is below it */
	NSB_OP_DETACH_KERNEL,	 /* unmount clones of kernel file systems wherever else they are mounted */
	NSB_OP_MOUNT,		 /* src: file system type, dst, data: its options */
	NSB_OP_BIND,		 /* src, dst */
	NSB_OP_BIND_LINK_TARGET, /* src: symbolic link; what it leads to below dst is bound at its own path */
	NSB_OP_MKDIR,		 /* dst, mode, owner */
	NSB_OP_FILE,		 /* dst: new file that holds data */
	NSB_OP_FILE_LIKE,	 /* dst: new empty file with owner and mode of src */
	NSB_OP_LINES, /* dst: new file like src, a file of the root, of which it has the lines in data (account-text.h) */
	NSB_OP_NAMES, /* dst: new file: src, the root's nsswitch.conf, in which the databases in data ask files only */
	NSB_OP_HOSTS, /* dst: new file: the root's /etc/hosts and a line for the name in data */
	NSB_OP_RESOLVER, /* dst: new file: src, the host's resolv.conf, with the name servers in data (resolv-text.h) */
	NSB_OP_SYMLINK,	    /* dst: new link that says data */
	NSB_OP_NODE,	    /* dst: character device "MAJOR:MINOR" in data */
	NSB_OP_CREDENTIALS, /* src: the user's Kerberos cache, copied to dst by the user's own rights */
	NSB_OP_MASK,	    /* dst made empty */
	NSB_OP_DEVICE,	    /* src: devices below the host's /dev, perhaps with globs; bound to the same names in dst */
	NSB_OP_HOME_TMPFS,  /* dst: the home, data: options of its tmpfs */
	NSB_OP_HOME_OVERLAY, /* src: the home on the host, dst: where its overlay goes, data: options of the upper tmpfs */
	NSB_OP_HOME_NONE,    /* dst: the home, made empty */
	NSB_OP_PROC,	     /* fresh /proc; data: its options */
	NSB_OP_SEAL,	     /* the root is made read-only */
	NSB_OP_PIVOT,	     /* new root in, old root gone */
	NSB_OP_PROVE,	     /* what was planned is what is there */
	NSB_OP_BECOME,	     /* root of the box, in its user namespace */
	NSB_OP_INIT,	     /* exec nsbox-init */
	/* on the host again */
	NSB_OP_PUBLISH, /* registry says ready */
	NSB_OP_RECORD,	/* utmp and wtmp of the host */
	NSB_OP_MAX
} nsb_op;

enum nsb_step_flags {
	NSB_STEP_OPTIONAL = 1 << 0,  /* a missing source or target is no error */
	NSB_STEP_RECURSIVE = 1 << 1, /* with the mounts below */
	NSB_STEP_READ_ONLY = 1 << 2,
	NSB_STEP_NOSUID = 1 << 3,
	NSB_STEP_NODEV = 1 << 4,
	NSB_STEP_NOEXEC = 1 << 5,
	NSB_STEP_SLAVE = 1 << 6,	 /* later mounts of the host arrive */
	NSB_STEP_SOURCE_IN_BOX = 1 << 7, /* src is a path of the new root */
	NSB_STEP_NO_SYMLINKS =
		1 << 8, /* dst is reached without any symbolic link: one there is an attack or a mistake */
	NSB_STEP_HOME =
		1 << 9, /* a missing dst may be made on a tmpfs over its empty parent; src and dst are opened with
				     * the user's rights where root has none */
	NSB_STEP_RENEW = 1 << 11,   /* what the host puts in the place of src later is bound again */
	NSB_STEP_IDMAP = 1 << 12,   /* owners on disk are shown as those of the box */
	NSB_STEP_OVER_LINK = 1 << 13, /* a symbolic link at dst is covered itself, wherever it leads */
	NSB_STEP_SESSION = 1 << 10, /* belongs to the login, not to the box: done as well where it joins one */
};

typedef struct nsb_step {
	nsb_op op;
	nsb_stage stage;
	unsigned flags;		/* nsb_step_flags */
	char *src, *dst, *data; /* NULL where the operation has none */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	const char *why;   /* one clause, static */
	nsb_origin origin; /* of the configuration line; file NULL: the default view */
} nsb_step;

#define NSB_LAYERS_MAX 64      /* their names go into one page of options, mount(2) */
#define NSB_PLAN_NETNS "netns:" /* NAME, below /run/netns */
#define NSB_PLAN_JOIN  "join:"	/* USER, whose box has the network namespace */
#define NSB_USER_GROUP "user-" /* UID: the name of the group above all boxes of a user */

typedef struct nsb_plan {
	nsb_step *steps; /* in the order of execution */
	size_t n_steps;
	uint64_t namespaces; /* CLONE_NEW* that the box has */
	int root_kind;	     /* nsb_root_kind */
	bool host_overlaid;  /* writes to the host's tree go to memory */
	char *terminal;	     /* path of the terminal the application brings; NULL if it makes its own */
	char *root;	     /* what it is called: "/" for the host, a path, "curated", or the layers */
	char **layers; /* paths of the trees that an overlay is made of, the uppermost first; none without an overlay */
	size_t n_layers;
	char *cgroup_parent;
	int cgroup_manager; /* nsb_cgroup_manager */
	bool share;	    /* the user's other logins join the box */
	char *terminals;    /* what such a login brings: "own" (makes them in the box), "host", or a path below /dev */
	int on_change;	    /* nsb_on_change */
	int64_t linger;	    /* ms; 0: not at all; NSB_INFINITY: for good */
	int64_t stop_timeout; /* ms */
	int64_t runtime_max;  /* ms; NSB_INFINITY: no end */
	char *hostname;
	bool record;	    /* a utmp record is written */
	char **environment; /* "NAME=VALUE" to set, "NAME" to unset, in the session */
	size_t n_environment;
	/* what the application takes upon itself at the join */
	uint64_t capabilities; /* the bounding set, a bit for each number */
	bool no_new_privs;
	int seccomp;	    /* nsb_seccomp */
	int user_namespace; /* nsb_user_namespace */
	char *subid_pool;   /* with keep-id: where the other ids come from; else NULL */
	char *kept_groups;  /* with keep-id: those that stay, "2001 3001"; a login with others cannot join; else NULL */
	nsb_network_record *network; /* veth, bridge: what is decided of it, without the names and addresses; else NULL */
	bool nested_namespaces;
	bool core;	    /* a crash may start the host's handler */
	char **unprotected; /* sentences: what this box does not protect against */
	size_t n_unprotected;
} nsb_plan;

/* Makes the plan. 0 with *ret (the caller frees by nsb_plan_done); -EINVAL with a sentence where a value does not fit
 * this session (specifier, path); -EBADMSG with one where values do not fit each other, whoever logs in; -ENOMEM. */
int nsb_plan_make(const nsb_session *session, const nsb_settings *settings, nsb_plan *ret, nsb_error *error);
void nsb_plan_done(nsb_plan *plan);

/* The step as one line of text for explain and golden tests (static words, no newline). NULL without memory; the caller
 * frees. */
char *nsb_plan_step_text(const nsb_step *step);

/* Not a plan of a box, but what is needed to bind again what the host has replaced in one that lives: the steps of the
 * default view that say so, and the file systems that hold their targets. 0, -ENOMEM. */
int nsb_plan_renewal(nsb_plan *ret);

/* The path on the host that tells whether a step with NSB_STEP_RENEW is to be done again. */
const char *nsb_plan_watched(const nsb_step *step);

/* The whole plan of the box as text, a line for each thing: two logins fit into one box if their plans, made for that
 * box's id, have the same text. Without the steps that belong to the login (NSB_STEP_SESSION). NULL without memory; the
 * caller frees. */
char *nsb_plan_text(const nsb_plan *plan);

/* Of it the lines that tell what the processes of the box may do. NULL without memory; the caller frees. */
char *nsb_plan_privileges_text(const nsb_plan *plan);

/* Of it the lines of a network of the box's own; "" without one. As above. */
char *nsb_plan_network_text(const nsb_plan *plan);

/* The word of an operation: "bind". */
const char *nsb_op_name(nsb_op op);

#endif
