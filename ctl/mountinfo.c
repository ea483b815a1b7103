/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/string-util.h"

/* The next word, which may be empty (a source is what the caller of mount(2) said); NULL behind the last. */
static char *next(char **at)
{
	return strsep(at, " ");
}

int mountinfo_parse(char *line, mount_row *ret)
{
	char *at = line, *words[6], *word;

	*ret = (mount_row){ .line = line };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		words[i] = next(&at);
		if (words[i] == NULL)
			return -EBADMSG;
	}
	ret->root = words[3];
	ret->point = words[4];
	ret->options = words[5];
	do /* any number of "shared:1" */
		word = next(&at);
	while (word != NULL && strcmp(word, "-") != 0);
	ret->type = next(&at);
	ret->source = next(&at);
	ret->super_options = at;
	return ret->type == NULL || ret->source == NULL || at == NULL ? -EBADMSG : 0;
}

void mountinfo_done(mount_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->rows[i].line);
	free(list->rows);
	*list = (mount_list){ 0 };
}

/* Takes the line. */
static int add(mount_list *list, char *line)
{
	mount_row *rows = nsb_grow(list->rows, list->n, sizeof(*rows));
	int r = -ENOMEM;

	if (rows != NULL) {
		list->rows = rows;
		r = mountinfo_parse(line, &rows[list->n]);
	}
	if (r < 0)
		free(line);
	else
		list->n++;
	return r;
}

static int read_lines(FILE *file, mount_list *ret)
{
	int r = 0;

	while (r == 0) {
		char *line = NULL;
		size_t size = 0;
		ssize_t n = getline(&line, &size, file);

		if (n <= 0) {
			free(line);
			return ferror(file) ? -EIO : 0;
		}
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		r = add(ret, line);
	}
	return r;
}

int mountinfo_read(const nsb_process *process, mount_list *ret)
{
	NSB_CLOSE int held = nsb_process_open(process);
	char path[64];
	FILE *file;
	int r;

	*ret = (mount_list){ 0 };
	if (held < 0)
		return held;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)process->pid);
	file = fopen(path, "re");
	if (file == NULL)
		return errno == ENOENT || errno == EINVAL ? -ESRCH : -errno;
	/* alive with the file open: the file is this process's, and not of the next one with the pid */
	r = nsb_wait_readable(held, 0) == -ETIMEDOUT ? read_lines(file, ret) : -ESRCH;
	fclose(file);
	return r;
}

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' && text[2] >= '0' && text[2] <= '7';
}

char *mountinfo_decode(const char *text)
{
	char *decoded = strdup(text), *to = decoded;

	if (decoded == NULL)
		return NULL;
	while (*text != '\0') {
		bool escaped = text[0] == '\\' && is_octal(text + 1);

		*to++ = escaped ? (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0') : *text;
		text += escaped ? 4 : 1;
	}
	*to = '\0';
	return decoded;
}
