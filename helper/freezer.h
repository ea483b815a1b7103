/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a box is frozen. Read-only; also for nsboxctl. Sources: cgroup-v2.rst (cgroup.freeze, cgroup.events);
 * cgroup-v1/freezer-subsystem.rst.
 *
 *  - version 2: the box's own group, or under systemd the session's scope;
 *  - version 1: NSB_FREEZER_BASE/ID of the freezer tree, which exists only while the box is frozen. Its name does not
 *    depend on cgroup_parent, so that whoever cleans finds it without the configuration. Where one tree has both the
 *    freezer and the process limit it is the box's own group again.
 */
#ifndef NSB_FREEZER_H
#define NSB_FREEZER_H

#include <stdbool.h>

#include "common/registry.h"
#include "helper/cgroup.h"

#define NSB_FREEZER_BASE "nsbox"

/* The group that stands for the box: its own, or the scope. "" if it has none (a session without a box). */
const char *freezer_home(const nsb_entry *entry);

/* Whether the box is frozen, or being frozen. `tree`: of nsb_cgroup_freezer(); NULL where there is none. */
bool freezer_is_frozen(const nsb_entry *entry, const nsb_cgroup_tree *tree);

/* The number behind `word` in cgroup.events of a version 2 group ("frozen"); -1 where there is none. */
int freezer_event(int group, const char *word);

#endif
