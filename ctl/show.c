/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl show: one box as it is now, beside the plan that it was made by. What there is not (a session without a box,
 * a box whose PID 1 is gone, an entry of version 1) is said and is no error.
 */
#include "ctl/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/settings.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/tell.h"

#define UNKNOWN NSB_USAGE_UNKNOWN

/* ---- gathering ---- */

static void facts_done(show_facts *facts)
{
	box_item_done(&facts->item);
	free(facts->plan);
	mountinfo_done(&facts->mounts);
	network_facts_done(&facts->network);
}

static int facts_read(const char *id, show_facts *ret, nsb_error *error)
{
	NSB_CLOSE int registry = -1;
	int r = boxes_find(id, &ret->item, error);

	if (r < 0)
		return r;
	registry = nsb_registry_open(false, error);
	if (registry < 0)
		return registry;
	ret->plan_error = nsb_registry_read_plan(registry, ret->item.entry.id, &ret->plan);
	ret->mounts_error = mountinfo_read(&ret->item.entry.init, &ret->mounts);
	usage_read(&ret->item.entry, &ret->usage);
	network_facts_read(&ret->item.entry, ret->plan, &ret->network);
	return 0;
}

void show_fact(const char *plan, const char *name, char buffer[SHOW_FACT_SIZE])
{
	const char *line = plan;
	char wanted[64];

	buffer[0] = '\0';
	snprintf(wanted, sizeof(wanted), "box      %-16s \"", name);
	while (line != NULL && *line != '\0') {
		const char *value = nsb_after_prefix(line, wanted);

		if (value != NULL) {
			snprintf(buffer, SHOW_FACT_SIZE, "%.*s", (int)strcspn(value, "\"\n"), value);
			return;
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
}

bool show_use_of(const nsb_usage *usage, const char *key, show_use *ret)
{
	if (strcmp(key, "cpu_max") == 0)
		*ret = (show_use){ usage->cpu, UNKNOWN, UNKNOWN, true };
	else if (strcmp(key, "memory_max") == 0)
		*ret = (show_use){ usage->memory, usage->memory_peak, usage->memory_kills, false };
	else if (strcmp(key, "memory_high") == 0)
		*ret = (show_use){ usage->memory, usage->memory_peak, UNKNOWN, false };
	else if (strcmp(key, "pids_max") == 0)
		*ret = (show_use){ usage->processes, usage->processes_peak, usage->process_hits, false };
	else
		return false;
	return true;
}

/* ---- text ---- */

/* Everything that is printed goes through here, so nothing can be forgotten: one line of printable ASCII. */
static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...)
{
	NSB_FREE char *printable = NULL;
	NSB_FREE char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL; /* undefined then */
		return;
	}
	printable = tell_escape(text, false);
	if (printable != NULL)
		printf("%s\n", printable);
}

/* "1h 5min": no more than two units. */
static void format_duration(char *buffer, size_t size, int64_t ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 } };
	size_t at = 0, n = 0;

	snprintf(buffer, size, "0s");
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && n < 2; i++) {
		if (ms < units[i].ms)
			continue;
		at += (size_t)snprintf(buffer + at, size - at, "%s%" PRId64 "%s", n > 0 ? " " : "", ms / units[i].ms,
				       units[i].name);
		ms %= units[i].ms;
		n++;
	}
}

/* "sshd on ssh from 192.0.2.1" */
static void format_login(char *buffer, size_t size, const char *service, const char *tty, const char *rhost)
{
	snprintf(buffer, size, "%s%s%s%s%s", service, tty[0] != '\0' ? " on " : "", tty,
		 rhost[0] != '\0' ? " from " : "", rhost);
}

/* A duration of the plan, which has milliseconds. */
static void put_fact(const show_facts *facts, const char *name)
{
	char value[SHOW_FACT_SIZE], duration[SHOW_FACT_SIZE];
	uint64_t ms;

	show_fact(facts->plan, name, value);
	if (nsb_parse_u64(value, INT64_MAX, &ms) < 0)
		snprintf(duration, sizeof(duration), "%s", value[0] != '\0' ? value : "-");
	else
		format_duration(duration, sizeof(duration), (int64_t)ms);
	put("  %-13s %s", name, duration);
}

static void print_share(const show_facts *facts)
{
	const nsb_entry *entry = &facts->item.entry;

	if (entry->share[0] == '\0') {
		put("  %-13s no: the box of one login", "share");
		return;
	}
	put("  %-13s %s, for logins whose terminals are: %s", "share", entry->share, entry->terminals);
	put_fact(facts, "linger");
}

static void print_life(const show_facts *facts)
{
	char timeout[64];

	format_duration(timeout, sizeof(timeout), facts->item.entry.stop_timeout);
	print_share(facts);
	put("  %-13s %s", "stop_timeout", timeout);
	if (facts->plan != NULL)
		put_fact(facts, "runtime_max");
}

static void print_head(const show_facts *facts)
{
	const nsb_entry *entry = &facts->item.entry;
	bool boxed = strcmp(entry->state, NSB_STATE_UNBOXED) != 0;
	char when[TELL_TIME_SIZE], age[64], login[512];
	int64_t seconds = time(NULL) - entry->started;

	tell_time(entry->started, when);
	format_duration(age, sizeof(age), seconds > 0 ? seconds * 1000 : 0);
	format_login(login, sizeof(login), entry->service, entry->tty, entry->rhost);
	put("%s %s", boxed ? "box" : "session without a box", entry->id);
	put("  %-13s %s (uid %u)", "user", entry->user, entry->uid);
	put("  %-13s %s", "profile", entry->profile);
	put("  %-13s %s", "state", entry->state);
	put("  %-13s %s, %s ago, by %s", "made", when, age, login);
	put("  %-13s %d", "monitor", (int)entry->monitor.pid);
	if (!boxed)
		return;
	put("  %-13s %d", "PID 1", (int)entry->init.pid);
	put("  %-13s %s", "host name", entry->hostname);
	if (entry->subids != 0)
		put("  %-13s %u-%u, beside the user's", "ids", entry->subids, entry->subids + NSB_SUBID_COUNT - 1);
	print_life(facts);
}

static void print_members(const box_item *item)
{
	put("logins");
	for (size_t i = 0; i < item->n_members; i++) {
		const nsb_member *member = &item->members[i];
		char when[TELL_TIME_SIZE], login[512];

		tell_time(member->started, when);
		format_login(login, sizeof(login), member->service, member->tty, member->rhost);
		put("  %s  process %d, since %s, by %s", member->session, (int)member->process.pid, when, login);
	}
	if (item->n_members == 0)
		put("  none");
}

static void print_namespaces(const nsb_entry *entry)
{
	size_t n = 0;

	put("namespaces");
	for (size_t i = 0; i < nsb_n_namespaces; i++)
		if (entry->inodes[i] != 0) {
			put("  %-13s %" PRIu64, nsb_namespaces[i].proc, entry->inodes[i]);
			n++;
		}
	if (n == 0)
		put("  %s", entry->namespaces == 0 ? "none of its own" : "not there yet");
}

static void print_limit(const nsb_usage *usage, const char *key, const char *value)
{
	show_use use = { UNKNOWN, UNKNOWN, UNKNOWN, false };
	char used[48] = "", peak[48] = "", hits[48] = "";

	show_use_of(usage, key, &use);
	if (use.used != UNKNOWN && use.time)
		snprintf(used, sizeof(used), ", used %" PRIu64 ".%02" PRIu64 "s", use.used / 1000000,
			 use.used / 10000 % 100);
	else if (use.used != UNKNOWN)
		snprintf(used, sizeof(used), ", used %" PRIu64, use.used);
	if (use.peak != UNKNOWN)
		snprintf(peak, sizeof(peak), ", peak %" PRIu64, use.peak);
	if (use.hits != UNKNOWN)
		snprintf(hits, sizeof(hits), ", hits %" PRIu64, use.hits);
	put("  %-13s %s%s%s%s", key, value, used, peak, hits);
}

static void print_limits(const show_facts *facts)
{
	static const char *const counted[] = { "cpu_max", "memory_max", "pids_max" };
	const nsb_entry *entry = &facts->item.entry;
	size_t n = entry->n_limits;

	put("limits and what is used of them");
	for (size_t i = 0; i < entry->n_limits; i++) {
		char key[sizeof(entry->limits[0])];
		size_t length = strcspn(entry->limits[i], " ");

		snprintf(key, sizeof(key), "%.*s", (int)length, entry->limits[i]);
		print_limit(&facts->usage, key, entry->limits[i] + length + (entry->limits[i][length] == ' '));
	}
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
		show_use use;

		if (usage_limit(entry, counted[i]) != NULL || !show_use_of(&facts->usage, counted[i], &use) ||
		    use.used == UNKNOWN)
			continue;
		print_limit(&facts->usage, counted[i], "no limit");
		n++;
	}
	if (n == 0)
		put("  none");
}

static void print_words(const char *name, const char words[][NSB_RECORD_WORD], size_t n)
{
	for (size_t i = 0; i < n; i++)
		put("  %-13s %s", name, words[i]);
}

static void print_traffic(const char *name, uint64_t bytes, uint64_t packets)
{
	if (bytes == UNKNOWN || packets == UNKNOWN)
		put("  %-13s -", name);
	else
		put("  %-13s %" PRIu64 " bytes, %" PRIu64 " packets", name, bytes, packets);
}

static void print_network(const network_facts *facts)
{
	const nsb_network_record *record = facts->record;
	char rate[NETWORK_RATE_SIZE] = "no limit", connections[32] = "no limit";

	put("network");
	put("  %-13s %s", "mode", facts->mode);
	if (record == NULL)
		return;
	if (record->rate != 0)
		network_rate_text(record->rate, rate);
	if (record->connections != 0)
		snprintf(connections, sizeof(connections), "at most %" PRIu64, record->connections);
	put("  %-13s %s", "link", record->link);
	for (size_t i = 0; i < 2 && record->address[i].family != 0; i++) {
		char address[NSB_ADDRESS_SIZE];

		nsb_address_text(&record->address[i], address);
		put("  %-13s %s", "address", address);
	}
	put("  %-13s %s", "nat", record->nat ? "yes" : "no");
	put("  %-13s %s", "rate", rate);
	put("  %-13s %s", "connections", connections);
	print_words("allow", record->allow, record->n_allow);
	print_words("deny", record->deny, record->n_deny);
	print_words("publish", record->publish, record->n_publish);
	print_traffic("sent", facts->sent_bytes, facts->sent_packets);
	print_traffic("received", facts->received_bytes, facts->received_packets);
}

/* As in fstab(5), with the kernel's own escapes; behind the source what of it is mounted, as findmnt(8) has it. */
static void print_mounts(const show_facts *facts)
{
	put("mounts: where, type, source, options, (options of the file system)");
	for (size_t i = 0; i < facts->mounts.n; i++) {
		const mount_row *row = &facts->mounts.rows[i];
		bool whole = strcmp(row->root, "/") == 0;

		put("  %s %s %s%s%s%s %s (%s)", row->point, row->type, row->source, whole ? "" : "[",
		    whole ? "" : row->root, whole ? "" : "]", row->options, row->super_options);
	}
	if (facts->item.entry.init.pid == 0)
		put("  there is no PID 1 that has any");
	else if (facts->mounts_error == -ESRCH)
		put("  PID 1 is gone");
	else if (facts->mounts_error < 0)
		put("  cannot be read: %s", strerror(-facts->mounts_error));
}

static void print_plan(const show_facts *facts)
{
	const char *line = facts->plan;

	put("plan that it was made by");
	while (line != NULL && *line != '\0') {
		size_t length = strcspn(line, "\n");

		put("  %.*s", (int)length, line);
		line += length + (line[length] == '\n');
	}
	if (facts->plan != NULL)
		return;
	if (facts->item.entry.version == 1)
		put("  not known: the box was made by an earlier version of nsbox");
	else if (facts->plan_error == -ENOENT)
		put("  none");
	else
		put("  cannot be read: %s", strerror(-facts->plan_error));
}

int command_show(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(facts_done))) show_facts facts = { 0 };
	bool json = false;
	const option_row rows[] = { { "json", NULL, &json, NULL } };
	nsb_error error = { 0 };
	int first;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 1, &first) != 0)
		return first;
	if (first == argc)
		return options_usage(self, "the box's id is missing");
	if (ask_outside(&error) < 0 || facts_read(argv[first], &facts, &error) < 0)
		return tell_error(&error);
	if (json) {
		show_json(&facts);
		return COMMAND_OK;
	}
	print_head(&facts);
	print_members(&facts.item);
	print_namespaces(&facts.item.entry);
	print_network(&facts.network);
	print_limits(&facts);
	print_mounts(&facts);
	print_plan(&facts);
	return COMMAND_OK;
}
