/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl top: what the boxes use of their limits. The CPU's share and the network's speed come from two readings. */
#include <errno.h>
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
#include "ctl/command.h"
#include "ctl/network.h"
#include "ctl/options.h"
#include "ctl/screen.h"
#include "ctl/tell.h"
#include "ctl/top.h"
#include "helper/limits.h"

#define SAMPLE	 1000 /* ms between the first two readings */
#define INTERVAL 2000 /* ms between the others */

static const char *const keys[TOP_KINDS][2] = { [TOP_CPU] = { "cpu_max", "user_cpu_max" },
						[TOP_MEMORY] = { "memory_max", "user_memory_max" },
						[TOP_PROCESSES] = { "pids_max", "user_pids_max" } };

static void reading_done(top_reading *r)
{
	boxes_done(&r->list);
	free(r->uses);
	*r = (top_reading){ 0 };
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

static void read_network(top_use *one)
{
	__attribute__((cleanup(network_facts_done))) network_facts facts = { 0 };

	network_facts_read(one->entry, NULL, &facts);
	one->sent = facts.sent_bytes;
	one->received = facts.received_bytes;
	if (facts.record != NULL && facts.record->rate != 0)
		one->rate = facts.record->rate;
}

static void read_use(const nsb_entry *entry, const nsb_machine *machine, top_use *ret)
{
	*ret = (top_use){ .entry = entry, .cpu = UNKNOWN_CPU, .sends = UNKNOWN, .receives = UNKNOWN, .rate = UNKNOWN };
	for (int i = 0; i < TOP_KINDS; i++) {
		ret->limits[i] = limit_of(entry, keys[i][0], machine);
		ret->user_limits[i] = limit_of(entry, keys[i][1], machine);
	}
	usage_read(entry, &ret->usage);
	read_network(ret);
	ret->when = now();
}

/* Sessions without a box, and what is cleaned already, use nothing that could be told. */
static bool is_live(const nsb_entry *entry)
{
	static const char *const states[] = { NSB_STATE_READY, STATE_FROZEN, STATE_LINGERING, NSB_STATE_ENDING };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(entry->state, states[i]) == 0)
			return true;
	return false;
}

/* How much in a microsecond; negative: not known. */
static double speed(uint64_t before, uint64_t after, int64_t time)
{
	return before != UNKNOWN && after != UNKNOWN && after >= before && time > 0
		       ? (double)(after - before) / (double)time
		       : -1;
}

static uint64_t bits_per_second(uint64_t before, uint64_t after, int64_t time)
{
	double bytes = speed(before, after, time);

	return bytes < 0 ? UNKNOWN : (uint64_t)(bytes * 8 * 1000000);
}

/* What the same box has used since the reading before. */
static void set_speeds(top_use *one, const top_reading *before)
{
	for (size_t i = 0; i < before->n; i++) {
		const top_use *other = &before->uses[i];
		int64_t time = one->when - other->when;
		double cpu;

		if (strcmp(other->entry->id, one->entry->id) != 0)
			continue;
		cpu = speed(other->usage.cpu, one->usage.cpu, time);
		one->cpu = cpu < 0 ? UNKNOWN_CPU : 100 * cpu;
		one->sends = bits_per_second(other->sent, one->sent, time);
		one->receives = bits_per_second(other->received, one->received, time);
		return;
	}
}

static int larger_first(const void *a, const void *b)
{
	const top_use *one = a, *other = b;

	if (one->cpu > other->cpu || one->cpu < other->cpu)
		return one->cpu > other->cpu ? -1 : 1;
	if (one->entry->started != other->entry->started)
		return one->entry->started < other->entry->started ? -1 : 1;
	return strcmp(one->entry->id, other->entry->id);
}

/* Reads all; `before` (may be empty) is what shares of the CPU and speeds are counted from. */
static int reading_take(const top_reading *before, bool quiet, top_reading *ret, nsb_error *error)
{
	nsb_machine machine;
	int r = limits_machine(&machine, error);

	*ret = (top_reading){ 0 };
	if (r == 0)
		r = boxes_read(&ret->list, quiet, error);
	if (r < 0)
		return r;
	ret->uses = calloc(ret->list.n + 1, sizeof(*ret->uses));
	if (ret->uses == NULL)
		return nsb_error_set(error, ENOMEM, "no memory");
	for (size_t i = 0; i < ret->list.n; i++) {
		const nsb_entry *entry = &ret->list.items[i].entry;

		if (!is_live(entry))
			continue;
		read_use(entry, &machine, &ret->uses[ret->n]);
		set_speeds(&ret->uses[ret->n++], before);
	}
	qsort(ret->uses, ret->n, sizeof(*ret->uses), larger_first);
	return 0;
}

/* ---- once ---- */

static int print_table(const top_reading *r)
{
	__attribute__((cleanup(table_done))) table t = { 0 };
	int result = top_table(r, &t);

	if (result == 0)
		table_print(stdout, &t, t.n_rows, SIZE_MAX, "\n");
	return result;
}

static int once(bool json, nsb_error *error)
{
	__attribute__((cleanup(reading_done))) top_reading first = { 0 }, second = { 0 };
	int r = reading_take(&second, true, &first, error);

	if (r < 0)
		return r;
	nanosleep(&(struct timespec){ .tv_sec = SAMPLE / 1000 }, NULL);
	r = reading_take(&first, false, &second, error);
	if (r == 0)
		r = json ? top_json(&second) : print_table(&second);
	return r < 0 ? r : second.list.damaged ? COMMAND_PROBLEM : COMMAND_OK;
}

/* ---- again and again ---- */

/* As much of the table as fits, with the last line left empty for the cursor. */
static int draw(const top_reading *r)
{
	__attribute__((cleanup(table_done))) table t = { 0 };
	NSB_FREE char *text = NULL;
	size_t size, lines, columns, shown;
	FILE *out = open_memstream(&text, &size);
	int result = top_table(r, &t);

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
static screen_event show(screen *s, const top_reading *r, int64_t deadline, int *ret_signal)
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
	__attribute__((cleanup(reading_done))) top_reading last = { 0 };
	screen_event event = SCREEN_TIME;
	screen s;
	int number = 0, r = screen_open(&s, error);

	for (int64_t wait = SAMPLE; r == 0 && event == SCREEN_TIME; wait = INTERVAL) {
		top_reading next;

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
	const option_row rows[] = { { "once", NULL, &only_once, NULL }, { "json", NULL, &json, NULL } };
	nsb_error error = { 0 };
	int first, r;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 0, &first) != 0)
		return first;
	r = ask_outside(&error);
	if (r == 0)
		r = only_once || json || !isatty(STDOUT_FILENO) ? once(json, &error) : watch(&error);
	return r < 0 ? tell_error(&error) : r;
}
