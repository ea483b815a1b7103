/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/registry-text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"

typedef enum field_type {
	FIELD_STRING, /* size: of the buffer */
	FIELD_U32,
	FIELD_U64,
	FIELD_PROCESS,
	FIELD_INODES,
	FIELD_PROCESSES, /* repeats; counted in n_members */
	FIELD_PATHS,	 /* repeats; counted in n_cgroups */
	FIELD_LIMITS,	 /* repeats; counted in n_limits */
} field_type;

/* One line of a text, and the versions that have it. */
typedef struct field {
	const char *name;
	field_type type;
	size_t offset, size;
	unsigned first, last;
} field;

#define STRING(record, member, first, last)                                                                            \
	{                                                                                                              \
#member, FIELD_STRING, offsetof(record, member), sizeof(((record *)0)->member), first, last            \
	}
#define OTHER(record, member, type, first, last)                                                                       \
	{                                                                                                              \
#member, type, offsetof(record, member), 0, first, last                                                \
	}

/* One row each; written in this order. */
static const field entry_fields[] = {
	STRING(nsb_entry, id, 1, 3),
	STRING(nsb_entry, state, 1, 3),
	STRING(nsb_entry, user, 1, 3),
	OTHER(nsb_entry, uid, FIELD_U32, 1, 3),
	STRING(nsb_entry, profile, 1, 3),
	STRING(nsb_entry, service, 1, 3),
	STRING(nsb_entry, tty, 1, 3),
	STRING(nsb_entry, rhost, 1, 3),
	STRING(nsb_entry, hostname, 1, 3),
	STRING(nsb_entry, share, 2, 3),
	STRING(nsb_entry, terminals, 2, 3),
	STRING(nsb_entry, ut_id, 1, 1),
	OTHER(nsb_entry, started, FIELD_U64, 1, 3),
	OTHER(nsb_entry, stop_timeout, FIELD_U64, 1, 3),
	OTHER(nsb_entry, namespaces, FIELD_U64, 1, 3),
	OTHER(nsb_entry, inodes, FIELD_INODES, 1, 3),
	OTHER(nsb_entry, init, FIELD_PROCESS, 1, 3),
	OTHER(nsb_entry, monitor, FIELD_PROCESS, 1, 3),
	OTHER(nsb_entry, members, FIELD_PROCESSES, 1, 1),
	OTHER(nsb_entry, cgroups, FIELD_PATHS, 1, 3),
	STRING(nsb_entry, scope, 1, 3),
	OTHER(nsb_entry, limits, FIELD_LIMITS, 1, 3),
	OTHER(nsb_entry, capabilities, FIELD_U64, 3, 3),
	OTHER(nsb_entry, confine, FIELD_U32, 3, 3),
	STRING(nsb_entry, seccomp, 3, 3),
	OTHER(nsb_entry, subids, FIELD_U32, 3, 3),
};

static const field member_fields[] = {
	STRING(nsb_member, session, 2, 3),
	OTHER(nsb_member, process, FIELD_PROCESS, 2, 3),
	STRING(nsb_member, service, 2, 3),
	STRING(nsb_member, tty, 2, 3),
	STRING(nsb_member, rhost, 2, 3),
	OTHER(nsb_member, started, FIELD_U64, 2, 3),
	STRING(nsb_member, ut_id, 2, 3),
};

/* What a text is about. Fields that repeat are an entry's only. */
typedef struct kind {
	const field *fields;
	size_t n_fields;
} kind;

static const kind entry_kind = { entry_fields, sizeof(entry_fields) / sizeof(entry_fields[0]) };
static const kind member_kind = { member_fields, sizeof(member_fields) / sizeof(member_fields[0]) };

#define N_INODES (sizeof(((nsb_entry *)0)->inodes) / sizeof(uint64_t))

static int check_string(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return -EINVAL;
	return 0;
}

static int format_process(FILE *out, const char *name, const nsb_process *process)
{
	return fprintf(out, "%s %d %" PRIu64 "\n", name, (int)process->pid, process->start);
}

static int format_strings(FILE *out, const char *name, const char *at, size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (check_string(at + i * size) < 0)
			return -EINVAL;
		fprintf(out, "%s %s\n", name, at + i * size);
	}
	return 0;
}

static int format_field(FILE *out, const field *f, const void *record)
{
	const nsb_entry *entry = record;
	const char *at = (const char *)record + f->offset;

	switch (f->type) {
	case FIELD_STRING:
		if (check_string(at) < 0)
			return -EINVAL;
		fprintf(out, "%s %s\n", f->name, at);
		break;
	case FIELD_U32:
		fprintf(out, "%s %" PRIu32 "\n", f->name, *(const uint32_t *)at);
		break;
	case FIELD_U64:
		fprintf(out, "%s %" PRIu64 "\n", f->name, *(const uint64_t *)at);
		break;
	case FIELD_PROCESS:
		format_process(out, f->name, (const nsb_process *)at);
		break;
	case FIELD_INODES:
		fprintf(out, "%s", f->name);
		for (size_t i = 0; i < N_INODES; i++)
			fprintf(out, " %" PRIu64, entry->inodes[i]);
		fputc('\n', out);
		break;
	case FIELD_PROCESSES:
		for (size_t i = 0; i < entry->n_members; i++)
			format_process(out, f->name, &entry->members[i]);
		break;
	case FIELD_PATHS:
		return format_strings(out, f->name, at, sizeof(entry->cgroups[0]), entry->n_cgroups);
	case FIELD_LIMITS:
		return format_strings(out, f->name, at, sizeof(entry->limits[0]), entry->n_limits);
	}
	return 0;
}

static int format_record(const kind *k, const void *record, unsigned version, char **ret, size_t *ret_size)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int r = 0;

	if (out == NULL)
		return -errno;
	if (version < 1 || version > NSB_ENTRY_VERSION)
		r = -EINVAL;
	fprintf(out, "nsbox %u\n", version);
	for (size_t i = 0; i < k->n_fields && r == 0; i++)
		if (version >= k->fields[i].first && version <= k->fields[i].last)
			r = format_field(out, &k->fields[i], record);
	fputs("end\n", out);
	if (ferror(out) && r == 0)
		r = -ENOMEM;
	if (fclose(out) != 0 && r == 0)
		r = -errno;
	if (r == 0 && size >= NSB_ENTRY_TEXT_MAX)
		r = -EFBIG;
	if (r < 0) {
		free(text);
		return r;
	}
	*ret = text;
	*ret_size = size;
	return 0;
}

int nsb_entry_format(const nsb_entry *entry, char **ret, size_t *ret_size)
{
	return format_record(&entry_kind, entry, entry->version, ret, ret_size);
}

int nsb_member_format(const nsb_member *member, char **ret, size_t *ret_size)
{
	return format_record(&member_kind, member, NSB_ENTRY_VERSION, ret, ret_size);
}

/* One decimal number at *at, which moves behind it and the one blank that may follow. */
static int parse_number(const char **at, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return -EBADMSG;
	errno = 0;
	*ret = strtoull(*at, &end, 10);
	if (errno != 0 || (*end != ' ' && *end != '\0'))
		return -EBADMSG;
	*at = *end == ' ' ? end + 1 : end;
	return 0;
}

static int parse_process(const char *at, nsb_process *ret)
{
	uint64_t pid, start;

	if (parse_number(&at, &pid) < 0 || parse_number(&at, &start) < 0 || *at != '\0' || pid > INT32_MAX)
		return -EBADMSG;
	ret->pid = (pid_t)pid;
	ret->start = start;
	return 0;
}

static int parse_string(const char *value, char *buffer, size_t size)
{
	size_t length = strlen(value);

	if (length >= size || check_string(value) < 0)
		return -EBADMSG;
	memcpy(buffer, value, length + 1);
	return 0;
}

static int parse_field(const field *f, const char *value, void *record)
{
	nsb_entry *entry = record;
	char *at = (char *)record + f->offset;
	uint64_t number;

	switch (f->type) {
	case FIELD_STRING:
		return parse_string(value, at, f->size);
	case FIELD_U32:
	case FIELD_U64:
		if (parse_number(&value, &number) < 0 || *value != '\0')
			return -EBADMSG;
		if (f->type == FIELD_U64)
			*(uint64_t *)at = number;
		else if (number <= UINT32_MAX)
			*(uint32_t *)at = (uint32_t)number;
		else
			return -EBADMSG;
		return 0;
	case FIELD_PROCESS:
		return parse_process(value, (nsb_process *)at);
	case FIELD_INODES:
		for (size_t i = 0; i < N_INODES; i++)
			if (parse_number(&value, &entry->inodes[i]) < 0)
				return -EBADMSG;
		return *value == '\0' ? 0 : -EBADMSG;
	case FIELD_PROCESSES:
		if (entry->n_members >= NSB_ENTRY_MEMBERS_MAX)
			return -EBADMSG;
		return parse_process(value, &entry->members[entry->n_members++]);
	case FIELD_PATHS:
		if (entry->n_cgroups >= NSB_ENTRY_CGROUPS_MAX || value[0] != '/')
			return -EBADMSG;
		return parse_string(value, entry->cgroups[entry->n_cgroups++], sizeof(entry->cgroups[0]));
	case FIELD_LIMITS:
		if (entry->n_limits >= NSB_ENTRY_LIMITS_MAX)
			return -EBADMSG;
		return parse_string(value, entry->limits[entry->n_limits++], sizeof(entry->limits[0]));
	}
	return -EBADMSG;
}

static int parse_line(const kind *k, unsigned version, char *line, void *record)
{
	char *blank = strchr(line, ' ');

	if (blank == NULL)
		return -EBADMSG;
	*blank = '\0';
	for (size_t i = 0; i < k->n_fields; i++)
		if (version >= k->fields[i].first && version <= k->fields[i].last &&
		    strcmp(k->fields[i].name, line) == 0)
			return parse_field(&k->fields[i], blank + 1, record);
	return -EBADMSG;
}

/* Reads the lines into `record`, which is all zero. */
static int parse_record(const kind *k, unsigned first_version, const char *text, size_t size, void *record,
			unsigned *ret_version)
{
	NSB_FREE char *copy = NULL;
	unsigned version;
	char *line, *save = NULL;
	int r = 0;

	if (size >= NSB_ENTRY_TEXT_MAX || memchr(text, '\0', size) != NULL)
		return -EBADMSG;
	copy = strndup(text, size);
	if (copy == NULL)
		return -ENOMEM;
	if (size < 4 || strcmp(copy + size - 4, "end\n") != 0 || (size > 4 && copy[size - 5] != '\n'))
		return -EBADMSG;
	line = strtok_r(copy, "\n", &save);
	if (line == NULL || sscanf(line, "nsbox %u", &version) != 1)
		return -EBADMSG;
	if (version < first_version || version > NSB_ENTRY_VERSION)
		return -EPROTO;
	while (r == 0 && (line = strtok_r(NULL, "\n", &save)) != NULL && strcmp(line, "end") != 0)
		r = parse_line(k, version, line, record);
	if (r == 0 && (line == NULL || strtok_r(NULL, "\n", &save) != NULL))
		r = -EBADMSG;
	*ret_version = version;
	return r;
}

/* What would not be written so was not written by us, and half of it is not believed either. */
static int compare(const char *again, size_t again_size, const char *text, size_t size)
{
	return again_size == size && memcmp(again, text, size) == 0 ? 0 : -EBADMSG;
}

int nsb_entry_parse(const char *text, size_t size, nsb_entry *ret)
{
	NSB_FREE char *again = NULL;
	size_t again_size;
	nsb_entry entry = { 0 };
	int r = parse_record(&entry_kind, 1, text, size, &entry, &entry.version);

	if (r == 0 && !nsb_id_valid(entry.id))
		r = -EBADMSG;
	if (r == 0)
		r = nsb_entry_format(&entry, &again, &again_size);
	if (r == 0)
		r = compare(again, again_size, text, size);
	if (r == 0)
		*ret = entry;
	return r == -EINVAL ? -EBADMSG : r;
}

int nsb_member_parse(const char *text, size_t size, nsb_member *ret)
{
	NSB_FREE char *again = NULL;
	size_t again_size;
	nsb_member member = { 0 };
	unsigned version;
	int r = parse_record(&member_kind, 2, text, size, &member, &version);

	if (r == 0 && !nsb_id_valid(member.session))
		r = -EBADMSG;
	/* as it was written: a login that is older than this program */
	if (r == 0)
		r = format_record(&member_kind, &member, version, &again, &again_size);
	if (r == 0)
		r = compare(again, again_size, text, size);
	if (r == 0)
		*ret = member;
	return r == -EINVAL ? -EBADMSG : r;
}
