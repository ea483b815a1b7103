/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl list: the registry, as a table or as JSON. */
#include <stdint.h>
#include <stdio.h>

#include "ctl/ask.h"
#include "ctl/boxes.h"
#include "ctl/command.h"
#include "ctl/describe.h"
#include "ctl/options.h"
#include "ctl/table.h"
#include "ctl/tell.h"

static void print_json(const boxes *list)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->n; i++)
		json_object_array_add(array, describe_box(&list->items[i]));
	describe_print(array);
}

static const char *const headings[] = { "ID",	"USER",	 "PROFILE", "SERVICE", "TTY",
					"FROM", "STATE", "MEMBERS", "PID",     "STARTED" };
#define N_COLUMNS (sizeof(headings) / sizeof(headings[0]))

static void fill_row(const box_item *item, char cells[N_COLUMNS][TABLE_CELL])
{
	const nsb_entry *entry = &item->entry;
	const box_login login = box_item_login(item);
	char n_members[24], pid[16] = "", started[TELL_TIME_SIZE];
	const char *words[] = { entry->id,   entry->user,  entry->profile, login.service, login.tty,
				login.rhost, entry->state, n_members,	   pid,		  started };

	snprintf(n_members, sizeof(n_members), "%zu", item->n_members);
	if (entry->init.pid > 0)
		snprintf(pid, sizeof(pid), "%d", (int)entry->init.pid);
	tell_time(entry->started, started);
	for (size_t i = 0; i < N_COLUMNS; i++)
		table_fill(cells[i], words[i]);
}

static int print_table(const boxes *list)
{
	__attribute__((cleanup(table_done))) table t;
	int r = table_begin(&t, headings, N_COLUMNS, list->n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list->n; i++)
		fill_row(&list->items[i], table_row(&t));
	table_print(stdout, &t, t.n_rows, SIZE_MAX, "\n");
	return 0;
}

int command_list(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(boxes_done))) boxes list = { 0 };
	bool json = false;
	const option_row rows[] = { { "json", NULL, &json, NULL } };
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
