/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of PAM's files: pure. pam-files.c finds them. */
#include "ctl/pam-reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/fd-util.h"
#include "common/string-util.h"

#define BLANKS " \t\r\n\v\f"

/* --- a line --- */

static void skip_physical(pam_text *text)
{
	text->at += strcspn(text->at, "\n");
	text->at += *text->at != '\0';
	text->number++;
}

/* One line of the file into `to`, without its comment and the blanks around it. Whether it goes on in the next one. */
static bool take_physical(pam_text *text, char **to)
{
	size_t length = strcspn(text->at, "\n");
	const char *from = text->at, *hash = memchr(from, '#', length);
	size_t n = hash != NULL ? (size_t)(hash - from) : length;
	bool goes_on;

	skip_physical(text);
	while (n > 0 && strchr(BLANKS, from[n - 1]) != NULL)
		n--;
	/* the comment ends the line, whatever stands before it */
	goes_on = hash == NULL && n > 0 && from[n - 1] == '\\';
	n -= goes_on;
	memcpy(*to, from, n);
	*to += n;
	*(*to)++ = ' ';
	return goes_on;
}

/* A word, or what is between brackets, where "\]" is a bracket; cut out in place. */
static char *take_word(char **at)
{
	char *word = *at + strspn(*at, BLANKS), *to;

	if (*word != '[') {
		char *end = word + strcspn(word, BLANKS);

		*at = end + (*end != '\0');
		*end = '\0';
		return word;
	}
	to = ++word;
	for (*at = word; **at != '\0' && **at != ']'; (*at)++) {
		*at += (*at)[0] == '\\' && (*at)[1] == ']';
		*to++ = **at;
	}
	*at += **at != '\0';
	*to = '\0';
	return word;
}

static int take_words(pam_line *line, char *at)
{
	while (at[strspn(at, BLANKS)] != '\0') {
		char **words = nsb_grow(line->words, line->n_words, sizeof(*words));

		if (words == NULL)
			return -ENOMEM;
		line->words = words;
		words[line->n_words++] = take_word(&at);
	}
	return 0;
}

static int split(pam_line *line, bool with_service)
{
	char *at = line->text, *type;

	if (with_service)
		line->service = take_word(&at);
	type = take_word(&at);
	if (strcasecmp(type, "@include") != 0 && type[0] == '-')
		type++; /* a module that is not installed is passed over in silence */
	for (char *c = type; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	line->type = type;
	line->control = strcmp(type, "@include") == 0 ? "" : take_word(&at);
	line->module = take_word(&at);
	return take_words(line, at);
}

int pam_text_next(pam_text *text, pam_line *ret)
{
	bool goes_on = false;
	char *to;
	int r;

	*ret = (pam_line){ .text = malloc(strlen(text->at) + 2) };
	if (ret->text == NULL)
		return -ENOMEM;
	to = ret->text;
	while (*text->at != '\0') {
		/* empty lines and comments in the midst of a continued line are passed over */
		bool empty = strchr("#\n", text->at[strspn(text->at, " \t\r\v\f")]) != NULL;

		if (ret->line == 0 && !empty)
			ret->line = text->number;
		if (empty)
			skip_physical(text);
		else
			goes_on = take_physical(text, &to);
		if (ret->line != 0 && !goes_on)
			break;
	}
	to -= to > ret->text; /* the blank that would divide it from a next one */
	*to = '\0';
	if (ret->line == 0 || goes_on) {
		free(nsb_steal_pointer(&ret->text));
		return goes_on ? -EBADMSG : 0;
	}
	/* room was made for the whole rest of the file */
	to = realloc(ret->text, (size_t)(to - ret->text) + 1);
	ret->text = to != NULL ? to : ret->text;
	r = split(ret, text->with_service);
	if (r < 0)
		pam_line_done(ret);
	return r < 0 ? r : 1;
}

void pam_line_done(pam_line *line)
{
	free(line->words);
	free(line->text);
	*line = (pam_line){ 0 };
}

/* --- what it says --- */

/* The keywords, as pam.conf(5) writes them out. */
static const struct {
	const char *word, *means;
} controls[] = {
	{ "required", "success=ok new_authtok_reqd=ok ignore=ignore default=bad" },
	{ "requisite", "success=ok new_authtok_reqd=ok ignore=ignore default=die" },
	{ "sufficient", "success=done new_authtok_reqd=done default=ignore" },
	{ "optional", "success=ok new_authtok_reqd=ok default=ignore" },
};

/* The action behind "value=", length in *ret; NULL if it is not there. */
static const char *action_of(const char *control, const char *value, size_t *ret)
{
	size_t length = strlen(value);

	for (const char *at = control; *(at += strspn(at, BLANKS)) != '\0'; at += strcspn(at, BLANKS)) {
		const char *action = at + length;

		if (strncasecmp(at, value, length) != 0)
			continue;
		/* "success = ok" is taken, too */
		action += strspn(action, BLANKS);
		if (*action++ != '=')
			continue;
		action += strspn(action, BLANKS);
		*ret = strcspn(action, BLANKS);
		return action;
	}
	return NULL;
}

void pam_control_action(const char *control, const char *value, char buffer[PAM_ACTION_SIZE])
{
	const char *action;
	size_t length = 0;

	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		if (strcasecmp(control, controls[i].word) == 0)
			control = controls[i].means;
	action = action_of(control, value, &length);
	if (action == NULL)
		action = action_of(control, "default", &length);
	if (action == NULL)
		action = "bad", length = strlen(action); /* libpam's own */
	snprintf(buffer, PAM_ACTION_SIZE, "%.*s", (int)(length < PAM_ACTION_SIZE ? length : 0), action);
	for (char *c = buffer; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
}

bool pam_line_is(const pam_line *line, const char *module)
{
	const char *slash = strrchr(line->module, '/');

	return strcmp(slash != NULL ? slash + 1 : line->module, module) == 0;
}

bool pam_line_has(const pam_line *line, const char *word)
{
	for (size_t i = 0; i < line->n_words; i++)
		if (strcmp(line->words[i], word) == 0)
			return true;
	return false;
}

const char *pam_line_value(const pam_line *line, const char *name)
{
	for (size_t i = 0; i < line->n_words; i++) {
		const char *rest = nsb_after_prefix(line->words[i], name);

		if (rest != NULL && rest[0] == '=')
			return rest + 1;
	}
	return NULL;
}
