/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl list: the registry, as a table or as JSON. */
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/registry.h"
#include "ctl/ask.h"
#include "ctl/boxes.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/table.h"
#include "ctl/tell.h"

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
	json_object_object_add(object, "cgroup", text(entry->scope[0] != '\0' ? entry->scope : entry->n_cgroups > 0 ? entry->cgroups[0] : ""));
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

static const char *const headings[] = { "ID", "USER", "PROFILE", "SERVICE", "TTY", "FROM", "STATE", "PID", "STARTED" };
#define N_COLUMNS (sizeof(headings) / sizeof(headings[0]))

static void fill_row(const nsb_entry *entry, char cells[N_COLUMNS][TABLE_CELL])
{
	const char *words[] = { entry->id, entry->user, entry->profile, entry->service, entry->tty, entry->rhost, entry->state };
	size_t n = sizeof(words) / sizeof(words[0]);
	time_t started = (time_t)entry->started;
	struct tm when;

	for (size_t i = 0; i < n; i++)
		table_fill(cells[i], words[i]);
	if (entry->init.pid > 0)
		snprintf(cells[n], sizeof(cells[n]), "%d", (int)entry->init.pid);
	else
		table_fill(cells[n], "");
	if (localtime_r(&started, &when) == NULL ||
	    strftime(cells[n + 1], sizeof(cells[n + 1]), "%Y-%m-%d %H:%M:%S", &when) == 0)
		table_fill(cells[n + 1], "");
}

static int print_table(const boxes *list)
{
	__attribute__((cleanup(table_done))) table t;
	int r = table_begin(&t, headings, N_COLUMNS, list->n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list->n; i++)
		fill_row(&list->entries[i], table_row(&t));
	table_print(stdout, &t, t.n_rows, SIZE_MAX, "\n");
	return 0;
}

int command_list(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(boxes_done))) boxes list = { 0 };
	bool json = false;
	const option_row rows[] = { { "json", NULL, &json } };
	nsb_error error = { 0 };
	int first;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 0, &first) != 0)
		return first;
	if (ask_outside(&error) < 0 || boxes_read(&list, false, &error) < 0)
		return tell_error(&error);
	if (json)
		print_json(&list);
	else if (print_table(&list) < 0)
		return COMMAND_PROBLEM;
	return list.damaged ? COMMAND_PROBLEM : COMMAND_OK;
}
