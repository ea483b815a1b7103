/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/boxes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "helper/freezer.h"

/* What is looked at for every box. */
typedef struct look {
	int registry;
	const nsb_cgroup_tree *freezer; /* NULL: no tree */
} look;

void boxes_done(boxes *list)
{
	free(list->entries);
	*list = (boxes){ 0 };
}

/* What the files say is what somebody last wrote there; what is so now may be more. */
static void correct_state(const look *at, nsb_entry *entry, pid_t holder)
{
	if (holder == 0)
		snprintf(entry->state, sizeof(entry->state), "%s", STATE_CRASHED);
	else if (strcmp(entry->state, NSB_STATE_READY) == 0 && freezer_is_frozen(entry, at->freezer))
		snprintf(entry->state, sizeof(entry->state), "%s", STATE_FROZEN);
}

/* Reads one entry: 1, 0 if it is none (any more), or negative errno. */
static int read_entry(const look *at, const char *id, nsb_entry *ret)
{
	pid_t holder;
	int r = nsb_registry_read(at->registry, id, ret);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	holder = nsb_registry_holder(at->registry, id);
	if (holder == -ENOENT)
		return 0;
	correct_state(at, ret, holder);
	return 1;
}

static int add(boxes *list, const nsb_entry *entry)
{
	nsb_entry *entries = nsb_grow(list->entries, list->n, sizeof(*entries));

	if (entries == NULL)
		return -ENOMEM;
	list->entries = entries;
	entries[list->n++] = *entry;
	return 0;
}

static int older_first(const void *a, const void *b)
{
	const nsb_entry *one = a, *other = b;

	if (one->started != other->started)
		return one->started < other->started ? -1 : 1;
	return strcmp(one->id, other->id);
}

static int read_all(const look *at, bool quiet, boxes *ret, nsb_error *error)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	size_t n = 0;
	int r = nsb_registry_list(at->registry, &ids, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		nsb_entry entry;
		int found = ids[i][0] == '.' ? 0 : read_entry(at, ids[i], &entry);

		if (found > 0)
			r = add(ret, &entry);
		ret->damaged |= found < 0;
		if (found < 0 && !quiet)
			fprintf(stderr, "nsboxctl: the registry entry %s cannot be read: %s\n", ids[i],
				found == -EPROTO ? "it is of another version of nsbox" : strerror(-found));
	}
	return r < 0 ? nsb_error_set(error, r, "cannot read the registry: %s", strerror(-r)) : 0;
}

int boxes_read(boxes *ret, bool quiet, nsb_error *error)
{
	NSB_FREE nsb_cgroup_tree *freezer = malloc(sizeof(*freezer));
	nsb_error why = { 0 };
	NSB_CLOSE int registry = nsb_registry_open(false, &why);
	look at = { .registry = registry };
	int r;

	*ret = (boxes){ 0 };
	if (registry == -ENOENT)
		return 0;
	if (registry < 0)
		return nsb_error_set(error, registry, "%s", why.words);
	if (freezer != NULL && nsb_cgroup_freezer(getpid(), freezer, NULL) == 0)
		at.freezer = freezer;
	r = read_all(&at, quiet, ret, error);
	if (r == 0 && ret->n > 0)
		qsort(ret->entries, ret->n, sizeof(*ret->entries), older_first);
	return r;
}

static int find(int registry, const char *text, nsb_entry *ret, nsb_error *error)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	NSB_FREE nsb_cgroup_tree *freezer = malloc(sizeof(*freezer));
	look at = { .registry = registry };
	const char *found = NULL;
	size_t n = 0;
	int r = nsb_registry_list(registry, &ids, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (text[0] == '\0' || ids[i][0] == '.' || strncmp(ids[i], text, strlen(text)) != 0)
			continue;
		if (found != NULL)
			return nsb_error_set(error, EINVAL, "several boxes begin with \"%s\": give more of the id",
					     text);
		found = ids[i];
	}
	if (freezer != NULL && nsb_cgroup_freezer(getpid(), freezer, NULL) == 0)
		at.freezer = freezer;
	if (r == 0)
		r = found == NULL ? 0 : read_entry(&at, found, ret);
	if (r == 0)
		return nsb_error_set(error, ENOENT, "there is no box \"%s\" (see nsboxctl list)", text);
	return r < 0 ? nsb_error_set(error, r, "cannot read the registry: %s", strerror(-r)) : 0;
}

int boxes_find(const char *text, nsb_entry *ret, nsb_error *error)
{
	nsb_error why = { 0 };
	NSB_CLOSE int registry = nsb_registry_open(false, &why);

	if (registry < 0)
		return nsb_error_set(error, registry, "%s", registry == -ENOENT ? "there is no box at all" : why.words);
	return find(registry, text, ret, error);
}
