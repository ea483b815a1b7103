/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/cgroup-mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"

#define TEXT_MAX (64 << 20) /* bytes */

/* mountinfo writes blank, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] != '\0' && text[3] != '\0') {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/sda1 rw": fields are divided by one blank, and may be empty. */
static bool parse_line(char *line, cgroup_mount *ret)
{
	char *behind = strstr(line, " - ");

	if (behind == NULL)
		return false;
	*behind = '\0';
	behind += strlen(" - ");
	for (int i = 0; i < 3; i++) /* the ids of the mount and of its parent, the device */
		strsep(&line, " ");
	ret->root = strsep(&line, " ");
	ret->point = strsep(&line, " ");
	ret->type = strsep(&behind, " ");
	strsep(&behind, " "); /* the source */
	ret->options = behind;
	if (ret->root == NULL || ret->point == NULL || ret->options == NULL)
		return false;
	unescape(ret->root);
	unescape(ret->point);
	return true;
}

void cgroup_texts_done(cgroup_texts *t)
{
	free(t->mounts);
	free(t->copy);
}

int cgroup_parse_mounts(const char *mountinfo, cgroup_texts *ret)
{
	size_t room = 1;
	char *rest;

	ret->copy = rest = strdup(mountinfo);
	if (rest == NULL)
		return -ENOMEM;
	for (const char *at = mountinfo; (at = strchr(at, '\n')) != NULL; at++)
		room++;
	ret->mounts = calloc(room, sizeof(ret->mounts[0]));
	if (ret->mounts == NULL)
		return -ENOMEM;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		if (parse_line(line, &ret->mounts[ret->n]))
			ret->n++;
	return 0;
}

bool cgroup_has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	while (words != NULL) {
		if (strncmp(words, word, length) == 0 && (words[length] == ',' || words[length] == '\0'))
			return true;
		words = strchr(words, ',');
		words = words != NULL ? words + 1 : NULL;
	}
	return false;
}

/* The path of the process in one tree: lines "8:pids:/a/b" (version 1) and "0::/a/b" (version 2, controller NULL). */
static bool find_own_path(const char *self_cgroup, const char *controller, char *ret, size_t size)
{
	NSB_FREE char *copy = strdup(self_cgroup);
	char *save = NULL;

	for (char *line = copy != NULL ? strtok_r(copy, "\n", &save) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':');
		char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

		if (path == NULL)
			continue;
		*path++ = '\0';
		*controllers++ = '\0';
		if (controller != NULL ? cgroup_has_word(controllers, controller)
				       : strcmp(line, "0") == 0 && controllers[0] == '\0') {
			snprintf(ret, size, "%s", path);
			return true;
		}
	}
	return false;
}

/* Where the group `path` lies, seen from a mount that shows the tree from `root` on. */
static int directory_of(const cgroup_mount *m, const char *path, char *ret, size_t size)
{
	size_t length = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);

	if (strncmp(path, m->root, length) != 0 || strstr(path, "/..") != NULL)
		return -EBADMSG;
	path += length;
	if (strcmp(path, "/") == 0)
		path = "";
	if (*path != '\0' && *path != '/')
		return -EBADMSG;
	return (size_t)snprintf(ret, size, "%s%s", m->point, path) < size ? 0 : -ENAMETOOLONG;
}

const cgroup_mount *cgroup_find_mount(const cgroup_texts *from, const char *controller)
{
	for (size_t i = 0; i < from->n; i++) {
		const cgroup_mount *line = &from->mounts[i];

		if (controller != NULL ? strcmp(line->type, "cgroup") == 0 && cgroup_has_word(line->options, controller)
				       : strcmp(line->type, "cgroup2") == 0)
			return line;
	}
	return NULL;
}

static int too_long(const cgroup_mount *m, nsb_error *error)
{
	return nsb_error_set(error, ENAMETOOLONG,
			     "the path of the application's cgroup, or of the tree's mount, is too long: %.60s...",
			     m->point);
}

int cgroup_own_directory(const cgroup_texts *from, const cgroup_mount *line, const char *controller, char *ret,
			 size_t size, nsb_error *error)
{
	char path[PATH_MAX];
	int r = find_own_path(from->self_cgroup, controller, path, sizeof(path)) ? directory_of(line, path, ret, size)
										 : -EBADMSG;

	return r == -ENAMETOOLONG ? too_long(line, error) : r;
}

int cgroup_copy_point(const cgroup_mount *line, char ret[NSB_CGROUP_MOUNT_MAX], nsb_error *error)
{
	return snprintf(ret, NSB_CGROUP_MOUNT_MAX, "%s", line->point) < NSB_CGROUP_MOUNT_MAX ? 0
											     : too_long(line, error);
}

int cgroup_fill_tree(const cgroup_texts *from, const cgroup_mount *line, const char *controller, nsb_cgroup_tree *ret,
		     nsb_error *error)
{
	int r = cgroup_own_directory(from, line, controller, ret->own, sizeof(ret->own), error);

	if (r == -EBADMSG)
		return nsb_error_set(error, r,
				     "the cgroup of the application is not below %s, where the tree is mounted",
				     line->point);
	if (r == 0)
		r = cgroup_copy_point(line, ret->mount, error);
	if (r < 0)
		return r;
	ret->version = controller != NULL ? 1 : 2;
	ret->controllers = ret->wanted = 0;
	return 0;
}

/* Takes out the lines that do not hold `word`. */
static void keep_lines(char *text, const char *word)
{
	char *to = text, *end;

	for (char *line = text; *line != '\0'; line = end) {
		size_t length = strcspn(line, "\n");

		end = line + length + (line[length] == '\n');
		if (memmem(line, length, word, strlen(word)) == NULL)
			continue;
		memmove(to, line, (size_t)(end - line));
		to += end - line;
	}
	*to = '\0';
}

int cgroup_read_lines(const char *path, const char *word, char **ret, nsb_error *error)
{
	NSB_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : nsb_read_all(fd, TEXT_MAX, ret);

	if (n < 0)
		return nsb_error_set(error, (int)n, "cannot read %s: %s", path, strerror((int)-n));
	keep_lines(*ret, word);
	return 0;
}
