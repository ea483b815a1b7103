/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/network.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/describe.h"

#define UNKNOWN UINT64_MAX

/* ---- reading ---- */

/* Of the steps "network" and "enter-network": a box has one of them, if its network is made or named. */
static void mode_of_plan(const char *plan, char mode[NETWORK_MODE_SIZE])
{
	while (plan != NULL && *plan != '\0') {
		char operation[32], target[NETWORK_MODE_SIZE];

		if (sscanf(plan, "%*31[a-z] %31[^ \n] %299[^ \n]", operation, target) == 2 &&
		    (strcmp(operation, "network") == 0 || strcmp(operation, "enter-network") == 0)) {
			snprintf(mode, NETWORK_MODE_SIZE, "%s", target);
			return;
		}
		plan = strchr(plan, '\n');
		plan += plan != NULL;
	}
}

static void mode_of_record(const nsb_network_record *record, char mode[NETWORK_MODE_SIZE])
{
	if (record->kind == NSB_NETWORK_BRIDGE)
		snprintf(mode, NETWORK_MODE_SIZE, "bridge:%s", record->bridge);
	else
		snprintf(mode, NETWORK_MODE_SIZE, "veth");
}

static void read_mode(const nsb_entry *entry, const char *plan, network_facts *facts)
{
	if (facts->record != NULL)
		mode_of_record(facts->record, facts->mode);
	else
		mode_of_plan(plan, facts->mode);
	if (facts->mode[0] == '\0')
		snprintf(facts->mode, sizeof(facts->mode), "%s",
			 (entry->namespaces & CLONE_NEWNET) != 0 ? "loopback" : "host");
}

static uint64_t read_counter(const char *link, const char *name)
{
	char path[128], text[32];
	uint64_t value;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s", link, name);
	/* the link is a symbolic link in /sys, its files are not */
	if (nsb_read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return UNKNOWN;
	text[strcspn(text, "\n")] = '\0';
	return nsb_parse_u64(text, UINT64_MAX, &value) == 0 ? value : UNKNOWN;
}

/* What the host's end receives is what the box sends. */
static void read_counters(network_facts *facts)
{
	const char *link = facts->record->link;

	facts->sent_bytes = read_counter(link, "rx_bytes");
	facts->sent_packets = read_counter(link, "rx_packets");
	facts->received_bytes = read_counter(link, "tx_bytes");
	facts->received_packets = read_counter(link, "tx_packets");
}

static nsb_network_record *read_record(const char *id)
{
	NSB_FREE nsb_network_record *record = malloc(sizeof(*record));
	NSB_CLOSE int registry = nsb_registry_open(false, NULL);

	if (record == NULL || registry < 0 || nsb_registry_read_network(registry, id, record) < 0)
		return NULL;
	return nsb_steal_pointer(&record);
}

void network_facts_read(const nsb_entry *entry, const char *plan, network_facts *ret)
{
	*ret = (network_facts){ "", NULL, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN };
	if (strcmp(entry->state, NSB_STATE_UNBOXED) == 0) {
		snprintf(ret->mode, sizeof(ret->mode), "host");
		return;
	}
	ret->record = read_record(entry->id);
	read_mode(entry, plan, ret);
	if (ret->record != NULL)
		read_counters(ret);
}

void network_facts_done(network_facts *facts)
{
	free(facts->record);
	facts->record = NULL;
}

/* ---- telling ---- */

void network_rate_text(uint64_t rate, char buffer[NETWORK_RATE_SIZE])
{
	static const struct {
		uint64_t bits;
		const char *unit;
	} units[] = { { 1000000000, "Gbit" }, { 1000000, "Mbit" }, { 1000, "kbit" }, { 1, "bit" } };
	size_t i = 0;

	while (rate % units[i].bits != 0)
		i++;
	snprintf(buffer, NETWORK_RATE_SIZE, "%" PRIu64 "%s", rate / units[i].bits, units[i].unit);
}

static json_object *words(const char list[][NSB_RECORD_WORD], size_t n)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, describe_text(list[i]));
	return array;
}

static json_object *addresses(const nsb_network_record *record)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < 2 && record->address[i].family != 0; i++) {
		char text[NSB_ADDRESS_SIZE];

		nsb_address_text(&record->address[i], text);
		json_object_array_add(array, describe_text(text));
	}
	return array;
}

json_object *network_describe(const network_facts *facts)
{
	json_object *object = json_object_new_object();
	const nsb_network_record *record = facts->record;

	json_object_object_add(object, "mode", describe_text(facts->mode));
	if (record == NULL)
		return object;
	json_object_object_add(object, "link", describe_text(record->link));
	json_object_object_add(object, "addresses", addresses(record));
	json_object_object_add(object, "nat", json_object_new_boolean(record->nat));
	json_object_object_add(object, "rate", describe_number(record->rate != 0 ? record->rate : UNKNOWN));
	json_object_object_add(object, "connections",
			       describe_number(record->connections != 0 ? record->connections : UNKNOWN));
	json_object_object_add(object, "allow", words(record->allow, record->n_allow));
	json_object_object_add(object, "deny", words(record->deny, record->n_deny));
	json_object_object_add(object, "publish", words(record->publish, record->n_publish));
	json_object_object_add(object, "sent_bytes", describe_number(facts->sent_bytes));
	json_object_object_add(object, "sent_packets", describe_number(facts->sent_packets));
	json_object_object_add(object, "received_bytes", describe_number(facts->received_bytes));
	json_object_object_add(object, "received_packets", describe_number(facts->received_packets));
	return object;
}
