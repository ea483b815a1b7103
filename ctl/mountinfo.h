/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mounts that a process sees, as the kernel has them. Names in them may be anybody's: a directory that somebody
 * made, the source and the type of a FUSE file system. Source: proc(5), /proc/PID/mountinfo.
 */
#ifndef NSB_CTL_MOUNTINFO_H
#define NSB_CTL_MOUNTINFO_H

#include <stddef.h>

#include "common/registry.h"

/* One line. All texts are pointers into it, with the kernel's own escapes (\040 for a blank), so none has a blank. */
typedef struct mount_row {
	char *line;
	const char *point, *type, *source, *options;
	const char *root;	   /* what of the file system is mounted: "/", or the directory that was bound */
	const char *super_options; /* of the file system, wherever it is mounted; the only text that may have blanks */
} mount_row;

typedef struct mount_list {
	mount_row *rows; /* in the kernel's order: what covers another mount stands behind it */
	size_t n;
} mount_list;

/* Splits one line, in place. -EBADMSG if it is none. */
int mountinfo_parse(char *line, mount_row *ret);

/* All mounts of exactly that process. -ESRCH if it is gone. The caller calls mountinfo_done(), also after an error. */
int mountinfo_read(const nsb_process *process, mount_list *ret);
void mountinfo_done(mount_list *list);

/* The text without the kernel's escapes. NULL without memory; the caller frees. */
char *mountinfo_decode(const char *text);

#endif
