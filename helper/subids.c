/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which range of ids a box has. The registry is the list of those that are taken: an entry says its range before anything
 * is made, and goes when all is cleaned, whoever cleans. One lock for all users is held from the look to the entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/config-checks.h"
#include "common/fd-util.h"
#include "helper/idmap.h"
#include "helper/share.h"
#include "helper/subid-ranges.h"

#define ENDING	     1000 /* ms that a box needs to end, beside stop_timeout */
#define PATIENCE_MAX 4000 /* ms: well before the helper's deadline */
#define NEXT_LOOK    50	  /* ms */

/* Whether an entry has this range, or a part of it. */
static bool is_taken(const uint32_t *taken, size_t n, uint32_t base)
{
	for (size_t i = 0; i < n; i++)
		if (taken[i] - base < NSB_SUBID_COUNT || base - taken[i] < NSB_SUBID_COUNT)
			return true;
	return false;
}

/* The ranges of all boxes, half-made ones included. The caller frees *ret. */
static int read_taken(int boxes, uint32_t **ret, size_t *ret_n)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	NSB_FREE nsb_entry *entry = malloc(sizeof(*entry));
	NSB_FREE uint32_t *taken = NULL;
	size_t n = 0, n_taken = 0;
	int r = entry == NULL ? -ENOMEM : nsb_registry_list(boxes, &ids, &n);

	if (r < 0)
		return r;
	taken = calloc(n + 1, sizeof(*taken));
	if (taken == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		r = nsb_registry_read(boxes, ids[i], entry);
		if (r == 0 && entry->subids != 0)
			taken[n_taken++] = entry->subids;
		/* gone, or not written by us; of what could not be read now the range may be anyone */
		if (r < 0 && r != -ENOENT && r != -EBADMSG && r != -EPROTO)
			return r;
	}
	*ret = nsb_steal_pointer(&taken);
	*ret_n = n_taken;
	return 0;
}

static uint32_t slots_in(const nsb_subid_range *range)
{
	return (range->last - range->first + 1) / NSB_SUBID_COUNT;
}

/* The first id of a slot, counted through all ranges. */
static uint32_t slot(const nsb_subid_range *range, uint32_t number)
{
	while (number >= slots_in(range)) {
		number -= slots_in(range);
		range++;
	}
	return range->first + number * NSB_SUBID_COUNT;
}

/* Where ids may be taken from. How many ranges, at least one. */
static int find_ranges(nsb_box *box, nsb_subid_range ranges[NSB_SUBID_RANGES_MAX])
{
	int r = nsb_parse_subid_pool(box->plan.subid_pool, &ranges[0].first, &ranges[0].last, &box->error);

	if (r <= 0)
		return r < 0 ? r : 1;
	r = subid_ranges(box->session.user, box->deadline, ranges, &box->error);
	if (r != 0)
		return r;
	return nsb_error_set(
		&box->error, ENOENT,
		"subid_pool = subuid: %s has no %d ids with the same numbers in /etc/subuid and /etc/subgid: "
		"usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST %s",
		box->session.user, NSB_SUBID_COUNT, box->session.user);
}

/* Beginning with one that depends on the user, so that it mostly gets the same again. */
static int choose(nsb_box *box, int boxes, uint32_t *ret)
{
	NSB_FREE uint32_t *taken = NULL;
	nsb_subid_range ranges[NSB_SUBID_RANGES_MAX];
	uint32_t slots = 0;
	size_t n = 0;
	int n_ranges = find_ranges(box, ranges), r;

	if (n_ranges < 0)
		return n_ranges;
	r = boxes >= 0 ? read_taken(boxes, &taken, &n) : 0;
	if (r < 0)
		return nsb_error_set(&box->error, r, "subid_pool: cannot look for a free range: %s", strerror(-r));
	for (int i = 0; i < n_ranges; i++)
		slots += slots_in(&ranges[i]);
	for (uint32_t i = 0; i < slots; i++) {
		uint32_t base = slot(ranges, (box->session.uid % slots + i) % slots);

		if (!is_taken(taken, n, base)) {
			*ret = base;
			return 0;
		}
	}
	/* not a fault of the box: with on_error = allow the one too many would be one without a box */
	box->forbidden = true;
	return nsb_error_set(
		&box->error, EUSERS,
		"subid_pool: boxes have all %u ranges of %d ids of %s: end some, or make the pool larger%s", slots,
		NSB_SUBID_COUNT, box->plan.subid_pool,
		strcmp(box->plan.subid_pool, "subuid") == 0 ? " (or write share = user)" : "");
}

/* After a logout the box needs its time to end, and whoever comes back at once is to get in. */
static int wait_for_range(nsb_box *box, int boxes)
{
	int64_t patience = box->plan.stop_timeout + ENDING;
	int64_t deadline = nsb_now() + (patience < PATIENCE_MAX ? patience : PATIENCE_MAX);
	int r;

	while ((r = choose(box, boxes, &box->subid_base)) == -EUSERS && nsb_now() < deadline &&
	       !(box->plan.share && share_joinable(box))) {
		box->error = (nsb_error){ .stage = box->error.stage };
		box->forbidden = false;
		nanosleep(&(struct timespec){ .tv_nsec = NEXT_LOOK * 1000L * 1000L }, NULL);
	}
	return r;
}

int subids_check(nsb_box *box)
{
	NSB_CLOSE int boxes = nsb_registry_open(false, NULL);

	if (boxes < 0 && boxes != -ENOENT)
		return nsb_error_set(&box->error, boxes, "cannot open the registry: %s", strerror(-boxes));
	return wait_for_range(box, boxes);
}

int subids_choose(nsb_box *box, int *ret_lock)
{
	NSB_CLOSE int lock = -1;
	int r = nsb_registry_lock_pool(box->boxes, NSB_POOL_SUBIDS, box->deadline, &lock);

	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot lock " NSB_RUNDIR "/users: %s", strerror(-r));
	r = choose(box, box->boxes, &box->subid_base);
	if (r < 0)
		return r;
	box->entry.subids = box->subid_base;
	*ret_lock = nsb_steal_fd(&lock);
	return 0;
}
