/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/sshd-config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/fd-util.h"
#include "common/string-util.h"

#define DIRECTORY    "/etc/ssh/" /* of relative names in Include */
#define FILE_MAX     (256 * 1024)
#define INCLUDES_MAX 16 /* deep, as sshd has it */
#define FILES_MAX    500
#define BLANKS	     " \t\r\f\v"

typedef struct walk {
	sshd_take *take;
	void *argument;
	size_t n_files;
	int error;
} walk;

static void walk_file(walk *w, const char *file, bool match, unsigned depth);

bool sshd_config_split(char *line, const char **ret_keyword, const char **ret_value)
{
	char *at = line + strspn(line, BLANKS), *value;
	size_t length;

	if (*at == '\0' || *at == '#')
		return false;
	*ret_keyword = at;
	value = at + strcspn(at, BLANKS "=");
	if (*value != '\0')
		*value++ = '\0';
	/* "Port 22", "Port=22", "Port = 22" */
	value += strspn(value, BLANKS);
	value += *value == '=';
	value += strspn(value, BLANKS);
	if (*value == '"') {
		value++;
		value[strcspn(value, "\"")] = '\0';
	} else {
		char *comment = strstr(value, " #");

		if (comment != NULL)
			*comment = '\0';
	}
	for (length = strlen(value); length > 0 && strchr(BLANKS, value[length - 1]) != NULL; length--)
		value[length - 1] = '\0';
	*ret_value = value;
	return (*ret_keyword)[0] != '\0';
}

static void include_one(walk *w, const char *pattern, bool match, unsigned depth)
{
	NSB_FREE char *path = pattern[0] == '/' ? strdup(pattern) : nsb_format(DIRECTORY "%s", pattern);
	glob_t found = { 0 };

	/* the files in the order of their names, none is no error */
	if (path != NULL && glob(path, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			walk_file(w, found.gl_pathv[i], match, depth + 1);
	globfree(&found);
}

static void include(walk *w, const char *value, bool match, unsigned depth)
{
	NSB_FREE char *words = strdup(value);
	char *save = NULL;

	for (char *word = words != NULL ? strtok_r(words, BLANKS, &save) : NULL; word != NULL;
	     word = strtok_r(NULL, BLANKS, &save))
		include_one(w, word, match, depth);
}

static int read_file(const char *file, char **ret)
{
	NSB_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	NSB_FREE char *text = malloc(FILE_MAX);
	struct stat st;
	ssize_t n;

	if (fd < 0 || text == NULL)
		return text == NULL ? -ENOMEM : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	n = nsb_read_text(fd, text, FILE_MAX);
	if (n < 0)
		return (int)n;
	*ret = nsb_steal_pointer(&text);
	return 0;
}

static void walk_file(walk *w, const char *file, bool match, unsigned depth)
{
	NSB_FREE char *text = NULL;
	sshd_option option = { .file = file, .match = match };
	int r = depth > INCLUDES_MAX || w->n_files++ > FILES_MAX ? -ELOOP : read_file(file, &text);

	if (r < 0) {
		w->error = w->error == 0 ? r : w->error;
		return;
	}
	for (char *line = text, *next; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		option.line++;
		if (!sshd_config_split(line, &option.keyword, &option.value))
			continue;
		if (strcasecmp(option.keyword, "Match") == 0)
			option.match = strcasecmp(option.value, "all") != 0; /* to the next one */
		if (strcasecmp(option.keyword, "Include") == 0)
			include(w, option.value, option.match, depth);
		else
			w->take(w->argument, &option);
	}
}

int sshd_config_walk(const char *file, sshd_take *take, void *argument)
{
	walk w = { .take = take, .argument = argument };

	walk_file(&w, file, false, 0);
	return w.error;
}
