/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl top: what the boxes use of their limits. The CPU's share comes from two readings of the time used. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/limit-table.h"
#include "common/protocol.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/boxes.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/screen.h"
#include "ctl/table.h"
#include "ctl/tell.h"
#include "helper/limits.h"
#include "helper/usage.h"

#define SAMPLE	 1000 /* ms between the first two readings */
#define INTERVAL 2000 /* ms between the others */

#define UNKNOWN	    NSB_USAGE_UNKNOWN /* also: no limit */
#define UNKNOWN_CPU (-1.0)

/* What is limited both for a box and for all boxes of a user together. */
typedef enum kind { CPU, MEMORY, PROCESSES, KINDS } kind;

static const char *const keys[KINDS][2] = { [CPU] = { "cpu_max", "user_cpu_max" },
					    [MEMORY] = { "memory_max", "user_memory_max" },
					    [PROCESSES] = { "pids_max", "user_pids_max" } };

typedef struct use {
	const nsb_entry *entry; /* of the same reading */
	nsb_usage usage;
	int64_t when; /* CLOCK_MONOTONIC microseconds */
	double cpu;   /* percent of one processor */
	uint64_t limits[KINDS], user_limits[KINDS];
} use;

/* One reading of all boxes. */
typedef struct reading {
	boxes list;
	use *uses; /* largest share of the CPU first */
	size_t n;
} reading;

static void reading_done(reading *r)
{
	boxes_done(&r->list);
	free(r->uses);
	*r = (reading){ 0 };
}

/* ---- reading ---- */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A limit as a number in the unit of limit-table.h. */
static uint64_t limit_of(const nsb_entry *entry, const char *key, const nsb_machine *machine)
{
	const char *value = usage_limit(entry, key);
	char text[NSB_LIMIT_TEXT_MAX];
	uint64_t number;

	if (value == NULL || limits_resolve(nsb_limit_find(key), value, machine, text, NULL) < 0 ||
	    nsb_parse_u64(text, UINT64_MAX - 1, &number) < 0)
		return UNKNOWN;
	return number;
}

static void read_use(const nsb_entry *entry, const nsb_machine *machine, use *ret)
{
	*ret = (use){ .entry = entry, .cpu = UNKNOWN_CPU };
	for (int i = 0; i < KINDS; i++) {
		ret->limits[i] = limit_of(entry, keys[i][0], machine);
		ret->user_limits[i] = limit_of(entry, keys[i][1], machine);
	}
	usage_read(entry, &ret->usage);
	ret->when = now();
}

/* Sessions without a box, and what is cleaned already, use nothing that could be told. */
static bool is_live(const nsb_entry *entry)
{
	static const char *const states[] = { NSB_STATE_READY, STATE_FROZEN, NSB_STATE_ENDING };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(entry->state, states[i]) == 0)
			return true;
	return false;
}

/* CPU time of the same box since the reading before. */
static void set_cpu(use *one, const reading *before)
{
	for (size_t i = 0; i < before->n; i++) {
		const use *other = &before->uses[i];

		if (strcmp(other->entry->id, one->entry->id) != 0)
			continue;
		if (one->usage.cpu != UNKNOWN && other->usage.cpu != UNKNOWN && one->usage.cpu >= other->usage.cpu &&
		    one->when > other->when)
			one->cpu =
				100.0 * (double)(one->usage.cpu - other->usage.cpu) / (double)(one->when - other->when);
		return;
	}
}

static int larger_first(const void *a, const void *b)
{
	const use *one = a, *other = b;

	if (one->cpu > other->cpu || one->cpu < other->cpu)
		return one->cpu > other->cpu ? -1 : 1;
	if (one->entry->started != other->entry->started)
		return one->entry->started < other->entry->started ? -1 : 1;
	return strcmp(one->entry->id, other->entry->id);
}

/* Reads all; `before` (may be empty) is what the shares of the CPU are counted from. */
static int reading_take(const reading *before, bool quiet, reading *ret, nsb_error *error)
{
	nsb_machine machine;
	int r = limits_machine(&machine, error);

	*ret = (reading){ 0 };
	if (r == 0)
		r = boxes_read(&ret->list, quiet, error);
	if (r < 0)
		return r;
	ret->uses = calloc(ret->list.n + 1, sizeof(*ret->uses));
	if (ret->uses == NULL)
		return nsb_error_set(error, ENOMEM, "no memory");
	for (size_t i = 0; i < ret->list.n; i++) {
		if (!is_live(&ret->list.entries[i]))
			continue;
		read_use(&ret->list.entries[i], &machine, &ret->uses[ret->n]);
		set_cpu(&ret->uses[ret->n++], before);
	}
	qsort(ret->uses, ret->n, sizeof(*ret->uses), larger_first);
	return 0;
}

/* ---- JSON ---- */

static json_object *number(uint64_t value)
{
	return value != UNKNOWN ? json_object_new_uint64(value) : NULL;
}

static double to_percent(uint64_t microseconds)
{
	return microseconds != UNKNOWN ? (double)microseconds / 10000 : UNKNOWN_CPU;
}

static json_object *percent(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", value);
	return value >= 0 ? json_object_new_double_s(value, text) : NULL;
}

static json_object *words(const char *text)
{
	NSB_FREE char *valid = tell_escape(text, true);

	return valid != NULL ? json_object_new_string(valid) : NULL;
}

static json_object *describe(const use *one)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "id", words(one->entry->id));
	json_object_object_add(object, "user", words(one->entry->user));
	json_object_object_add(object, "profile", words(one->entry->profile));
	json_object_object_add(object, "cpu_percent", percent(one->cpu));
	json_object_object_add(object, "cpu_limit_percent", percent(to_percent(one->limits[CPU])));
	json_object_object_add(object, "user_cpu_limit_percent", percent(to_percent(one->user_limits[CPU])));
	json_object_object_add(object, "memory", number(one->usage.memory));
	json_object_object_add(object, "memory_limit", number(one->limits[MEMORY]));
	json_object_object_add(object, "user_memory_limit", number(one->user_limits[MEMORY]));
	json_object_object_add(object, "processes", number(one->usage.processes));
	json_object_object_add(object, "processes_limit", number(one->limits[PROCESSES]));
	json_object_object_add(object, "user_processes_limit", number(one->user_limits[PROCESSES]));
	json_object_object_add(object, "process_hits", number(one->usage.process_hits));
	json_object_object_add(object, "memory_kills", number(one->usage.memory_kills));
	return object;
}

static int print_json(const reading *r)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < r->n; i++)
		json_object_array_add(array, describe(&r->uses[i]));
	printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(array);
	return 0;
}

/* ---- table ---- */

static const char *const headings[] = { "ID", "USER", "PROFILE", "CPU", "MEMORY", "PROCESSES", "HITS" };
#define N_COLUMNS (sizeof(headings) / sizeof(headings[0]))

/* 12.3M */
static void put_size(FILE *out, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	size_t unit = 0;

	/* 1023.96 would be printed as 1024.0 */
	for (; value >= 1023.95 && unit < sizeof(units) - 2; unit++)
		value /= 1024;
	fprintf(out, unit == 0 ? "%.0f%c" : "%.1f%c", value, units[unit]);
}

static void put_count(FILE *out, uint64_t count)
{
	fprintf(out, "%" PRIu64, count);
}

static void put_percent(FILE *out, uint64_t microseconds)
{
	fprintf(out, "%.4g%%", to_percent(microseconds));
}

/* "/LIMIT", the smaller one. That of the user's boxes together has a mark: what stands before it is not all that
 * counts. */
static void put_limit(FILE *out, const use *one, kind which, void (*put)(FILE *, uint64_t))
{
	bool users = one->user_limits[which] < one->limits[which];
	uint64_t limit = users ? one->user_limits[which] : one->limits[which];

	if (limit == UNKNOWN)
		return;
	fputc('/', out);
	put(out, limit);
	if (users)
		fputc('*', out);
}

/* USED, or USED/LIMIT */
static void fill_pair(char cell[TABLE_CELL], uint64_t used, const use *one, kind which, void (*put)(FILE *, uint64_t))
{
	FILE *out = fmemopen(cell, TABLE_CELL, "w");

	if (out == NULL)
		return;
	if (used != UNKNOWN)
		put(out, used);
	else
		fputc('-', out);
	put_limit(out, one, which, put);
	fclose(out);
}

static void fill_cpu(char cell[TABLE_CELL], const use *one)
{
	FILE *out = fmemopen(cell, TABLE_CELL, "w");

	if (out == NULL)
		return;
	if (one->cpu >= 0)
		fprintf(out, "%.1f%%", one->cpu);
	else
		fputc('-', out);
	put_limit(out, one, CPU, put_percent);
	fclose(out);
}

/* Limits that were run into, of either kind. */
static void fill_hits(char cell[TABLE_CELL], const nsb_usage *usage)
{
	uint64_t hits = usage->process_hits, kills = usage->memory_kills;

	if (hits == UNKNOWN || kills == UNKNOWN)
		hits = hits == UNKNOWN ? kills : hits;
	else
		hits += kills;
	if (hits == UNKNOWN)
		table_fill(cell, "");
	else
		snprintf(cell, TABLE_CELL, "%" PRIu64, hits);
}

static int make_table(const reading *r, table *ret)
{
	int result = table_begin(ret, headings, N_COLUMNS, r->n);

	for (size_t i = 0; result == 0 && i < r->n; i++) {
		const use *one = &r->uses[i];
		char(*cells)[TABLE_CELL] = table_row(ret);

		table_fill(cells[0], one->entry->id);
		table_fill(cells[1], one->entry->user);
		table_fill(cells[2], one->entry->profile);
		fill_cpu(cells[3], one);
		fill_pair(cells[4], one->usage.memory, one, MEMORY, put_size);
		fill_pair(cells[5], one->usage.processes, one, PROCESSES, put_count);
		fill_hits(cells[6], &one->usage);
	}
	return result;
}

static int print_table(const reading *r)
{
	__attribute__((cleanup(table_done))) table t = { 0 };
	int result = make_table(r, &t);

	if (result == 0)
		table_print(stdout, &t, t.n_rows, SIZE_MAX, "\n");
	return result;
}

/* ---- once ---- */

static int once(bool json, nsb_error *error)
{
	__attribute__((cleanup(reading_done))) reading first = { 0 }, second = { 0 };
	int r = reading_take(&second, true, &first, error);

	if (r < 0)
		return r;
	nanosleep(&(struct timespec){ .tv_sec = SAMPLE / 1000 }, NULL);
	r = reading_take(&first, false, &second, error);
	if (r == 0)
		r = json ? print_json(&second) : print_table(&second);
	return r < 0 ? r : second.list.damaged ? COMMAND_PROBLEM : COMMAND_OK;
}

/* ---- again and again ---- */

/* As much of the table as fits, with the last line left empty for the cursor. */
static int draw(const reading *r)
{
	__attribute__((cleanup(table_done))) table t = { 0 };
	NSB_FREE char *text = NULL;
	size_t size, lines, columns, shown;
	FILE *out = open_memstream(&text, &size);
	int result = make_table(r, &t);

	if (out == NULL || result < 0) {
		if (out != NULL)
			fclose(out);
		return -ENOMEM;
	}
	screen_size(&lines, &columns);
	lines = lines > 3 ? lines - 1 : 2;
	shown = t.n_rows <= lines ? t.n_rows : lines - 1;
	table_print(out, &t, shown, columns, "\n");
	if (shown < t.n_rows)
		fprintf(out, "%zu more\n", t.n_rows - shown);
	if (fclose(out) != 0)
		return -ENOMEM;
	return screen_show(text);
}

/* Shows one reading until it is time for the next. */
static screen_event show(screen *s, const reading *r, int64_t deadline, int *ret_signal)
{
	screen_event event;

	do {
		if (draw(r) < 0)
			return SCREEN_END;
		event = screen_wait(s, deadline, ret_signal);
	} while (event == SCREEN_REDRAW);
	return event;
}

static int watch(nsb_error *error)
{
	__attribute__((cleanup(reading_done))) reading last = { 0 };
	screen_event event = SCREEN_TIME;
	screen s;
	int number = 0, r = screen_open(&s, error);

	for (int64_t wait = SAMPLE; r == 0 && event == SCREEN_TIME; wait = INTERVAL) {
		reading next;

		r = reading_take(&last, true, &next, error);
		reading_done(&last);
		last = next;
		if (r == 0)
			event = show(&s, &last, nsb_now() + wait, &number);
	}
	screen_close(&s, event == SCREEN_SIGNAL ? number : 0);
	return r;
}

int command_top(const command *self, int argc, char **argv)
{
	bool only_once = false, json = false;
	const option_row rows[] = { { "once", NULL, &only_once }, { "json", NULL, &json } };
	nsb_error error = { 0 };
	int first, r;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 0, &first) != 0)
		return first;
	r = ask_outside(&error);
	if (r == 0)
		r = only_once || json || !isatty(STDOUT_FILENO) ? once(json, &error) : watch(&error);
	return r < 0 ? tell_error(&error) : r;
}
