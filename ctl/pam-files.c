/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of PAM: where they are, and what includes what. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/pam-reader.h"

const pam_places pam_standard_places = { .directories = { "/etc/pam.d", "/usr/lib/pam.d" }, .conf = "/etc/pam.conf" };

static const char *const types[] = { "auth", "account", "session", "password" };

typedef struct loader {
	const pam_places *places;
	pam_stack *stack;
	unsigned wanted; /* types, by their place in the table, that count */
	size_t n_opened;
} loader;

static int load_file(loader *l, const char *name, unsigned wanted, size_t level, size_t depth);

/* The first trouble is told, and what can be read is. */
static void note_error(loader *l, int error, const char *file, const pam_line *from)
{
	pam_stack *stack = l->stack;

	if (stack->error != 0)
		return;
	stack->error = error;
	stack->error_file = strdup(file);
	stack->error_where = from != NULL ? nsb_format("%s:%u", from->file, from->line) : strdup(file);
}

static bool is_directory(const char *path)
{
	struct stat st;

	return path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool uses_conf(const pam_places *places)
{
	return !is_directory(places->directories[0]) && !is_directory(places->directories[1]);
}

/* Opens the file of that name, its path to *ret. A FIFO does not keep us. */
static int open_file(const pam_places *places, const char *name, char **ret)
{
	size_t n = name[0] == '/' ? 1 : sizeof(places->directories) / sizeof(places->directories[0]);
	int fd = -1;

	for (size_t i = 0; i < n && fd < 0; i++) {
		free(*ret);
		if (name[0] != '/' && places->directories[i] == NULL)
			continue;
		*ret = name[0] == '/' ? strdup(name) : nsb_format("%s/%s", places->directories[i], name);
		if (*ret == NULL)
			return -ENOMEM;
		fd = open(*ret, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	return fd < 0 ? -errno : fd;
}

/* The whole text; the caller frees. */
static int read_file(int fd, char **ret)
{
	NSB_FREE char *text = malloc(PAM_FILE_MAX);
	struct stat st;
	ssize_t n;

	if (text == NULL)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	n = nsb_read_text(fd, text, PAM_FILE_MAX);
	if (n < 0)
		return (int)n;
	if (strlen(text) != (size_t)n)
		return -EBADMSG; /* a NUL */
	*ret = nsb_steal_pointer(&text);
	return 0;
}

static const char *add_file(pam_stack *stack, const char *path)
{
	char **files = nsb_grow(stack->files, stack->n_files, sizeof(*files));

	if (files == NULL)
		return NULL;
	stack->files = files;
	files[stack->n_files] = strdup(path);
	return files[stack->n_files] != NULL ? files[stack->n_files++] : NULL;
}

static unsigned type_bit(const char *type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], type) == 0)
			return 1u << i;
	return 0;
}

static int begin_substack(pam_stack *stack, size_t parent, size_t *ret)
{
	size_t *parents = nsb_grow(stack->parents, stack->n_levels, sizeof(*parents));

	if (parents == NULL)
		return -ENOMEM;
	stack->parents = parents;
	*ret = stack->n_levels;
	parents[stack->n_levels++] = parent;
	return 0;
}

static int add_line(loader *l, pam_line *line)
{
	pam_stack *stack = l->stack;
	pam_line *lines;

	if (stack->n == PAM_LINES_MAX) {
		note_error(l, -E2BIG, line->file, line);
		return 0;
	}
	lines = nsb_grow(stack->lines, stack->n, sizeof(*lines));
	if (lines == NULL)
		return -ENOMEM;
	stack->lines = lines;
	lines[stack->n++] = *line;
	*line = (pam_line){ 0 };
	return 0;
}

/* What another file has; `types` are those of its lines that count. */
static int include(loader *l, const pam_line *from, unsigned wanted, size_t level, size_t depth)
{
	int r;

	if (depth >= PAM_INCLUDES_MAX || l->n_opened >= PAM_FILES_MAX) {
		note_error(l, -ELOOP, from->module, from);
		return 0;
	}
	r = load_file(l, from->module, wanted, level, depth + 1);
	if (r < 0 && r != -ENOMEM) {
		note_error(l, r, from->module, from);
		r = 0;
	}
	return r;
}

/* Takes over what it keeps of the line. */
static int take_line(loader *l, pam_line *line, unsigned wanted, size_t level, size_t depth)
{
	unsigned bit = type_bit(line->type);
	size_t inner = level;
	int r = 0;

	if (strcmp(line->type, "@include") == 0)
		return include(l, line, wanted, level, depth);
	if ((bit & wanted) == 0)
		return 0;
	line->level = level;
	if (strcasecmp(line->control, "include") != 0 && strcasecmp(line->control, "substack") != 0)
		return add_line(l, line);
	if (strcasecmp(line->control, "substack") == 0)
		r = begin_substack(l->stack, level, &inner);
	return r < 0 ? r : include(l, line, bit, inner, depth);
}

static int take_text(loader *l, const char *file, const char *words, const char *service, unsigned wanted, size_t level,
		     size_t depth)
{
	pam_text text = { .at = words, .number = 1, .with_service = service != NULL };
	pam_line line;
	int r;

	while ((r = pam_text_next(&text, &line)) > 0) {
		line.file = file;
		r = service == NULL || strcasecmp(line.service, service) == 0
			    ? take_line(l, &line, wanted, level, depth)
			    : 0;
		pam_line_done(&line);
		if (r < 0)
			return r;
	}
	if (r == -EBADMSG) {
		line.file = file;
		note_error(l, r, file, &line);
		r = 0;
	}
	return r;
}

static int load_path(loader *l, int fd, const char *path, const char *service, unsigned wanted, size_t level,
		     size_t depth)
{
	NSB_FREE char *text = NULL;
	const char *file;
	int r = read_file(fd, &text);

	if (r < 0)
		return r;
	file = add_file(l->stack, path);
	return file == NULL ? -ENOMEM : take_text(l, file, text, service, wanted, level, depth);
}

static int load_file(loader *l, const char *name, unsigned wanted, size_t level, size_t depth)
{
	NSB_FREE char *path = NULL;
	NSB_CLOSE int fd = open_file(l->places, name, &path);

	l->n_opened++;
	return fd < 0 ? fd : load_path(l, fd, path, NULL, wanted, level, depth);
}

/* Of pam.conf(5). -ENOENT if no line is the service's. */
static int load_conf(loader *l, const char *service, unsigned wanted)
{
	NSB_CLOSE int fd = open(l->places->conf, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t before = l->stack->n;
	int r = fd < 0 ? -errno : load_path(l, fd, l->places->conf, service, wanted, 0, 0);

	return r == 0 && l->stack->n == before ? -ENOENT : r;
}

static int load_service(loader *l, const char *service, unsigned wanted)
{
	return uses_conf(l->places) ? load_conf(l, service, wanted) : load_file(l, service, wanted, 0, 0);
}

int pam_stack_load(const pam_places *places, const char *service, pam_stack *ret)
{
	loader l = { .places = places, .stack = ret };
	unsigned missing = (1u << sizeof(types) / sizeof(types[0])) - 1;
	size_t top;
	int r;

	*ret = (pam_stack){ 0 };
	r = begin_substack(ret, 0, &top);
	if (r == 0)
		r = load_service(&l, service, missing);
	if (r < 0 && r != -ENOENT && r != -ENOMEM) {
		note_error(&l, r, service, NULL);
		return 0;
	}
	for (size_t i = 0; i < ret->n; i++)
		missing &= ~type_bit(ret->lines[i].type);
	if (r < 0 || missing == 0 || strcmp(service, "other") == 0)
		return r;
	r = load_service(&l, "other", missing);
	return r == -ENOMEM ? r : 0;
}

void pam_stack_done(pam_stack *stack)
{
	for (size_t i = 0; i < stack->n; i++)
		pam_line_done(&stack->lines[i]);
	for (size_t i = 0; i < stack->n_files; i++)
		free(stack->files[i]);
	free(stack->lines);
	free(stack->files);
	free(stack->parents);
	free(stack->error_where);
	free(stack->error_file);
	*stack = (pam_stack){ 0 };
}

/* --- all services --- */

/* Debian's common-* are parts of stacks; the others are what package managers and editors put beside a file. */
static bool is_service(const char *name)
{
	static const char *const leftovers[] = { ".dpkg-", ".rpmnew", ".rpmsave", ".ucf-", ".bak", ".orig", "~" };

	if (name[0] == '.' || nsb_after_prefix(name, "common-") != NULL)
		return false;
	for (size_t i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]); i++)
		if (strstr(name, leftovers[i]) != NULL)
			return false;
	return true;
}

static int add_name(pam_services *list, const char *name)
{
	char **names;

	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->names[i], name) == 0)
			return 0;
	names = nsb_grow(list->names, list->n, sizeof(*names));
	if (names == NULL)
		return -ENOMEM;
	list->names = names;
	names[list->n] = strdup(name);
	if (names[list->n] == NULL)
		return -ENOMEM;
	list->n++;
	return 0;
}

static int list_directory(const char *path, pam_services *ret)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && directory != NULL && (entry = readdir(directory)) != NULL)
		if (is_service(entry->d_name))
			r = add_name(ret, entry->d_name);
	if (directory != NULL)
		closedir(directory);
	return r;
}

static int list_conf(const char *path, pam_services *ret)
{
	NSB_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	NSB_FREE char *words = NULL;
	pam_text text = { .number = 1, .with_service = true };
	pam_line line;
	int r = fd < 0 ? -errno : read_file(fd, &words);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	text.at = words;
	while ((r = pam_text_next(&text, &line)) > 0) {
		r = add_name(ret, line.service);
		pam_line_done(&line);
		if (r < 0)
			break;
	}
	return r == -EBADMSG ? 0 : r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int pam_services_list(const pam_places *places, pam_services *ret)
{
	int r = 0;

	*ret = (pam_services){ 0 };
	if (uses_conf(places))
		r = list_conf(places->conf, ret);
	for (size_t i = 0; r == 0 && i < sizeof(places->directories) / sizeof(places->directories[0]); i++)
		if (places->directories[i] != NULL)
			r = list_directory(places->directories[i], ret);
	if (ret->n > 0)
		qsort(ret->names, ret->n, sizeof(*ret->names), by_name);
	return r;
}

void pam_services_done(pam_services *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
	*list = (pam_services){ 0 };
}
