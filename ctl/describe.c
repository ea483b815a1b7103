/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/describe.h"

#include <stdio.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "ctl/network.h"
#include "ctl/tell.h"

json_object *describe_text(const char *words)
{
	NSB_FREE char *valid = tell_escape(words, true);

	return valid != NULL ? json_object_new_string(valid) : NULL;
}

json_object *describe_number(uint64_t value)
{
	return value != UINT64_MAX ? json_object_new_uint64(value) : NULL;
}

static json_object *members(const box_item *item)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < item->n_members; i++)
		json_object_array_add(array, json_object_new_int(item->members[i].process.pid));
	return array;
}

static json_object *namespaces(const nsb_entry *entry)
{
	json_object *object = json_object_new_object();

	for (size_t i = 0; i < nsb_n_namespaces; i++)
		json_object_object_add(object, nsb_namespaces[i].proc, json_object_new_uint64(entry->inodes[i]));
	return object;
}

/* By the plan, which is what tells of modes that leave no record. */
static json_object *network(const nsb_entry *entry)
{
	__attribute__((cleanup(network_facts_done))) network_facts facts = { 0 };
	NSB_CLOSE int registry = nsb_registry_open(false, NULL);
	NSB_FREE char *plan = NULL;

	if (registry >= 0)
		(void)nsb_registry_read_plan(registry, entry->id, &plan);
	network_facts_read(entry, plan, &facts);
	return network_describe(&facts);
}

json_object *describe_box(const box_item *item)
{
	json_object *object = json_object_new_object();
	const nsb_entry *entry = &item->entry;
	const box_login login = box_item_login(item);
	const char *cgroup = entry->scope[0] != '\0' ? entry->scope : entry->n_cgroups > 0 ? entry->cgroups[0] : "";

	json_object_object_add(object, "id", describe_text(entry->id));
	json_object_object_add(object, "user", describe_text(entry->user));
	json_object_object_add(object, "uid", json_object_new_uint64(entry->uid));
	json_object_object_add(object, "profile", describe_text(entry->profile));
	json_object_object_add(object, "share", describe_text(entry->share));
	json_object_object_add(object, "service", describe_text(login.service));
	json_object_object_add(object, "tty", describe_text(login.tty));
	json_object_object_add(object, "state", describe_text(entry->state));
	json_object_object_add(object, "init_pid", json_object_new_int(entry->init.pid));
	json_object_object_add(object, "members", members(item));
	json_object_object_add(object, "started", json_object_new_int64(entry->started));
	json_object_object_add(object, "cgroup", describe_text(cgroup));
	json_object_object_add(object, "hostname", describe_text(entry->hostname));
	json_object_object_add(object, "namespaces", namespaces(entry));
	json_object_object_add(object, "network", network(entry));
	return object;
}

void describe_print(json_object *value)
{
	printf("%s\n", json_object_to_json_string_ext(value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(value);
}
