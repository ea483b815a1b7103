/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl show --json: the object of list, and more in it. */
#include <stdio.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/describe.h"
#include "ctl/show.h"

static json_object *decoded(const char *text)
{
	NSB_FREE char *plain = mountinfo_decode(text);

	return plain != NULL ? describe_text(plain) : NULL;
}

/* A number, or a word ("infinity"); null if the plan does not say. */
static json_object *fact(const show_facts *facts, const char *name)
{
	char value[SHOW_FACT_SIZE];
	uint64_t number;

	show_fact(facts->plan, name, value);
	if (nsb_parse_u64(value, INT64_MAX, &number) == 0)
		return json_object_new_uint64(number);
	return value[0] != '\0' ? describe_text(value) : NULL;
}

static void add_login(json_object *object, const char *service, const char *tty, const char *rhost, int64_t started)
{
	json_object_object_add(object, "service", describe_text(service));
	json_object_object_add(object, "tty", describe_text(tty));
	json_object_object_add(object, "from", describe_text(rhost));
	json_object_object_add(object, "started", json_object_new_int64(started));
}

static json_object *logins(const box_item *item)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < item->n_members; i++) {
		const nsb_member *member = &item->members[i];
		json_object *object = json_object_new_object();

		json_object_object_add(object, "session", describe_text(member->session));
		json_object_object_add(object, "pid", json_object_new_int(member->process.pid));
		add_login(object, member->service, member->tty, member->rhost, member->started);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *limits(const nsb_entry *entry)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < entry->n_limits; i++) {
		json_object *object = json_object_new_object();
		char key[sizeof(entry->limits[0])];
		size_t length = strcspn(entry->limits[i], " ");

		snprintf(key, sizeof(key), "%.*s", (int)length, entry->limits[i]);
		json_object_object_add(object, "key", describe_text(key));
		json_object_object_add(object, "value",
				       describe_text(entry->limits[i] + length + (entry->limits[i][length] == ' ')));
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *use(const nsb_usage *usage)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "cpu_usec", describe_number(usage->cpu));
	json_object_object_add(object, "memory", describe_number(usage->memory));
	json_object_object_add(object, "memory_peak", describe_number(usage->memory_peak));
	json_object_object_add(object, "memory_kills", describe_number(usage->memory_kills));
	json_object_object_add(object, "processes", describe_number(usage->processes));
	json_object_object_add(object, "processes_peak", describe_number(usage->processes_peak));
	json_object_object_add(object, "process_hits", describe_number(usage->process_hits));
	return object;
}

static json_object *mounts(const mount_list *list)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->n; i++) {
		const mount_row *row = &list->rows[i];
		json_object *object = json_object_new_object();

		json_object_object_add(object, "target", decoded(row->point));
		json_object_object_add(object, "type", decoded(row->type));
		json_object_object_add(object, "source", decoded(row->source));
		json_object_object_add(object, "root", decoded(row->root));
		json_object_object_add(object, "options", decoded(row->options));
		json_object_object_add(object, "super_options", decoded(row->super_options));
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *lines(const char *text)
{
	json_object *array = json_object_new_array();

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");
		NSB_FREE char *line = strndup(text, length);

		json_object_array_add(array, line != NULL ? describe_text(line) : NULL);
		text += length + (text[length] == '\n');
	}
	return array;
}

void show_json(const show_facts *facts)
{
	const nsb_entry *entry = &facts->item.entry;
	json_object *object = describe_box(&facts->item), *made = json_object_new_object();

	add_login(made, entry->service, entry->tty, entry->rhost, entry->started);
	json_object_object_add(object, "made", made);
	json_object_object_add(object, "monitor_pid", json_object_new_int(entry->monitor.pid));
	json_object_object_add(object, "subids", json_object_new_int64(entry->subids));
	json_object_object_add(object, "terminals", describe_text(entry->terminals));
	json_object_object_add(object, "linger", fact(facts, "linger"));
	json_object_object_add(object, "stop_timeout", json_object_new_int64(entry->stop_timeout));
	json_object_object_add(object, "runtime_max", fact(facts, "runtime_max"));
	json_object_object_add(object, "logins", logins(&facts->item));
	json_object_object_add(object, "limits", limits(entry));
	json_object_object_add(object, "usage", use(&facts->usage));
	json_object_object_add(object, "mounts", facts->mounts_error == 0 ? mounts(&facts->mounts) : NULL);
	json_object_object_add(object, "plan", facts->plan != NULL ? lines(facts->plan) : NULL);
	describe_print(object);
}
