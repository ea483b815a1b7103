/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of nsboxctl mkroot. */
#ifndef NSB_CTL_MKROOT_H
#define NSB_CTL_MKROOT_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define MKROOT_TREE	 "root" /* in the directory of work */
#define MKROOT_TEMPORARY "tmp"	/* so is this: what a killed program leaves goes with it */

/* --- mkroot-place.c: where it is made, and how it comes where it belongs --- */

/*
 * The tree is made in a directory of work beside its place, which nobody but root may enter: so the modes of a half-made
 * tree, or of a stranger's archive, do not matter yet. Only root can change the directory that both stand in, so
 * nobody exchanges either.
 */
typedef struct mkroot_place {
	char path[PATH_MAX]; /* where it is to be */
	char name[NAME_MAX + 1], work_name[32];
	char tree_path[PATH_MAX]; /* where it is made */
	int parent;		  /* directory that has, or will have, both */
	int work, tree;		  /* directories; -1 */
} mkroot_place;

/* Looks at `path` (absolute), makes nothing. -EPERM, -ENOENT, -ENOTEMPTY, -ENOTDIR, -EBUSY with a sentence. The caller
 * calls mkroot_place_done(), also after an error. */
int mkroot_place_find(mkroot_place *ret, const char *path, nsb_error *error);
/* Makes the directory of work with an empty tree, mode 0755, root's. */
int mkroot_place_begin(mkroot_place *place, nsb_error *error);
/* Root's, 0755, and in its place: all or nothing. */
int mkroot_place_finish(mkroot_place *place, nsb_error *error);
/* Removes whatever is left of the directory of work. -errno with a sentence if something remains. */
int mkroot_place_done(mkroot_place *place, nsb_error *error);

/* --- mkroot-work.c: another program fills the tree --- */

/* The signals by which somebody wants nsboxctl to end, blocked from now on. */
void mkroot_signals_hold(sigset_t *ret_before);
/* The one that has come meanwhile, 0 if none has. */
int mkroot_signals_came(void);

typedef struct mkroot_work {
	char *const *arguments;	 /* [0] is the path of the program */
	int input;		 /* its standard input; -1: nothing */
	int directory;		 /* its descriptor 3; -1: none */
	const sigset_t *signals; /* its signal mask */
	const char *temporary;	 /* its TMPDIR; NULL: none */
} mkroot_work;

/*
 * Runs the program in a mount and a PID namespace of its own and waits for it; when this returns, no process and no mount
 * of its making is left. Its standard output is standard error. 0 if it succeeded; -EINTR with the signal in
 * *ret_signal; -ECANCELED with a sentence if it failed. Source: mount_namespaces(7), pid_namespaces(7).
 */
int mkroot_work_run(const mkroot_work *work, int *ret_signal, nsb_error *error);

/* --- mkroot-busybox.c, mkroot-points.c: what nsboxctl makes itself --- */

/* A tree that has the host's static busybox under all its names, and the files of /etc that go with it. */
int mkroot_busybox(const mkroot_place *place, nsb_error *error);

/* Makes what is missing of the places that a box mounts something on. -ELOOP, -ENOTDIR with a sentence if something is
 * in the way. */
int mkroot_points(const mkroot_place *place, nsb_error *error);

/* -ENODATA with a sentence if the tree has nothing that a root has. */
int mkroot_looks_like_root(const mkroot_place *place, nsb_error *error);

#endif
