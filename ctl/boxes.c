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

void box_item_done(box_item *item)
{
	free(item->members);
	*item = (box_item){ 0 };
}

void boxes_done(boxes *list)
{
	for (size_t i = 0; i < list->n; i++)
		box_item_done(&list->items[i]);
	free(list->items);
	*list = (boxes){ 0 };
}

box_login box_item_login(const box_item *item)
{
	const nsb_member *oldest = item->members;

	if (item->n_members > 0)
		return (box_login){ oldest->service, oldest->tty, oldest->rhost };
	return (box_login){ item->entry.service, item->entry.tty, item->entry.rhost };
}

/* What the files say is what somebody last wrote there; what is so now may be more. */
static void correct_state(const look *at, box_item *item, pid_t holder)
{
	nsb_entry *entry = &item->entry;
	const char *state = NULL;

	if (holder == 0)
		state = STATE_CRASHED;
	else if (strcmp(entry->state, NSB_STATE_READY) != 0)
		return;
	else if (freezer_is_frozen(entry, at->freezer))
		state = STATE_FROZEN;
	else if (entry->share[0] != '\0' && item->n_members == 0)
		state = STATE_LINGERING;
	if (state != NULL)
		snprintf(entry->state, sizeof(entry->state), "%s", state);
}

/* Whose file is still there but whose process is not has been left behind, or is just being removed. */
static int read_members(const look *at, box_item *item)
{
	size_t n = 0, live = 0;
	int r = nsb_registry_members(at->registry, &item->entry, &item->members, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		NSB_CLOSE int process = nsb_process_open(&item->members[i].process);

		if (process >= 0)
			item->members[live++] = item->members[i];
	}
	item->n_members = live;
	return r;
}

/* Reads one entry: 1, 0 if it is none (any more), or negative errno. The caller calls box_item_done(). */
static int read_item(const look *at, const char *id, box_item *ret)
{
	pid_t holder;
	int r = nsb_registry_read(at->registry, id, &ret->entry);

	if (r == 0)
		r = read_members(at, ret);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* last: an entry that was removed meanwhile has lost its members before */
	holder = nsb_registry_holder(at->registry, id);
	if (holder == -ENOENT)
		return 0;
	correct_state(at, ret, holder);
	return 1;
}

/* Takes what the item owns, if it can. */
static int add(boxes *list, box_item *item)
{
	box_item *items = nsb_grow(list->items, list->n, sizeof(*items));

	if (items == NULL)
		return -ENOMEM;
	list->items = items;
	items[list->n++] = *item;
	item->members = NULL;
	return 0;
}

static int older_first(const void *a, const void *b)
{
	const nsb_entry *one = &((const box_item *)a)->entry, *other = &((const box_item *)b)->entry;

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
		__attribute__((cleanup(box_item_done))) box_item item = { 0 };
		int found = ids[i][0] == '.' ? 0 : read_item(at, ids[i], &item);

		if (found > 0)
			r = add(ret, &item);
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
		qsort(ret->items, ret->n, sizeof(*ret->items), older_first);
	return r;
}

static int find(int registry, const char *text, box_item *ret, nsb_error *error)
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
		r = found == NULL ? 0 : read_item(&at, found, ret);
	if (r == 0)
		return nsb_error_set(error, ENOENT, "there is no box \"%s\" (see nsboxctl list)", text);
	return r < 0 ? nsb_error_set(error, r, "cannot read the registry: %s", strerror(-r)) : 0;
}

int boxes_find(const char *text, box_item *ret, nsb_error *error)
{
	nsb_error why = { 0 };
	NSB_CLOSE int registry = nsb_registry_open(false, &why);

	*ret = (box_item){ 0 };
	if (registry < 0)
		return nsb_error_set(error, registry, "%s", registry == -ENOENT ? "there is no box at all" : why.words);
	return find(registry, text, ret, error);
}
