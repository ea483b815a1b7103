/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl list: the registry, as a table or as JSON. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/registry.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/tell.h"

#define STATE_CRASHED "crashed" /* nobody answers for the box: the next helper run cleans it */

typedef struct boxes {
	nsb_entry *entries;
	size_t n;
	bool damaged; /* some entry could not be read */
} boxes;

static void boxes_done(boxes *list)
{
	free(list->entries);
}

/* Reads one entry: 1, 0 if it is none (any more), or negative errno. */
static int read_entry(int registry, const char *id, nsb_entry *ret)
{
	pid_t holder;
	int r = nsb_registry_read(registry, id, ret);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	holder = nsb_registry_holder(registry, id);
	if (holder == -ENOENT)
		return 0;
	if (holder == 0)
		snprintf(ret->state, sizeof(ret->state), "%s", STATE_CRASHED);
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

static int read_all(int registry, boxes *ret, nsb_error *error)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	size_t n = 0;
	int r = nsb_registry_list(registry, &ids, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		nsb_entry entry;
		int found = ids[i][0] == '.' ? 0 : read_entry(registry, ids[i], &entry);

		if (found > 0)
			r = add(ret, &entry);
		if (found < 0) {
			fprintf(stderr, "nsboxctl: the registry entry %s cannot be read: %s\n", ids[i],
				found == -EPROTO ? "it is of another version of nsbox" : strerror(-found));
			ret->damaged = true;
		}
	}
	return r < 0 ? nsb_error_set(error, r, "cannot read the registry: %s", strerror(-r)) : 0;
}

static int older_first(const void *a, const void *b)
{
	const nsb_entry *one = a, *other = b;

	if (one->started != other->started)
		return one->started < other->started ? -1 : 1;
	return strcmp(one->id, other->id);
}

/* ---- JSON ---- */

static json_object *text(const char *words)
{
	NSB_FREE char *valid = tell_escape(words, true);

	return valid != NULL ? json_object_new_string(valid) : NULL;
}

static json_object *members(const nsb_entry *entry)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < entry->n_members; i++) {
		NSB_CLOSE int process = nsb_process_open(&entry->members[i]);

		if (process >= 0)
			json_object_array_add(array, json_object_new_int(entry->members[i].pid));
	}
	return array;
}

static json_object *namespaces(const nsb_entry *entry)
{
	json_object *object = json_object_new_object();

	for (size_t i = 0; i < nsb_n_namespaces; i++)
		json_object_object_add(object, nsb_namespaces[i].proc, json_object_new_uint64(entry->inodes[i]));
	return object;
}

static json_object *describe(const nsb_entry *entry)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "id", text(entry->id));
	json_object_object_add(object, "user", text(entry->user));
	json_object_object_add(object, "uid", json_object_new_uint64(entry->uid));
	json_object_object_add(object, "profile", text(entry->profile));
	json_object_object_add(object, "service", text(entry->service));
	json_object_object_add(object, "tty", text(entry->tty));
	json_object_object_add(object, "state", text(entry->state));
	json_object_object_add(object, "init_pid", json_object_new_int(entry->init.pid));
	json_object_object_add(object, "members", members(entry));
	json_object_object_add(object, "started", json_object_new_int64(entry->started));
	json_object_object_add(object, "cgroup", text(entry->n_cgroups > 0 ? entry->cgroups[0] : ""));
	json_object_object_add(object, "hostname", text(entry->hostname));
	json_object_object_add(object, "namespaces", namespaces(entry));
	return object;
}

static void print_json(const boxes *list)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->n; i++)
		json_object_array_add(array, describe(&list->entries[i]));
	printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(array);
}

/* ---- table ---- */

enum { COLUMN_WIDTH = 40, N_COLUMNS = 9 };

typedef struct row {
	char cells[N_COLUMNS][COLUMN_WIDTH + 1];
} row;

static const row heading = {
	{ "ID", "USER", "PROFILE", "SERVICE", "TTY", "FROM", "STATE", "PID", "STARTED" },
};

/* Printable and short: what is cut ends with "...". */
static void fill(char cell[COLUMN_WIDTH + 1], const char *words)
{
	NSB_FREE char *printable = tell_escape(words[0] != '\0' ? words : "-", false);

	if (printable == NULL)
		return;
	if (strlen(printable) > COLUMN_WIDTH)
		memcpy(printable + COLUMN_WIDTH - 3, "...", 4);
	memcpy(cell, printable, strlen(printable) + 1);
}

static void fill_row(const nsb_entry *entry, row *ret)
{
	const char *words[] = { entry->id, entry->user, entry->profile, entry->service, entry->tty, entry->rhost, entry->state };
	size_t n = sizeof(words) / sizeof(words[0]);
	time_t started = (time_t)entry->started;
	struct tm when;

	for (size_t i = 0; i < n; i++)
		fill(ret->cells[i], words[i]);
	if (entry->init.pid > 0)
		snprintf(ret->cells[n], sizeof(ret->cells[n]), "%d", (int)entry->init.pid);
	else
		fill(ret->cells[n], "");
	if (localtime_r(&started, &when) == NULL ||
	    strftime(ret->cells[n + 1], sizeof(ret->cells[n + 1]), "%Y-%m-%d %H:%M:%S", &when) == 0)
		fill(ret->cells[n + 1], "");
}

static void print_row(const row *one, const size_t widths[N_COLUMNS])
{
	for (size_t i = 0; i < N_COLUMNS; i++)
		printf("%-*s%s", i + 1 < N_COLUMNS ? (int)widths[i] : 0, one->cells[i], i + 1 < N_COLUMNS ? "  " : "\n");
}

static int print_table(const boxes *list)
{
	NSB_FREE row *rows = calloc(list->n + 1, sizeof(*rows));
	size_t widths[N_COLUMNS] = { 0 };

	if (rows == NULL)
		return -ENOMEM;
	rows[0] = heading;
	for (size_t i = 0; i < list->n; i++)
		fill_row(&list->entries[i], &rows[i + 1]);
	for (size_t i = 0; i <= list->n; i++)
		for (size_t column = 0; column < N_COLUMNS; column++)
			if (strlen(rows[i].cells[column]) > widths[column])
				widths[column] = strlen(rows[i].cells[column]);
	for (size_t i = 0; i <= list->n; i++)
		print_row(&rows[i], widths);
	return 0;
}

int command_list(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(boxes_done))) boxes list = { 0 };
	NSB_CLOSE int registry = -1;
	bool json = false;
	const option_row rows[] = { { "json", NULL, &json } };
	nsb_error error = { 0 };
	int first;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 0, &first) != 0)
		return first;
	if (ask_outside(&error) < 0)
		return tell_error(&error);
	registry = nsb_registry_open(false, &error);
	/* -ENOENT: nothing was ever boxed */
	if ((registry < 0 && registry != -ENOENT) || (registry >= 0 && read_all(registry, &list, &error) < 0))
		return tell_error(&error);
	if (list.n > 0)
		qsort(list.entries, list.n, sizeof(*list.entries), older_first);
	if (json)
		print_json(&list);
	else if (print_table(&list) < 0)
		return COMMAND_PROBLEM;
	return list.damaged ? COMMAND_PROBLEM : COMMAND_OK;
}
