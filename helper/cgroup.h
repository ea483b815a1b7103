/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control groups by plain cgroupfs writing: version 1 (a tree for each controller), version 2, and both beside each
 * other. Sources: Documentation/admin-guide/cgroup-v1/cgroups.rst, cgroup-v2.rst; systemd's CGROUP_DELEGATION.
 *
 * cgroup-layout.c decides which trees a box needs, cgroup.c makes and removes groups, limits.c knows what is written
 * into them.
 */
#ifndef NSB_CGROUP_H
#define NSB_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/limit-table.h"

#define NSB_CGROUP_TREES_MAX 7 /* pids, memory, cpu, cpuset, blkio, cpuacct; version 2 */
#define NSB_CGROUP_MONITORS  "monitors"

/* Bytes of a path, its NUL included. A tree whose mount, or a base whose name, is longer could not hold a box: the registry
 * has as much for the directory of a whole group. */
#define NSB_CGROUP_MOUNT_MAX 256
#define NSB_CGROUP_OWN_MAX   1024

typedef struct nsb_cgroup_tree {
	int version;			  /* 1, 2 */
	unsigned controllers;		  /* 1 << nsb_controller that the box uses here ... */
	unsigned wanted;		  /* ... those of them that a limit needs; the others only count and weigh */
	char mount[NSB_CGROUP_MOUNT_MAX]; /* where the tree is mounted */
	char own[NSB_CGROUP_OWN_MAX];	  /* directory of the group that this process is in */
} nsb_cgroup_tree;

typedef struct nsb_cgroup_layout {
	nsb_cgroup_tree trees[NSB_CGROUP_TREES_MAX]; /* [0]: home, whose group stands for the box */
	size_t n_trees;
	int tree_of[NSB_CONTROLLERS];	      /* index in `trees`; -1: missing */
	char unified[NSB_CGROUP_MOUNT_MAX];   /* where a version 2 tree is mounted that is none of `trees`; "" if none */
	char unified_own[NSB_CGROUP_OWN_MAX]; /* directory of this process's group there; "" if none or out of sight */
	char freezer[NSB_CGROUP_MOUNT_MAX];   /* version 1: where the freezer tree is mounted, if this process is not in
						 its root; else "" */
	char base[NSB_CGROUP_MOUNT_MAX];      /* the group below which boxes are made, relative to each mount: "nsbox" */
	bool delegated;			      /* `base` was made by systemd: nothing above it is ours */
	char scope_unit[NAME_MAX + 1];	      /* the application leads a logind session: its scope is the box's group;
						 else "" */
} nsb_cgroup_layout;

/* Which trees are used, from the texts of /proc/self/mountinfo and /proc/self/cgroup and the controllers of the version
 * 2 tree ("cpu io memory pids"). Home is a version 1 tree with pids if there is one, else the version 2 tree. Each
 * controller of `wanted` or `accounting` (bits) is looked for in version 1 trees, then in version 2; a tree that only
 * accounts and cannot be used is left out. 0; -ENOENT without any tree; -EBADMSG if the texts do not fit;
 * -ENAMETOOLONG. Pure. */
int nsb_cgroup_choose(const char *mountinfo, const char *self_cgroup, const char *unified_controllers, unsigned wanted,
		      unsigned accounting, nsb_cgroup_layout *ret, nsb_error *error);

/* The same for this process. A controller of `wanted` that is missing is the caller's to complain of (tree_of).
 * Errors: as above, -EROFS/-EACCES if a tree cannot be written. Changes nothing. */
int nsb_cgroup_find(unsigned wanted, nsb_cgroup_layout *ret, nsb_error *error);

/* Who makes groups: under systemd (`manager`, an nsb_cgroup_manager; auto asks whether systemd booted a host with one
 * version 2 tree) the base is the group of nsbox.service, whose controllers count; else `parent` below each mount.
 * -ENOENT if that service does not run, -ENOTSUP if systemd is asked for where it is not. Changes nothing but *layout.
 */
int nsb_cgroup_manage(nsb_cgroup_layout *layout, int manager, const char *parent, nsb_error *error);

/* The version 1 tree with the freezer: where it is mounted, and as `own` the directory of the group that process `pid`
 * is in. -ENOENT where there is none, -ESRCH if the process is gone. */
int nsb_cgroup_freezer(pid_t pid, nsb_cgroup_tree *ret, nsb_error *error);

/* Bits of the controllers of a version 2 group (a directory). */
unsigned nsb_cgroup_controllers(const char *group);

/* Makes PATH (relative, "nsbox/ID") below the tree with its ancestors, and hands the tree's controllers down where
 * version 2 wants that. *ret: directory of the group; the caller closes. On failure the group is gone again; ancestors
 * stay, they are shared. */
int nsb_cgroup_make(const nsb_cgroup_layout *layout, size_t tree, const char *path, int *ret, nsb_error *error);

/* The file that takes "0" from a process that wants to enter: `tasks` (version 1: 0.05 ms, moves one thread) or
 * `cgroup.procs`. Opened for writing, O_CLOEXEC. */
int nsb_cgroup_open_join(const nsb_cgroup_tree *tree, int group, nsb_error *error);

/* The path of that file in the group this process is in: the way back for a member that leaves. */
int nsb_cgroup_way_back(const nsb_cgroup_tree *tree, char *buffer, size_t size);

/* Moves this process out of the application's groups into BASE/monitors, so that whoever ends the application's
 * session, or is allowed to freeze and kill its group (delegation to the user), does not reach the monitor. (In the
 * freezer tree of version 1 into the root.) Version 1 writes "0" to tasks. Where there is version 2, alone or beside
 * version 1, *ret_group is the directory of the group there, which the caller closes; else -1. Moving costs 5 to 11 ms
 * in that tree, so it is for continue_in(). An error may leave this process in some of the groups. */
int nsb_cgroup_settle(const nsb_cgroup_layout *layout, int *ret_group, nsb_error *error);

/* Removes a group by its absolute path: what is left in it is moved to the monitors' group first. A group of a user
 * above it goes as well when it is empty. Tries for `patience` ms. 0 also if it does not exist. */
int nsb_cgroup_remove(const char *directory, int patience);

/* Opens a child group, made if need be (*ret_made). The caller closes. */
int nsb_cgroup_open_group(const nsb_cgroup_tree *tree, int parent, const char *name, bool *ret_made, nsb_error *error);

/* Version 2: hands the tree's controllers down from the group `dir`; `name`: what it is called in an error. Only for
 * one that is wanted a failure is one. */
int nsb_cgroup_hand_down(const nsb_cgroup_tree *tree, int dir, const char *name, nsb_error *error);

#endif
