/* SPDX-License-Identifier: BSD-3-Clause */
/* Control group trees as /proc/PID/mountinfo and /proc/PID/cgroup tell of them: proc_pid_mountinfo(5), cgroups(7). */
#ifndef NSB_CGROUP_MOUNTS_H
#define NSB_CGROUP_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "helper/cgroup.h"

/* The fields of a mountinfo line that matter here, unescaped. */
typedef struct cgroup_mount {
	char *root, *point, *type, *options;
} cgroup_mount;

/* What is looked through. */
typedef struct cgroup_texts {
	char *copy;	      /* of mountinfo: the fields of `mounts` are places in it */
	cgroup_mount *mounts; /* of all types */
	size_t n;
	const char *self_cgroup; /* the caller's text */
} cgroup_texts;

/* The lines of a file that hold `word`, as one text in *ret (the caller frees). The whole may be large: a user with
 * fusermount(1) makes a thousand mounts with names of 4 kB. 0 or negative errno with a sentence; -EFBIG: 64 MiB. */
int cgroup_read_lines(const char *path, const char *word, char **ret, nsb_error *error);

/* Fills copy, mounts and n, which cgroup_texts_done() frees, after an error too. 0 or -ENOMEM. */
int cgroup_parse_mounts(const char *mountinfo, cgroup_texts *ret);
void cgroup_texts_done(cgroup_texts *t);
#define CGROUP_TEXTS __attribute__((cleanup(cgroup_texts_done))) cgroup_texts

/* The first mount of a tree: of version 1 with that controller, or of version 2 (NULL). NULL if it is not mounted. */
const cgroup_mount *cgroup_find_mount(const cgroup_texts *from, const char *controller);

/* The directory of the process's group in the tree at `line` (controller NULL: version 2). 0; -EBADMSG if the process is in
 * none, or that is not below what the mount shows; -ENAMETOOLONG with a sentence. */
int cgroup_own_directory(const cgroup_texts *from, const cgroup_mount *line, const char *controller, char *ret,
			 size_t size, nsb_error *error);

/* Where the tree is mounted. 0 or -ENAMETOOLONG with a sentence. */
int cgroup_copy_point(const cgroup_mount *line, char ret[NSB_CGROUP_MOUNT_MAX], nsb_error *error);

/* The tree at `line`, with the directory of the process's group there. 0, or -EBADMSG or -ENAMETOOLONG with a
 * sentence. */
int cgroup_fill_tree(const cgroup_texts *from, const cgroup_mount *line, const char *controller, nsb_cgroup_tree *ret,
		     nsb_error *error);

/* Whether `word` is one of the words divided by commas; of NULL none is. */
bool cgroup_has_word(const char *words, const char *word);

#endif
