/* SPDX-License-Identifier: BSD-3-Clause */
/* The one structure that changes while a box is made. Everything in it is owned by the helper's main(). */
#ifndef NSB_BOX_H
#define NSB_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/idmap.h"
#include "common/plan.h"
#include "common/profile.h"
#include "common/protocol.h"
#include "common/registry.h"
#include "common/session.h"
#include "common/settings.h"
#include "helper/account-ask.h"
#include "helper/cgroup.h"
#include "helper/userns-make.h"

#define NSB_BOX_MOUNTS_MAX 256

/* one group in each tree: written down for whoever cleans, and sent to the application beside the pidfd of PID 1 */
_Static_assert(NSB_CGROUP_TREES_MAX <= NSB_ENTRY_CGROUPS_MAX, "a registry entry must hold the groups of a box");
_Static_assert(NSB_CGROUP_TREES_MAX + 2 <= NSB_ANSWER_FDS_MAX, "an answer must hold the groups of a box");

/* A mount that this box made: proved at the end by its id. */
typedef struct nsb_made_mount {
	const char *dst; /* of the plan's step, or inside it */
	unsigned long long id;
	bool fresh_tmpfs; /* missing mount points may be made on it */
} nsb_made_mount;

typedef struct nsb_box {
	/* the request */
	int socket;
	int app; /* pidfd */
	int64_t deadline;
	nsb_request request;
	account_question question; /* asked and not answered yet, unless the request says the account */
	nsb_error error;
	/* decided before anything is done */
	nsb_config *config;
	nsb_problems problems;
	nsb_session session;
	nsb_settings settings;
	nsb_choice choice;
	nsb_plan plan;
	bool planned;
	/* could be boxed, but is not to be (on_change = refuse; overlay of another box): on_error does not count */
	bool forbidden;
	/* user_namespace = keep-id (idmap.h) */
	nsb_kept_ids kept;
	uint32_t subid_base;	 /* the first id of the box's range; 0: the box has the host's ids */
	bool lived_in;		 /* somebody has been in the box already: nothing of its root's is trusted */
	int userns, hole;	 /* maps: the box's user namespace; all ids but those of boxes */
	int owned[USERNS_OWNED]; /* UTS, IPC, network: of the box's user namespace */
	int entered;		 /* the network namespace that the box enters (network-enter.c); -1 */
	/* found by check */
	nsb_cgroup_layout layout;
	int init_program, monitor_program; /* O_PATH */
	int tree;			   /* what the root is made of, for the checks */
	bool tree_is_image;		   /* mounted by the check, and moved by the builder */
	ino_t host_mount_namespace;
	/* made on the host */
	int boxes; /* registry directory */
	int lock;
	int user_lock; /* while the user's sessions are counted, and looked through for a box to join */
	bool joining;  /* the box of the user is there: only the steps of the login are done */
	int monitor;   /* connection to its monitor, which keeps the box for us */
	int listener;  /* control socket of a box that others may join */
	nsb_member member;
	nsb_entry entry;
	int cgroups[NSB_CGROUP_TREES_MAX];	/* directory of the box's group in each tree of the layout */
	int cgroups_join[NSB_CGROUP_TREES_MAX]; /* file in it that takes "0"; -1 where nobody moves */
	/* under systemd: what the units' limits were, as arguments of nsbox-bus, one a line; NULL while they still are.
	 * Those of the slice are not put back. */
	char *scope_before, *slice_before;
	int upper; /* directory that keeps what is written; its lock is held as long as the monitor lives */
	int upper_lock;
	bool network_left; /* it could not be taken away: the entry stays for whoever sweeps */
	int filter;	 /* seccomp program for the application; -1: none */
	bool upper_made; /* by this login: an undo takes it away, if it has the lock as well */
	bool upper_locked;
	int life[2]; /* life pipe */
	size_t done; /* steps of the plan that ran */
	/* made by spawn */
	pid_t init_pid;
	int init; /* pidfd */
	int status[2];
	/* the builder's */
	int layers[NSB_LAYERS_MAX];
	size_t n_layers;
	int memory; /* directory: what is written to the overlays over the host's tree */
	int host_root, root; /* directories: the tree we came from, the tree to be */
	unsigned long long root_mount;
	nsb_made_mount mounts[NSB_BOX_MOUNTS_MAX];
	size_t n_mounts;
} nsb_box;

#endif
