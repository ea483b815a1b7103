/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ids of a box with user_namespace = keep-id: the user and its groups are the same inside and outside, every other id
 * from 0 to 65535 is that many above a base, in a range that is the box's alone. Pure. Source: user_namespaces(7).
 */
#ifndef NSB_IDMAP_H
#define NSB_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/session.h"

#define NSB_IDMAP_LINES_MAX 340	 /* of one map, Linux since 4.15 */
#define NSB_IDMAP_TEXT_MAX  4096 /* a map is one write(2) of less than a page */

/* The ids that stay as they are. */
typedef struct nsb_kept_ids {
	uint32_t uid;
	uint32_t *gids; /* sorted, each once */
	size_t n_gids;
} nsb_kept_ids;

/* The user and all its groups. The caller frees by nsb_kept_ids_done(). -ENOMEM. */
int nsb_kept_ids_make(const nsb_session *session, nsb_kept_ids *ret);
void nsb_kept_ids_done(nsb_kept_ids *kept);

/* The text for /proc/PID/uid_map or gid_map: `kept` (sorted, each once) stay, the rest begins at `base`. `text`:
 * NSB_IDMAP_TEXT_MAX bytes. 0; -E2BIG: too many lines or bytes for the kernel; -EEXIST: a kept id lies in the range. */
int nsb_idmap_text(const uint32_t *kept, size_t n_kept, uint32_t base, char *text);

/* What an id that the plan names is on the host. */
uint32_t nsb_idmap_uid(const nsb_kept_ids *kept, uint32_t base, uint32_t uid);
uint32_t nsb_idmap_gid(const nsb_kept_ids *kept, uint32_t base, uint32_t gid);

/* Whether a session can have such a box, with ids from `first` to `last`; both 0: from where is not known yet. 0; -EINVAL with a sentence; -ENOMEM. */
int nsb_idmap_check(const nsb_session *session, uint32_t first, uint32_t last, nsb_error *error);

#endif
