/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/renew-masks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "helper/idmap.h"
#include "helper/steps.h"

/* In the order of the plan; until the process ends, which frees them. */
static char **places;
static size_t n_places;

/* Takes back what plan-text.c does to a text: \n, \xNN. */
static void unescape(char *text)
{
	char *to = text;
	unsigned byte;

	for (const char *from = text; *from != '\0';) {
		if (from[0] == '\\' && from[1] == 'n') {
			*to++ = '\n';
			from += 2;
		} else if (from[0] == '\\' && sscanf(from, "\\x%2x", &byte) == 1) {
			*to++ = (char)byte;
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* "build    mask             /etc/secret [if-there renewed]". The place, or NULL for another line; the caller frees. */
static char *place_in(const char *line, size_t length)
{
	NSB_FREE char *copy = strndup(line, length);
	char *op, *flags, *place;

	if (copy == NULL)
		return NULL;
	op = copy + strcspn(copy, " ");
	op += strspn(op, " ");
	place = op + strcspn(op, " ");
	place += strspn(place, " ");
	flags = strrchr(copy, '[');
	if (nsb_after_prefix(op, "mask ") == NULL || flags == NULL || flags <= place ||
	    strstr(flags, "renewed") == NULL || place[0] != '/')
		return NULL;
	flags[-1] = '\0';
	unescape(place);
	return strdup(place);
}

int renew_masks_find(const char *plan)
{
	for (const char *line = plan; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		char *place = place_in(line, strcspn(line, "\n"));
		char **more = place != NULL ? realloc(places, (n_places + 1) * sizeof(*more)) : places;

		if (place == NULL)
			continue;
		if (more == NULL) {
			free(place);
			return -ENOMEM;
		}
		places = more;
		places[n_places++] = place;
	}
	return 0;
}

/* What mounts_mask() puts there: the box's /dev/null, or a file system that holds one inode. */
static bool is_masked(int fd, const struct stat *st)
{
	struct statvfs fs;

	if (S_ISCHR(st->st_mode))
		return st->st_rdev == makedev(1, 3);
	return S_ISDIR(st->st_mode) && fstatvfs(fd, &fs) == 0 && fs.f_files == 1;
}

int renew_masks(nsb_box *box)
{
	int r = 0;

	for (size_t i = 0; i < n_places; i++) {
		const nsb_step step = { .op = NSB_OP_MASK, .dst = places[i], .flags = NSB_STEP_OPTIONAL };
		NSB_CLOSE int fd = idmap_path(box, places[i], 0, NULL, NULL, NULL);
		struct stat st;
		int one;

		if (fd < 0 || fstat(fd, &st) < 0 || is_masked(fd, &st))
			continue;
		one = mounts_mask(box, &step);
		if (one < 0 && r == 0)
			r = nsb_error_set(&box->error, one, "mask %s: %s", places[i], strerror(-one));
	}
	return r;
}
