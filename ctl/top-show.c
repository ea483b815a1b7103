/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/top.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "common/fd-util.h"
#include "ctl/describe.h"

/* ---- JSON ---- */

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

static json_object *describe(const top_use *one)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "id", describe_text(one->entry->id));
	json_object_object_add(object, "user", describe_text(one->entry->user));
	json_object_object_add(object, "profile", describe_text(one->entry->profile));
	json_object_object_add(object, "cpu_percent", percent(one->cpu));
	json_object_object_add(object, "cpu_limit_percent", percent(to_percent(one->limits[TOP_CPU])));
	json_object_object_add(object, "user_cpu_limit_percent", percent(to_percent(one->user_limits[TOP_CPU])));
	json_object_object_add(object, "memory", describe_number(one->usage.memory));
	json_object_object_add(object, "memory_limit", describe_number(one->limits[TOP_MEMORY]));
	json_object_object_add(object, "user_memory_limit", describe_number(one->user_limits[TOP_MEMORY]));
	json_object_object_add(object, "processes", describe_number(one->usage.processes));
	json_object_object_add(object, "processes_limit", describe_number(one->limits[TOP_PROCESSES]));
	json_object_object_add(object, "user_processes_limit", describe_number(one->user_limits[TOP_PROCESSES]));
	json_object_object_add(object, "sent_bytes", describe_number(one->sent));
	json_object_object_add(object, "received_bytes", describe_number(one->received));
	json_object_object_add(object, "sends", describe_number(one->sends));
	json_object_object_add(object, "receives", describe_number(one->receives));
	json_object_object_add(object, "rate", describe_number(one->rate));
	json_object_object_add(object, "process_hits", describe_number(one->usage.process_hits));
	json_object_object_add(object, "memory_kills", describe_number(one->usage.memory_kills));
	return object;
}

int top_json(const top_reading *r)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < r->n; i++)
		json_object_array_add(array, describe(&r->uses[i]));
	describe_print(array);
	return 0;
}

/* ---- table ---- */

static const char *const headings[] = { "ID",	     "USER", "PROFILE", "CPU",	   "MEMORY",
					"PROCESSES", "HITS", "SENDS",	"RECEIVES" };
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
static void put_limit(FILE *out, const top_use *one, top_kind which, void (*put)(FILE *, uint64_t))
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

/* 12.3Mbit */
static void put_rate(FILE *out, uint64_t bits)
{
	static const char *const units[] = { "bit", "kbit", "Mbit", "Gbit", "Tbit" };
	double value = (double)bits;
	size_t unit = 0;

	for (; value >= 999.95 && unit < sizeof(units) / sizeof(units[0]) - 1; unit++)
		value /= 1000;
	fprintf(out, "%.*f%s", unit == 0 || value == (double)(uint64_t)value ? 0 : 1, value, units[unit]);
}

/* Of the network; nothing for a box that has no link. */
static void fill_rate(char cell[TABLE_CELL], uint64_t bits, uint64_t limit)
{
	FILE *out = fmemopen(cell, TABLE_CELL, "w");

	if (out == NULL)
		return;
	if (bits != UNKNOWN)
		put_rate(out, bits);
	else
		fputc('-', out);
	if (limit != UNKNOWN) {
		fputc('/', out);
		put_rate(out, limit);
	}
	fclose(out);
}

/* USED, or USED/LIMIT */
static void fill_pair(char cell[TABLE_CELL], uint64_t used, const top_use *one, top_kind which,
		      void (*put)(FILE *, uint64_t))
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

static void fill_cpu(char cell[TABLE_CELL], const top_use *one)
{
	FILE *out = fmemopen(cell, TABLE_CELL, "w");

	if (out == NULL)
		return;
	if (one->cpu >= 0)
		fprintf(out, "%.1f%%", one->cpu);
	else
		fputc('-', out);
	put_limit(out, one, TOP_CPU, put_percent);
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

int top_table(const top_reading *r, table *ret)
{
	int result = table_begin(ret, headings, N_COLUMNS, r->n);

	for (size_t i = 0; result == 0 && i < r->n; i++) {
		const top_use *one = &r->uses[i];
		char(*cells)[TABLE_CELL] = table_row(ret);

		table_fill(cells[0], one->entry->id);
		table_fill(cells[1], one->entry->user);
		table_fill(cells[2], one->entry->profile);
		fill_cpu(cells[3], one);
		fill_pair(cells[4], one->usage.memory, one, TOP_MEMORY, put_size);
		fill_pair(cells[5], one->usage.processes, one, TOP_PROCESSES, put_count);
		fill_hits(cells[6], &one->usage);
		fill_rate(cells[7], one->sends, one->rate);
		fill_rate(cells[8], one->receives, one->rate);
	}
	return result;
}
