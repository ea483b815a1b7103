/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/idmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/settings.h"

static int compare(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return one < other ? -1 : one > other;
}

int nsb_kept_ids_make(const nsb_session *session, nsb_kept_ids *ret)
{
	nsb_kept_ids kept = { .uid = session->uid };
	size_t n = 0;

	kept.gids = calloc(session->n_groups + 1, sizeof(*kept.gids));
	if (kept.gids == NULL)
		return -ENOMEM;
	kept.gids[n++] = session->gid;
	for (size_t i = 0; i < session->n_groups; i++)
		kept.gids[n++] = session->groups[i].gid;
	qsort(kept.gids, n, sizeof(*kept.gids), compare);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || kept.gids[i] != kept.gids[i - 1])
			kept.gids[kept.n_gids++] = kept.gids[i];
	*ret = kept;
	return 0;
}

void nsb_kept_ids_done(nsb_kept_ids *kept)
{
	free(kept->gids);
	*kept = (nsb_kept_ids){ 0 };
}

/* A map while it is written. */
typedef struct map {
	char *text;
	size_t used, lines;
	int r;
} map;

static void add(map *m, uint32_t inside, uint32_t outside, uint32_t count)
{
	int n;

	if (m->r < 0 || count == 0)
		return;
	n = snprintf(m->text + m->used, NSB_IDMAP_TEXT_MAX - m->used, "%u %u %u\n", inside, outside, count);
	if (n < 0 || m->used + (size_t)n >= NSB_IDMAP_TEXT_MAX || ++m->lines > NSB_IDMAP_LINES_MAX)
		m->r = -E2BIG;
	else
		m->used += (size_t)n;
}

int nsb_idmap_text(const uint32_t *kept, size_t n_kept, uint32_t base, char *text)
{
	map m = { .text = text };
	uint32_t next = 0; /* the first one below 65536 that is not mapped yet */

	text[0] = '\0';
	for (size_t i = 0; i < n_kept;) {
		uint32_t first = kept[i], count = 1;

		while (i + count < n_kept && kept[i + count] == first + count)
			count++;
		i += count;
		if (first - base < NSB_SUBID_COUNT || base - first < count)
			return -EEXIST;
		if (next < NSB_SUBID_COUNT)
			add(&m, next, base + next, (first < NSB_SUBID_COUNT ? first : NSB_SUBID_COUNT) - next);
		add(&m, first, first, count);
		next = first < NSB_SUBID_COUNT ? first + count : NSB_SUBID_COUNT;
	}
	if (next < NSB_SUBID_COUNT)
		add(&m, next, base + next, NSB_SUBID_COUNT - next);
	return m.r;
}

static uint32_t move(bool stays, uint32_t base, uint32_t id)
{
	return stays || id >= NSB_SUBID_COUNT ? id : base + id;
}

uint32_t nsb_idmap_uid(const nsb_kept_ids *kept, uint32_t base, uint32_t uid)
{
	return move(uid == kept->uid, base, uid);
}

uint32_t nsb_idmap_gid(const nsb_kept_ids *kept, uint32_t base, uint32_t gid)
{
	return move(bsearch(&gid, kept->gids, kept->n_gids, sizeof(gid), compare) != NULL, base, gid);
}

static int check_kept(const nsb_session *session, const nsb_kept_ids *kept, uint32_t first, uint32_t last,
		      nsb_error *error)
{
	char text[NSB_IDMAP_TEXT_MAX];
	uint32_t highest = (last > 0 ? last : INT32_MAX) - (NSB_SUBID_COUNT - 1);
	uint32_t in_pool = kept->uid >= first && kept->uid <= last ? kept->uid : 0;

	for (size_t i = 0; i < kept->n_gids; i++)
		if (kept->gids[i] >= first && kept->gids[i] <= last)
			in_pool = kept->gids[i];
	if (in_pool != 0 && last > 0)
		return nsb_error_set(
			error, EINVAL,
			"user_namespace = keep-id: the id %u of %s lies in subid_pool (%u-%u), which must be "
			"nobody's: choose another pool",
			in_pool, session->user, first, last);
	/* the longest numbers that the pool can give */
	if (nsb_idmap_text(kept->gids, kept->n_gids, highest, text) == -E2BIG)
		return nsb_error_set(
			error, EINVAL,
			"user_namespace = keep-id: %s is in %zu groups, and each needs a line of its own in a "
			"map of which the kernel takes %d lines and %d bytes: take the user out of groups",
			session->user, kept->n_gids, NSB_IDMAP_LINES_MAX, NSB_IDMAP_TEXT_MAX);
	return 0;
}

int nsb_idmap_check(const nsb_session *session, uint32_t first, uint32_t last, nsb_error *error)
{
	nsb_kept_ids kept;
	int r;

	if (session->uid == 0)
		return nsb_error_set(error, EINVAL,
				     "user_namespace = keep-id: %s has uid 0, which would stay root of the host: keep "
				     "root out of the profile (users = * !root), or write user_namespace = no",
				     session->user);
	r = nsb_kept_ids_make(session, &kept);
	if (r < 0)
		return r;
	r = check_kept(session, &kept, first, last, error);
	nsb_kept_ids_done(&kept);
	return r;
}
