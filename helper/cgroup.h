/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process limit by plain cgroupfs writing, version 1 (pids tree) and version 2.
 * Sources: Documentation/admin-guide/cgroup-v1/{cgroups,pids}.rst, cgroup-v2.rst.
 */
#ifndef NSB_CGROUP_H
#define NSB_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

typedef struct nsb_cgroup_tree {
	int version;		    /* 1, 2; 0: none found */
	char mount[PATH_MAX];	    /* where the tree is mounted */
	char own[PATH_MAX];	    /* directory of the group that this process is in */
	char unified_own[PATH_MAX]; /* as `own`, in the tree of `unified`; "" if none or out of sight */
	char unified[PATH_MAX];	    /* where a version 2 tree is mounted beside one of version 1; "" if none */
} nsb_cgroup_tree;

/* The tree whose pids controller can be used, from the texts of /proc/self/mountinfo and /proc/self/cgroup: a version 1
 * tree with pids if there is one, else the version 2 tree (whether that has the controller, its files say).
 * 0; -ENOENT without any; -EBADMSG if the two texts do not fit. Pure. */
int nsb_cgroup_choose(const char *mountinfo, const char *self_cgroup, nsb_cgroup_tree *ret, nsb_error *error);

/* The same for this process, and that the limit can be set there: `limit` "max" needs no controller.
 * Errors: as above, -ENOTSUP without the controller, -EROFS/-EACCES if the tree cannot be written. Changes nothing. */
int nsb_cgroup_find(const char *limit, nsb_cgroup_tree *ret, nsb_error *error);

/* Makes PATH (relative, "nsbox/ID") below the tree with its ancestors, delegates the controller where version 2 wants
 * that, sets pids.max. *ret: directory of the group; the caller closes. On failure the group is gone again; ancestors
 * stay, they are shared. */
int nsb_cgroup_make(const nsb_cgroup_tree *tree, const char *path, const char *limit, int *ret, nsb_error *error);

/* The file that takes "0" from a process that wants to enter: `tasks` (version 1: 0.05 ms, moves one thread) or
 * `cgroup.procs`. Opened for writing, O_CLOEXEC. */
int nsb_cgroup_open_join(const nsb_cgroup_tree *tree, int group, nsb_error *error);

/* The path of that file in the group this process is in: the way back for a member that leaves. */
int nsb_cgroup_way_back(const nsb_cgroup_tree *tree, char *buffer, size_t size);

/* Moves this process out of the application's groups into PARENT/monitors, so that whoever ends the application's
 * session, or is allowed to freeze and kill its group (delegation to the user), does not reach the monitor. Version 1
 * writes "0" to tasks; version 2, also where it is mounted beside version 1, continues in a child made by clone3(2)
 * with CLONE_INTO_CGROUP and ends the parent, because moving costs 5 to 11 ms there: call it before anything is held
 * that a child does not inherit (record locks). */
int nsb_cgroup_settle(const nsb_cgroup_tree *tree, const char *parent, nsb_error *error);

/* Removes a group by its absolute path: what is left in it is moved to PARENT (version 2: PARENT/monitors) first.
 * Tries for `patience` ms. 0 also if it does not exist. */
int nsb_cgroup_remove(const char *directory, int patience);

#endif
