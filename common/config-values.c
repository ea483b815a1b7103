/* SPDX-License-Identifier: BSD-3-Clause */
/* From the text right of "=" to a value: one function per type of key, chosen by nsb_key_apply(). What a number with a
 * unit means is in config-amounts.c. */
#include "common/config-keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/config-amounts.h"
#include "common/expand.h"
#include "common/fd-util.h"
#include "common/string-util.h"

#define NAME_PART_LENGTH 64 /* leaves room in NAME_MAX for what a program adds */
#define NAME_LENGTH	 255

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The end of the word that begins at `text`, and whether its quotes and escapes are good. */
static int find_word_end(const char *text, const char **ret_end, nsb_error *error)
{
	const char *at = text;
	bool quoted = false;

	for (; *at != '\0' && (quoted || !is_blank(*at)); at++) {
		if (*at == '"')
			quoted = !quoted;
		if (*at != '\\' || !quoted)
			continue;
		at++;
		if (*at != '"' && *at != '\\')
			return nsb_error_set(
				error, EINVAL,
				"a backslash in quotes stands before \\ or \" only: write \\\\ for one of them");
	}
	if (quoted)
		return nsb_error_set(error, EINVAL, "the quote in \"%.64s\" is not closed", text);
	*ret_end = at;
	return 0;
}

/* The next word with quotes and escapes resolved: 1 with *ret, which the caller frees; 0 at the end. */
static int next_word(const char **at, char **ret, nsb_error *error)
{
	const char *from = *at + strspn(*at, " \t"), *end = from;
	bool quoted = false;
	size_t n = 0;
	char *word;
	int r;

	if (*from == '\0')
		return 0;
	r = find_word_end(from, &end, error);
	if (r < 0)
		return r;
	word = malloc((size_t)(end - from) + 1);
	if (word == NULL)
		return -ENOMEM;
	for (; from < end; from++) {
		if (*from == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && *from == '\\')
			from++;
		word[n++] = *from;
	}
	word[n] = '\0';
	*at = end;
	*ret = word;
	return 1;
}

/* The value as one text; "" if there is none. */
static int take_text(const char *value, char **ret, nsb_error *error)
{
	NSB_FREE char *text = NULL, *more = NULL;
	int r;

	r = next_word(&value, &text, error);
	if (r < 0)
		return r;
	if (r == 0)
		text = strdup("");
	if (text == NULL)
		return -ENOMEM;
	r = next_word(&value, &more, error);
	if (r < 0)
		return r;
	if (r > 0)
		return nsb_error_set(error, EINVAL,
				     "one value is allowed, \"%.128s\" is too much (a value with blanks needs quotes)",
				     more);
	*ret = nsb_steal_pointer(&text);
	return 0;
}

/* One text with blanks, which reads as well without quotes: "1min 30s", "0-3 5". */
static int take_phrase(const char *value, char **ret, nsb_error *error)
{
	if (strchr(value, '"') != NULL)
		return take_text(value, ret, error);
	*ret = strdup(value);
	return *ret != NULL ? 0 : -ENOMEM;
}

static int add_item(nsb_list *list, char **item, nsb_origin at)
{
	nsb_origin *origins;
	char **items;

	items = nsb_grow(list->items, list->n, sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	list->items = items;
	origins = nsb_grow(list->origins, list->n, sizeof(*origins));
	if (origins == NULL)
		return -ENOMEM;
	list->origins = origins;
	list->items[list->n] = nsb_steal_pointer(item);
	list->origins[list->n++] = at;
	return 0;
}

static int apply_list(const nsb_key *key, const char *value, nsb_origin at, nsb_list *list, nsb_error *error)
{
	size_t before = list->n;
	int r;

	for (;;) {
		NSB_FREE char *word = NULL;

		r = next_word(&value, &word, error);
		if (r == 0)
			return 0;
		if (r > 0 && word[0] == '\0')
			r = nsb_error_set(error, EINVAL, "an item is empty (\"\")");
		if (r > 0 && key->check != NULL)
			r = key->check(word, error);
		if (r >= 0)
			r = add_item(list, &word, at);
		if (r < 0)
			break;
	}
	/* all of the line or nothing */
	while (list->n > before)
		free(list->items[--list->n]);
	return r;
}

/* [A-Za-z0-9._-], not "." or ".." */
static int check_name(const char *name, bool slashes, nsb_error *error)
{
	const char *part = name;

	if (strlen(name) > NAME_LENGTH)
		return nsb_error_set(error, EINVAL, "\"%.64s...\" is longer than %d characters", name, NAME_LENGTH);
	for (;;) {
		size_t length = strcspn(part, "/");
		size_t good = strspn(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

		if (length == 0 || good != length || length > NAME_PART_LENGTH || (length == 1 && part[0] == '.') ||
		    (length == 2 && part[0] == '.' && part[1] == '.') || (part[length] == '/' && !slashes))
			return nsb_error_set(error, EINVAL,
					     "\"%.128s\" is no name: it takes 1 to %d of A-Z a-z 0-9 . _ - "
					     "(not \".\" or \"..\")%s",
					     name, NAME_PART_LENGTH,
					     slashes ? ", several parts with \"/\" between" : "");
		if (part[length] == '\0')
			return 0;
		part += length + 1;
	}
}

static int apply_string(const nsb_key *key, const char *value, char **place, nsb_error *error)
{
	NSB_FREE char *text = NULL;
	int r;

	r = take_text(value, &text, error);
	if (r < 0)
		return r;
	if (text[0] == '\0' && key->fallback[0] != '\0')
		return nsb_error_set(error, EINVAL, "the value is empty");
	if (key->type == NSB_KEY_NAME)
		r = check_name(text, key->slashes, error);
	else if (key->check != NULL)
		r = key->check(text, error);
	else
		r = nsb_expand_check(text, error);
	if (r < 0)
		return r;
	free(*place);
	*place = nsb_steal_pointer(&text);
	return 0;
}

static const nsb_choice_word *find_choice(const nsb_key *key, const char *word)
{
	for (const nsb_choice_word *choice = key->choices; choice->word != NULL; choice++)
		if (strcmp(choice->word, word) == 0)
			return choice;
	return NULL;
}

static int refuse_choice(const nsb_key *key, const char *word, nsb_error *error)
{
	char allowed[256] = "";
	size_t used = 0;

	for (const nsb_choice_word *choice = key->choices; choice->word != NULL && used < sizeof(allowed); choice++)
		used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s", used > 0 ? ", " : "",
					 choice->word);
	return nsb_error_set(error, EINVAL, "\"%.128s\" is not one of %s", word, allowed);
}

static int apply_enum(const nsb_key *key, const char *value, int *place, nsb_error *error)
{
	NSB_FREE char *word = NULL;
	const nsb_choice_word *choice;
	int r;

	r = take_text(value, &word, error);
	if (r < 0)
		return r;
	choice = find_choice(key, word);
	if (choice == NULL)
		return refuse_choice(key, word, error);
	*place = (int)choice->value;
	return 0;
}

static int apply_flags(const nsb_key *key, const char *value, uint64_t *place, nsb_error *error)
{
	uint64_t flags = 0;
	int r;

	for (;;) {
		NSB_FREE char *word = NULL;
		const nsb_choice_word *choice;

		r = next_word(&value, &word, error);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		r = key->check != NULL ? key->check(word, error) : 0;
		if (r < 0)
			return r;
		choice = find_choice(key, word);
		if (choice == NULL)
			return refuse_choice(key, word, error);
		flags |= (uint64_t)choice->value;
	}
	if ((flags & (uint64_t)key->required) != (uint64_t)key->required)
		return nsb_error_set(error, EINVAL, "%s", key->required_why);
	*place = flags;
	return 0;
}

static int apply_bool(const char *value, bool *place, nsb_error *error)
{
	NSB_FREE char *word = NULL;
	int r;

	r = take_text(value, &word, error);
	if (r < 0)
		return r;
	if (strcmp(word, "yes") != 0 && strcmp(word, "no") != 0)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is neither \"yes\" nor \"no\"", word);
	*place = word[0] == 'y';
	return 0;
}

static int apply_amount(const nsb_key *key, const char *value, int64_t *place, nsb_error *error)
{
	NSB_FREE char *text = NULL;
	int r;

	r = key->type == NSB_KEY_DURATION ? take_phrase(value, &text, error) : take_text(value, &text, error);
	return r < 0 ? r : nsb_parse_amount(key, text, place, error);
}

static int apply_cpus(const char *value, char **place, nsb_error *error)
{
	NSB_FREE char *text = NULL;
	char *list = NULL;
	int r;

	r = take_phrase(value, &text, error);
	if (r == 0)
		r = nsb_parse_cpus(text, &list, error);
	if (r < 0)
		return r;
	free(*place);
	*place = list;
	return 0;
}

/* The line's one item: a device and what it may do. */
static int apply_io(const nsb_key *key, const char *value, nsb_origin at, nsb_list *list, nsb_error *error)
{
	NSB_FREE char *device = NULL, *item = NULL;
	nsb_io_limits limits = { 0 };
	char text[128];
	int r;

	r = next_word(&value, &device, error);
	if (r <= 0)
		return r;
	r = key->check(device, error);
	if (r < 0)
		return r;
	for (;;) {
		NSB_FREE char *word = NULL;

		r = next_word(&value, &word, error);
		if (r > 0)
			r = nsb_parse_io_limit(word, &limits, error);
		else if (r == 0)
			break;
		if (r < 0)
			return r;
	}
	nsb_format_io_limits(&limits, text);
	if (text[0] == '\0')
		return nsb_error_set(
			error, EINVAL,
			"no limit stands behind \"%.256s\": at least one of rbps= wbps= riops= wiops= must", device);
	item = nsb_format("%s%s", device, text);
	return item != NULL ? add_item(list, &item, at) : -ENOMEM;
}

int nsb_key_apply(const nsb_key *key, const char *value, nsb_origin at, nsb_settings *settings, nsb_error *error)
{
	void *place = (char *)settings + key->offset;
	nsb_error why = { 0 };
	int r = -EINVAL;

	/* an empty list where the built-in one is not would match nothing at all */
	if (value[strspn(value, " \t")] == '\0' && (key->fallback[0] != '\0' || key->type == NSB_KEY_NAME))
		return nsb_error_set(error, EINVAL, "%s: the value is missing", key->name);
	switch (key->type) {
	case NSB_KEY_WORDS:
	case NSB_KEY_PATHS:
		r = apply_list(key, value, at, place, &why);
		break;
	case NSB_KEY_TEMPLATE:
	case NSB_KEY_ROOT:
	case NSB_KEY_NAME:
		r = apply_string(key, value, place, &why);
		break;
	case NSB_KEY_ENUM:
		r = apply_enum(key, value, place, &why);
		break;
	case NSB_KEY_FLAGS:
		r = apply_flags(key, value, place, &why);
		break;
	case NSB_KEY_BOOL:
		r = apply_bool(value, place, &why);
		break;
	case NSB_KEY_COUNT:
	case NSB_KEY_DURATION:
	case NSB_KEY_SIZE:
	case NSB_KEY_CPU:
	case NSB_KEY_RATE:
		r = apply_amount(key, value, place, &why);
		break;
	case NSB_KEY_CPUS:
		r = apply_cpus(value, place, &why);
		break;
	case NSB_KEY_IO:
		r = apply_io(key, value, at, place, &why);
		break;
	}
	if (r == -EINVAL)
		return nsb_error_set(error, EINVAL, "%s: %s", key->name, why.words);
	return r;
}
