/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target of path texts: the first line is a template with specifiers, the second a user name, the third a home, the
 * fourth a host name. What comes out as a path must have no "..", and not more components than were written down. */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/expand.h"
#include "common/path-util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static size_t slashes(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '/';
	return n;
}

static void check_normal(const char *path)
{
	must(path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/./") == NULL && strstr(path, "/../") == NULL);
	must(path[1] == '\0' || path[strlen(path) - 1] != '/');
	must(nsb_path_below(path, "/") && nsb_path_below(path, path));
}

/* Every size of the buffer gives the same or nothing; once more changes nothing. */
static void normalize(const char *path)
{
	char whole[PATH_MAX], again[PATH_MAX];
	size_t small = strlen(path) / 2 + 2;
	char *exact = malloc(small);
	int r = nsb_path_normalize(path, whole, sizeof(whole));

	must(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
	if (r == 0) {
		check_normal(whole);
		must(nsb_path_normalize(whole, again, sizeof(again)) == 0 && strcmp(whole, again) == 0);
		if (nsb_path_normalize(path, exact, small) == 0)
			must(strcmp(exact, whole) == 0);
	}
	free(exact);
}

static void expand(const char *text, const nsb_session *session)
{
	nsb_error error = { 0 };
	char *path = NULL, *plain = NULL;
	int known = nsb_expand_check(text, &error);

	must(known == 0 || (known == -EINVAL && error.words[0] != '\0'));
	error = (nsb_error){ 0 };
	must(nsb_expand(text, session, false, &plain, &error) == known);
	if (nsb_expand(text, session, true, &path, NULL) == 0) {
		must(strcmp(path, plain) == 0);
		/* only %h brings slashes along */
		if (strstr(text, "%h") == NULL)
			must(slashes(path) == slashes(text));
		normalize(path);
	}
	free(path);
	free(plain);
}

static void make_hostname(const char *text)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	char name[64];

	nsb_make_hostname(text, name);
	must(name[0] != '\0' && strlen(name) <= 63 && strspn(name, good) == strlen(name));
	must(name[0] != '-' && name[strlen(name) - 1] != '-');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *lines[4], *at = text;
	nsb_session session = { .service = (char *)"sshd", .uid = 2001, .gid = 3001, .id = "k3j5h7g9fx" };

	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < 4; i++) {
		lines[i] = at;
		at += strcspn(at, "\n");
		if (*at == '\n')
			*at++ = '\0';
	}
	session.user = lines[1];
	session.home = lines[2];
	session.host_name = lines[3];
	normalize(lines[0]);
	expand(lines[0], &session);
	make_hostname(lines[0]);
	free(text);
	return 0;
}
