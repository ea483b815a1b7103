/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/expand.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"

#define NUMBER_SIZE	24 /* any id in decimal */
#define HOSTNAME_LENGTH 63 /* one label of a host name; HOST_NAME_MAX is 64 */

enum shape {
	SHAPE_ANY,	 /* digits, or made by us */
	SHAPE_COMPONENT, /* as part of a path it must not add, leave out or climb a directory */
	SHAPE_ABSOLUTE,
};

static const struct specifier {
	char letter;
	enum shape shape;
	const char *what;
} specifiers[] = {
	{ 'u', SHAPE_COMPONENT, "user name" },	   { 'U', SHAPE_ANY, "user id" },
	{ 'g', SHAPE_COMPONENT, "group name" },	   { 'G', SHAPE_ANY, "group id" },
	{ 'h', SHAPE_ABSOLUTE, "home directory" }, { 'H', SHAPE_COMPONENT, "host name" },
	{ 's', SHAPE_COMPONENT, "service" },	   { 'i', SHAPE_ANY, "box id" },
	{ '%', SHAPE_ANY, "percent sign" },
};

static const struct specifier *find_specifier(char letter)
{
	for (size_t i = 0; i < sizeof(specifiers) / sizeof(specifiers[0]); i++)
		if (specifiers[i].letter == letter)
			return &specifiers[i];
	return NULL;
}

int nsb_expand_check(const char *text, nsb_error *error)
{
	const char *at = text;

	while ((at = strchr(at, '%')) != NULL) {
		if (at[1] == '\0')
			return nsb_error_set(error, EINVAL,
					     "\"%.128s\" ends with a lone \"%%\": write \"%%%%\" for a percent sign",
					     text);
		if (find_specifier(at[1]) == NULL)
			return nsb_error_set(error, EINVAL,
					     "unknown specifier \"%.2s\" in \"%.128s\"; there are "
					     "%%u %%U %%g %%G %%h %%H %%s %%i %%%%",
					     at, text);
		at += 2;
	}
	return 0;
}

static const char *group_name(const nsb_session *session)
{
	for (size_t i = 0; i < session->n_groups; i++)
		if (session->groups[i].gid == session->gid && !nsb_str_empty(session->groups[i].name))
			return session->groups[i].name;
	return NULL;
}

static const char *value_of(char letter, const nsb_session *session, char number[NUMBER_SIZE])
{
	const char *value = NULL;

	switch (letter) {
	case 'u':
		value = session->user;
		break;
	case 'h':
		value = session->home;
		break;
	case 'H':
		value = session->host_name;
		break;
	case 's':
		value = session->service;
		break;
	case 'i':
		value = session->id;
		break;
	case '%':
		value = "%";
		break;
	case 'U':
		snprintf(number, NUMBER_SIZE, "%ju", (uintmax_t)session->uid);
		return number;
	case 'g':
		value = group_name(session);
		if (value != NULL)
			break;
		/* fall through */
	case 'G':
		snprintf(number, NUMBER_SIZE, "%ju", (uintmax_t)session->gid);
		return number;
	}
	return value != NULL ? value : "";
}

static bool has_dotdot(const char *path)
{
	for (;;) {
		size_t length = strcspn(path, "/");

		if (length == 2 && path[0] == '.' && path[1] == '.')
			return true;
		if (path[length] == '\0')
			return false;
		path += length + 1;
	}
}

static bool fits_path(enum shape shape, const char *value)
{
	switch (shape) {
	case SHAPE_ANY:
		return true;
	case SHAPE_ABSOLUTE:
		return value[0] == '/' && !has_dotdot(value);
	case SHAPE_COMPONENT:
		break;
	}
	return value[0] != '\0' && strchr(value, '/') == NULL && strcmp(value, ".") != 0 && strcmp(value, "..") != 0;
}

/* Appends to a text of known length. */
static int append(char **text, size_t *length, const char *more, size_t n)
{
	char *grown = realloc(*text, *length + n + 1);

	if (grown == NULL)
		return -ENOMEM;
	memcpy(grown + *length, more, n);
	*length += n;
	grown[*length] = '\0';
	*text = grown;
	return 0;
}

static int unfit(nsb_error *error, const struct specifier *specifier, const char *value, const char *text)
{
	int r = nsb_error_set(error, EINVAL, "the %s \"%.128s\" cannot stand in a path (%%%c in \"%.128s\")",
			      specifier->what, value, specifier->letter, text);

	if (error != NULL)
		nsb_make_printable(error->words);
	return r;
}

int nsb_expand(const char *text, const nsb_session *session, bool as_path, char **ret, nsb_error *error)
{
	NSB_FREE char *expanded = NULL;
	const char *at = text;
	size_t length = 0;
	int r;

	r = nsb_expand_check(text, error);
	if (r < 0)
		return r;
	for (;;) {
		const struct specifier *specifier;
		char number[NUMBER_SIZE];
		const char *value;
		size_t plain = strcspn(at, "%");

		r = append(&expanded, &length, at, plain);
		if (r < 0)
			return r;
		at += plain;
		if (*at == '\0')
			break;
		specifier = find_specifier(at[1]);
		value = value_of(at[1], session, number);
		if (as_path && !fits_path(specifier->shape, value))
			return unfit(error, specifier, value, text);
		r = append(&expanded, &length, value, strlen(value));
		if (r < 0)
			return r;
		at += 2;
	}
	*ret = nsb_steal_pointer(&expanded);
	return 0;
}

void nsb_make_hostname(const char *text, char buffer[64])
{
	size_t n = 0;

	/* not isalnum(3): in a locale it may allow what a host name does not */
	for (; *text != '\0' && n < HOSTNAME_LENGTH; text++) {
		char c = *text;

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && n > 0))
			buffer[n++] = c;
		else if (n > 0 && buffer[n - 1] != '-')
			buffer[n++] = '-';
	}
	while (n > 0 && buffer[n - 1] == '-')
		n--;
	if (n == 0) {
		memcpy(buffer, "box", sizeof("box"));
		return;
	}
	buffer[n] = '\0';
}
