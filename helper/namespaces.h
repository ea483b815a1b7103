/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_HELPER_NAMESPACES_H
#define NSB_HELPER_NAMESPACES_H

#include "helper/box.h"

/* The inode of /proc/self/ns/mnt, or 0: two processes share a mount namespace if theirs are equal, namespaces(7). */
ino_t namespaces_own_mount(void);

/* The mount id of a process's root as nsb_mount_id(), or 0: where whoever joins its mount namespace must find itself. */
unsigned long long namespaces_root_mount(pid_t pid);

/* What namespaces_spawn() runs in the child that it makes (nsbox-helper.c): the stages build to exec. */
void builder_main(nsb_box *box) __attribute__((noreturn));

#endif
