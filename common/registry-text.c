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

typedef struct field {
	const char *name;
	field_type type;
	size_t offset, size;
} field;

#define STRING(member)                                                                                                 \
	{                                                                                                              \
#member, FIELD_STRING, offsetof(nsb_entry, member), sizeof(((nsb_entry *)0)->member)                   \
	}
#define OTHER(member, type)                                                                                            \
	{                                                                                                              \
#member, type, offsetof(nsb_entry, member), 0                                                          \
	}

/* One row each; written in this order. */
static const field fields[] = {
	STRING(id),
	STRING(state),
	STRING(user),
	OTHER(uid, FIELD_U32),
	STRING(profile),
	STRING(service),
	STRING(tty),
	STRING(rhost),
	STRING(hostname),
	STRING(ut_id),
	OTHER(started, FIELD_U64),
	OTHER(stop_timeout, FIELD_U64),
	OTHER(namespaces, FIELD_U64),
	OTHER(inodes, FIELD_INODES),
	OTHER(init, FIELD_PROCESS),
	OTHER(monitor, FIELD_PROCESS),
	OTHER(members, FIELD_PROCESSES),
	OTHER(cgroups, FIELD_PATHS),
	STRING(scope),
	OTHER(limits, FIELD_LIMITS),
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))
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

static int format_field(FILE *out, const field *f, const nsb_entry *entry)
{
	const char *at = (const char *)entry + f->offset;

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

int nsb_entry_format(const nsb_entry *entry, char **ret, size_t *ret_size)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int r = 0;

	if (out == NULL)
		return -errno;
	fprintf(out, "nsbox %d\n", NSB_ENTRY_VERSION);
	for (size_t i = 0; i < N_FIELDS && r == 0; i++)
		r = format_field(out, &fields[i], entry);
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

static int parse_field(const field *f, const char *value, nsb_entry *entry)
{
	char *at = (char *)entry + f->offset;
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

static int parse_line(char *line, nsb_entry *entry)
{
	char *blank = strchr(line, ' ');

	if (blank == NULL)
		return -EBADMSG;
	*blank = '\0';
	for (size_t i = 0; i < N_FIELDS; i++)
		if (strcmp(fields[i].name, line) == 0)
			return parse_field(&fields[i], blank + 1, entry);
	return -EBADMSG;
}

int nsb_entry_parse(const char *text, size_t size, nsb_entry *ret)
{
	NSB_FREE char *copy = NULL;
	NSB_FREE char *again = NULL;
	size_t again_size;
	nsb_entry entry = { 0 };
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
	if (version != NSB_ENTRY_VERSION)
		return -EPROTO;
	while (r == 0 && (line = strtok_r(NULL, "\n", &save)) != NULL && strcmp(line, "end") != 0)
		r = parse_line(line, &entry);
	if (r == 0 && (line == NULL || strtok_r(NULL, "\n", &save) != NULL || !nsb_id_valid(entry.id)))
		r = -EBADMSG;
	/* what would not be written so was not written by us, and half of it is not believed either */
	if (r == 0)
		r = nsb_entry_format(&entry, &again, &again_size);
	if (r == 0 && (again_size != size || memcmp(again, text, size) != 0))
		r = -EBADMSG;
	if (r == 0)
		*ret = entry;
	return r == -EINVAL ? -EBADMSG : r;
}
