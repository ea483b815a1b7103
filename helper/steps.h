/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The functions behind the plan's operations, one a row of the table in build.c. Each runs one step: 0, or a negative
 * errno with a sentence in box->error. Those of the host have an undo, which must work after a half-done run as well;
 * what happens inside the new namespaces dies with PID 1.
 */
#ifndef NSB_STEPS_H
#define NSB_STEPS_H

#include "helper/box.h"

/* host.c */
int host_sessions_check(nsb_box *box, int boxes, const char *max); /* no step: how many there are, without a lock */
int host_lock_user(nsb_box *box);				   /* no step; nothing if it is locked */
int host_sessions(nsb_box *box, const nsb_step *step);
void host_sessions_done(nsb_box *box, const nsb_step *step);
int host_register_unboxed(nsb_box *box); /* no step: the entry of a session that on_error=allow lets in without a box */
int host_register(nsb_box *box, const nsb_step *step);
void host_unregister(nsb_box *box, const nsb_step *step);
int host_member(nsb_box *box, const nsb_step *step);
void host_member_remove(nsb_box *box, const nsb_step *step);
int host_control(nsb_box *box, const nsb_step *step);
void host_control_close(nsb_box *box, const nsb_step *step);
int host_publish(nsb_box *box, const nsb_step *step);
int host_record(nsb_box *box, const nsb_step *step);
void host_record_close(nsb_box *box, const nsb_step *step);

/* host-cgroup.c */
int host_cgroup_paths(nsb_box *box); /* no step: entry.cgroups and entry.scope, written down before anything is made */
int host_cgroup(nsb_box *box, const nsb_step *step);
void host_cgroup_remove(nsb_box *box, const nsb_step *step);
int host_limit(nsb_box *box, const nsb_step *step);
void host_limit_undo(nsb_box *box, const nsb_step *step);

/* filter.c */
int filter_prepare(nsb_box *box, const nsb_step *step);
void filter_drop(nsb_box *box, const nsb_step *step);

/* namespaces.c */
int namespaces_spawn(nsb_box *box, const nsb_step *step);
void namespaces_kill(nsb_box *box, const nsb_step *step);
int namespaces_assert(nsb_box *box, const nsb_step *step);
int namespaces_enter_cgroup(nsb_box *box, const nsb_step *step);
int namespaces_hostname(nsb_box *box, const nsb_step *step);
int namespaces_domainname(nsb_box *box, const nsb_step *step);
int namespaces_loopback(nsb_box *box, const nsb_step *step);

/* network.c */
int network_step(nsb_box *box, const nsb_step *step);
void network_undo(nsb_box *box, const nsb_step *step);

/* userns.c */
int userns_step(nsb_box *box, const nsb_step *step);
void userns_undo(nsb_box *box, const nsb_step *step);
int userns_enter_owned(nsb_box *box, const nsb_step *step);
int userns_become(nsb_box *box, const nsb_step *step);

/* network-enter.c */
bool network_enters(const nsb_plan *plan);	 /* no step: whether the plan has the one below */
int network_enter_check(nsb_box *box);		 /* no step: finds and holds it; 0 as well where there is none to enter */
int network_enter(nsb_box *box, const nsb_step *step);

/* mounts.c */
int mounts_detach(nsb_box *box, const nsb_step *step);
int mounts_detach_kernel(nsb_box *box, const nsb_step *step);
int mounts_mount(nsb_box *box, const nsb_step *step); /* also the fresh /proc */
int mounts_bind(nsb_box *box, const nsb_step *step);
int mounts_bind_link_target(nsb_box *box, const nsb_step *step);
int mounts_mask(nsb_box *box, const nsb_step *step);

/* root.c */
int root_tree(nsb_box *box, const nsb_step *step);
int root_tmpfs(nsb_box *box, const nsb_step *step);
int root_layer(nsb_box *box, const nsb_step *step);
int root_overlay(nsb_box *box, const nsb_step *step);
int root_alias(nsb_box *box, const nsb_step *step);
int root_seal(nsb_box *box, const nsb_step *step);
int root_pivot(nsb_box *box, const nsb_step *step);

/* overlay-host.c */
int overlay_host(nsb_box *box, const nsb_step *step);
int overlay_host_written(nsb_box *box, const nsb_step *step);

/* upper.c */
int upper_prepare(nsb_box *box, const nsb_step *step);
void upper_undo(nsb_box *box, const nsb_step *step);

/* files.c: below the new root, on file systems that this box mounted */
int files_mkdir(nsb_box *box, const nsb_step *step);
int files_file(nsb_box *box, const nsb_step *step);
int files_like(nsb_box *box, const nsb_step *step);
int files_hosts(nsb_box *box, const nsb_step *step);
int files_symlink(nsb_box *box, const nsb_step *step);
int files_node(nsb_box *box, const nsb_step *step);
int files_credentials(nsb_box *box, const nsb_step *step);

/* not a step: the new, empty file at the step's dst, with that mode and owner; the caller closes *ret */
int files_create(nsb_box *box, const nsb_step *step, mode_t mode, uid_t uid, gid_t gid, int *ret);

/* account-files.c */
int account_files_check(nsb_box *box); /* no step: whether what these read can be read, before anything is done */
int account_files_lines(nsb_box *box, const nsb_step *step);
int account_files_names(nsb_box *box, const nsb_step *step);

/* resolver.c */
int resolver_check(nsb_box *box); /* no step: whether there is a place for it */
int resolver_make(nsb_box *box, const nsb_step *step);

/* home.c */
int home_tmpfs(nsb_box *box, const nsb_step *step);
int home_overlay(nsb_box *box, const nsb_step *step);
int home_none(nsb_box *box, const nsb_step *step);

/* devices.c */
int devices_bind(nsb_box *box, const nsb_step *step);

/* prove.c */
int prove_box(nsb_box *box, const nsb_step *step);

/* init.c */
int init_exec(nsb_box *box, const nsb_step *step);

#endif
