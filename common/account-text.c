/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/account-text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"

#define ID_ROOM 11 /* of a number and what divides it from the next field */
#define NOBODY	65534
#define TTY	5 /* the group of the terminals in a box's devpts (default-view.c) */

/* ---- a text that grows in memory enough for it ---- */

typedef struct text {
	char *start;
	size_t used, room;
} text;

static bool text_begin(text *t, size_t room)
{
	*t = (text){ .start = malloc(room + 1), .room = room + 1 };
	if (t->start != NULL)
		t->start[0] = '\0';
	return t->start != NULL;
}

static void __attribute__((format(printf, 2, 3))) put(text *t, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(t->start + t->used, t->room - t->used, format, arguments);
	va_end(arguments);
	if (n > 0 && (size_t)n < t->room - t->used)
		t->used += (size_t)n;
}

/* The first `length` characters and a newline. */
static void put_line(text *t, const char *line, size_t length)
{
	put(t, "%.*s\n", (int)length, line);
}

/* ---- passwd and group ---- */

/* Whether it can stand in a field: what divides fields and lines cannot, and other control characters have no business
 * there. */
static bool fits_field(const char *value)
{
	for (; *value != '\0'; value++)
		if (*value == ':' || (unsigned char)*value < 0x20 || *value == 0x7f)
			return false;
	return true;
}

/* Whether glibc finds a line that begins so: a blank or "#" at its start makes it no entry, "+" and "-" one of NIS. */
static bool fits_name(const char *name)
{
	return name[0] != '\0' && strchr(" #+-", name[0]) == NULL && fits_field(name);
}

/* A "," divides members. */
static bool fits_member(const char *name)
{
	return fits_name(name) && strchr(name, ',') == NULL && name[strlen(name) - 1] != ' ';
}

static int check(const nsb_session *s, nsb_error *error)
{
	const char *what = !fits_member(s->user)   ? "name"
			   : !fits_field(s->home)  ? "home directory"
			   : !fits_field(s->shell) ? "shell"
						   : NULL;

	if (what == NULL)
		return 0;
	return nsb_error_set(
		error, EINVAL,
		"account_files = minimal: the %s of this account has characters that cannot be written into "
		"/etc/passwd of the box: use account_files = root",
		what);
}

/* Root comes first, as everywhere: another account with its number is found by the name. "*": no password is right, and
 * there is no line in shadow(5) to be asked for. The shell is one that every tree has. */
static char *make_passwd(const nsb_session *s)
{
	const char *gecos = s->gecos != NULL && fits_field(s->gecos) ? s->gecos : "";
	size_t fixed = 128,
	       own = strlen(s->user) + strlen(gecos) + strlen(s->home) + strlen(s->shell) + 2 * ID_ROOM + 8;
	text t;

	if (!text_begin(&t, fixed + own))
		return NULL;
	if (strcmp(s->user, "root") != 0)
		put(&t, "root:*:0:0:root:/root:/bin/sh\n");
	put(&t, "%s:x:%u:%u:%s:%s:%s\n", s->user, s->uid, s->gid, gecos, s->home, s->shell);
	if (strcmp(s->user, "nobody") != 0 && s->uid != NOBODY)
		put(&t, "nobody:*:%d:%d:nobody:/nonexistent:/usr/sbin/nologin\n", NOBODY, NOBODY);
	return t.start;
}

static int by_number(const void *a, const void *b)
{
	const nsb_group *const *first = a, *const *second = b;

	return ((*first)->gid > (*second)->gid) - ((*first)->gid < (*second)->gid);
}

/* The user's groups by their numbers, each once. NULL without memory. */
static const nsb_group **sort_groups(const nsb_session *s, size_t *ret_n)
{
	const nsb_group **list = calloc(s->n_groups + 1, sizeof(*list));
	size_t n = 0;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < s->n_groups; i++)
		list[i] = &s->groups[i];
	qsort(list, s->n_groups, sizeof(*list), by_number);
	for (size_t i = 0; i < s->n_groups; i++)
		if (n == 0 || list[n - 1]->gid != list[i]->gid)
			list[n++] = list[i];
	*ret_n = n;
	return list;
}

static bool has_name(const nsb_group *group)
{
	return group->name != NULL && fits_name(group->name);
}

/* One that the box has anyhow, unless it is the user's. */
static void put_common(text *t, const nsb_group **list, size_t n, const char *name, gid_t gid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i]->gid == gid || (has_name(list[i]) && strcmp(list[i]->name, name) == 0))
			return;
	put(t, "%s:x:%u:\n", name, gid);
}

static char *make_group(const nsb_session *s)
{
	size_t n = 0, room = 128;
	NSB_FREE const nsb_group **list = sort_groups(s, &n);
	text t;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		room += (list[i]->name != NULL ? strlen(list[i]->name) : 0) + strlen(s->user) + 2 * ID_ROOM + 8;
	if (!text_begin(&t, room))
		return NULL;
	put_common(&t, list, n, "root", 0);
	put_common(&t, list, n, "tty", TTY);
	for (size_t i = 0; i < n; i++) {
		const char *member = list[i]->gid == s->gid ? "" : s->user;

		if (has_name(list[i]))
			put(&t, "%s:x:%u:%s\n", list[i]->name, list[i]->gid, member);
		else if (list[i]->gid != s->gid)
			put(&t, "%u:x:%u:%s\n", list[i]->gid, list[i]->gid, member);
	}
	put_common(&t, list, n, "nogroup", NOBODY);
	return t.start;
}

int nsb_account_texts(const nsb_session *session, char **ret_passwd, char **ret_group, nsb_error *error)
{
	NSB_FREE char *passwd = NULL;
	NSB_FREE char *group = NULL;
	int r = check(session, error);

	if (r < 0)
		return r;
	passwd = make_passwd(session);
	group = passwd != NULL ? make_group(session) : NULL;
	if (group == NULL)
		return -ENOMEM;
	*ret_passwd = nsb_steal_pointer(&passwd);
	*ret_group = nsb_steal_pointer(&group);
	return 0;
}

/* ---- lines of a file ---- */

/* Whether the line has exactly this name before its first colon. */
static bool is_named(const char *line, const char *name, size_t length)
{
	return strncmp(line, name, length) == 0 && line[length] == ':';
}

static bool has_line(const char *lines, const char *name, size_t length)
{
	for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n')
		if (is_named(lines, name, length))
			return true;
	return false;
}

static void put_named(text *t, const char *lines, const char *name, size_t length)
{
	for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n')
		if (is_named(lines, name, length))
			put_line(t, lines, strcspn(lines, "\n"));
}

char *nsb_account_lines(const char *from, const char *wanted)
{
	text t;

	if (!text_begin(&t, strlen(from) + strlen(wanted) + 2))
		return NULL;
	while (*wanted != '\0') {
		size_t length = strcspn(wanted, "\n"), name = strcspn(wanted, ":\n");

		if (!has_line(t.start, wanted, name)) {
			if (name < length)
				put_line(&t, wanted, length);
			else
				put_named(&t, from, wanted, name);
		}
		wanted += length;
		wanted += *wanted == '\n';
	}
	return t.start;
}

/* ---- nsswitch.conf ---- */

#define BLANKS " \t\r\v\f"

static bool is_word_of(const char *words, const char *word, size_t length)
{
	for (words += strspn(words, " "); *words != '\0'; words += strspn(words, " ")) {
		size_t n = strcspn(words, " ");

		if (n == length && strncmp(words, word, n) == 0)
			return true;
		words += n;
	}
	return false;
}

char *nsb_account_switch(const char *from, const char *databases)
{
	text t;

	/* a word of n letters becomes a line of n + 8 */
	if (!text_begin(&t, strlen(from) + 9 * (strlen(databases) + 1) + 1))
		return NULL;
	while (*from != '\0') {
		const char *name = from + strspn(from, BLANKS);

		/* what is behind the name need not be a colon: the C library is content with a blank */
		if (!is_word_of(databases, name, strcspn(name, BLANKS ":#\n")))
			put_line(&t, from, strcspn(from, "\n"));
		from += strcspn(from, "\n");
		from += *from == '\n';
	}
	for (databases += strspn(databases, " "); *databases != '\0'; databases += strspn(databases, " ")) {
		size_t length = strcspn(databases, " ");

		put(&t, "%.*s: files\n", (int)length, databases);
		databases += length;
	}
	return t.start;
}
