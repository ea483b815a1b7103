/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/config-checks.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/expand.h"
#include "common/kernel-target.h"
#include "common/path-util.h"
#include "common/settings.h"
#include "common/string-util.h"

/* Whether `path` is `plain`, whatever the number of its slashes. */
static bool names_path(const char *path, size_t length, const char *plain)
{
	size_t i = 0;

	while (*plain != '\0') {
		if (i >= length || path[i] != *plain)
			return false;
		while (*plain == '/' && i + 1 < length && path[i + 1] == '/')
			i++;
		i++;
		plain++;
	}
	while (i < length && path[i] == '/')
		i++;
	return i == length;
}

/* Absolute, as it stands or by %h; no "." and no ".."; the specifiers are known. */
static int check_path(const char *path, size_t length, nsb_error *error)
{
	size_t start = 0;

	if (length >= 2 && path[0] == '%' && path[1] == 'h') {
		/* "%hx" would be another user's home, not something in this one */
		if (length > 2 && path[2] != '/')
			return nsb_error_set(error, EINVAL, "\"%.*s\": a \"/\" must follow \"%%h\"", (int)length, path);
	} else if (length == 0 || path[0] != '/') {
		return nsb_error_set(error, EINVAL,
				     "\"%.*s\" is not an absolute path: it must begin with \"/\" or \"%%h\"",
				     (int)length, path);
	}
	for (size_t i = 0; i <= length; i++) {
		if (i < length && path[i] != '/')
			continue;
		if ((i - start == 1 && path[start] == '.') ||
		    (i - start == 2 && path[start] == '.' && path[start + 1] == '.'))
			return nsb_error_set(error, EINVAL, "\"%.*s\" has a \"%.*s\" in it: write the path without",
					     (int)length, path, (int)(i - start), path + start);
		start = i + 1;
	}
	return 0;
}

/* A place in the box where something is put. */
static int check_target(const char *path, size_t length, nsb_cover with, nsb_error *error)
{
	static const char *const own[] = { "/", "/proc", "/sys", "/dev" };
	char plain[PATH_MAX], copy[PATH_MAX];
	int r;

	r = check_path(path, length, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (names_path(path, length, own[i]))
			return nsb_error_set(error, EINVAL,
					     "the target \"%.*s\" is made by the box itself and cannot be replaced",
					     (int)length, path);
	/* what a specifier makes of it the planner looks at */
	snprintf(copy, sizeof(copy), "%.*s", (int)length, path);
	return nsb_path_normalize(copy, plain, sizeof(plain)) < 0 ? 0 : nsb_check_proc_target(plain, with, error);
}

int nsb_check_bind(const char *word, nsb_error *error)
{
	size_t length = strcspn(word, ":");
	const char *target = word[length] == ':' ? word + length + 1 : word;
	int r;

	if (strchr(target, ':') != NULL && target != word)
		return nsb_error_set(error, EINVAL, "\"%.256s\" has more than one \":\": write SOURCE or SOURCE:TARGET",
				     word);
	r = check_path(word, length, error);
	if (r < 0)
		return r;
	r = check_target(target, strlen(target), NSB_COVER_BIND, error);
	if (r < 0)
		return r;
	return nsb_expand_check(word, error);
}

int nsb_check_mask(const char *word, nsb_error *error)
{
	int r;

	if (strchr(word, ':') != NULL)
		return nsb_error_set(error, EINVAL, "\"%.256s\" has a \":\" in it: write one path", word);
	r = check_target(word, strlen(word), NSB_COVER_MASK, error);
	if (r < 0)
		return r;
	return nsb_expand_check(word, error);
}

/* The device of an io_max: it is looked up on the host, before there is a box whose specifiers could be known. */
int nsb_check_device(const char *word, nsb_error *error)
{
	if (strpbrk(word, " \t") != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\" has a blank in it, as no device's path may", word);
	if (word[0] != '/')
		return nsb_error_set(error, EINVAL, "\"%.128s\" is not an absolute path", word);
	if (strchr(word, '%') != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\" has a \"%%\" in it: there are no specifiers here",
				     word);
	return check_path(word, strlen(word), error);
}

/* At most 9 digits, then perhaps k, m or g; 0 would mean "no limit" to tmpfs(5). */
static bool is_tmpfs_amount(const char *text, size_t length)
{
	size_t digits = strspn(text, "0123456789"), zeros = strspn(text, "0");

	if (digits == 0 || digits > 9 || zeros >= digits)
		return false;
	return digits == length || (digits + 1 == length && strchr("kKmMgG", text[digits]) != NULL);
}

static bool is_tmpfs_mode(const char *text, size_t length)
{
	return length >= 3 && length <= 4 && strspn(text, "01234567") >= length;
}

static int check_tmpfs_option(const char *option, size_t length, unsigned *seen, nsb_error *error)
{
	static const char *const names[] = { "size=", "nr_inodes=", "mode=", "noexec" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t name = strlen(names[i]);
		bool good;

		if (length < name || strncmp(option, names[i], name) != 0)
			continue;
		if (i < 2)
			good = is_tmpfs_amount(option + name, length - name);
		else if (i == 2)
			good = is_tmpfs_mode(option + name, length - name);
		else
			good = length == name;
		if (!good)
			break;
		if ((*seen & (1U << i)) != 0)
			return nsb_error_set(error, EINVAL, "the option \"%.*s\" comes after another of its kind",
					     (int)length, option);
		*seen |= 1U << i;
		return 0;
	}
	return nsb_error_set(error, EINVAL,
			     "\"%.*s\" is not an option of tmpfs; there are size=AMOUNT nr_inodes=AMOUNT "
			     "(a number from 1, perhaps with k, m or g), mode=OCTAL and noexec",
			     (int)(length > 128 ? 128 : length), option);
}

int nsb_check_tmpfs(const char *word, nsb_error *error)
{
	size_t length = strcspn(word, ":");
	const char *option = word + length;
	unsigned seen = 0;
	int r;

	r = check_target(word, length, NSB_COVER_TMPFS, error);
	while (r == 0 && *option != '\0') {
		size_t size = strcspn(++option, ",");

		r = check_tmpfs_option(option, size, &seen, error);
		option += size;
	}
	if (r < 0)
		return r;
	return nsb_expand_check(word, error);
}

/* One of two words, or a path that is not the host's own root. */
static int check_word_or_path(const char *word, const char *first, const char *second, nsb_error *error)
{
	int r;

	if (strcmp(word, first) == 0 || strcmp(word, second) == 0)
		return 0;
	if (word[0] != '/' && strncmp(word, "%h", 2) != 0)
		return nsb_error_set(error, EINVAL, "\"%.128s\" is neither \"%s\" nor \"%s\" nor an absolute path",
				     word, first, second);
	if (strchr(word, ':') != NULL)
		return nsb_error_set(error, EINVAL, "\"%.256s\" has a \":\" in it: write one path", word);
	r = check_path(word, strlen(word), error);
	return r < 0 ? r : nsb_expand_check(word, error);
}

int nsb_check_root(const char *word, nsb_error *error)
{
	if (names_path(word, strlen(word), "/"))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is the host's own root: write \"host\"", word);
	return check_word_or_path(word, "host", "curated", error);
}

int nsb_check_overlay(const char *word, nsb_error *error)
{
	if (names_path(word, strlen(word), "/"))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is the host's own root: write a directory of its own",
				     word);
	return check_word_or_path(word, "no", "ephemeral", error);
}

int nsb_check_layers(const char *word, nsb_error *error)
{
	for (const char *path = word;; path++) {
		size_t length = strcspn(path, ":");
		int r = check_path(path, length, error);

		if (r < 0)
			return r;
		if (names_path(path, length, "/"))
			return nsb_error_set(error, EINVAL, "\"%.256s\" names the host's own root as a layer", word);
		path += length;
		if (*path == '\0')
			return nsb_expand_check(word, error);
	}
}

int nsb_check_namespace(const char *word, nsb_error *error)
{
	if (strcmp(word, "net") == 0)
		return nsb_error_set(error, EINVAL,
				     "\"net\" does not stand here: the key network decides about that namespace");
	return 0;
}

int nsb_parse_subid_pool(const char *word, uint32_t *ret_first, uint32_t *ret_last, nsb_error *error)
{
	const char *dash = strchr(word, '-');
	char first[16] = "";
	uint64_t from, to;

	if (strcmp(word, "subuid") == 0)
		return 1;
	if (dash != NULL && (size_t)(dash - word) < sizeof(first))
		snprintf(first, sizeof(first), "%.*s", (int)(dash - word), word);
	/* uid_t of some programs has a sign, and below are the ids of accounts */
	if (first[0] == '\0' || nsb_parse_u64(first, INT32_MAX, &from) < 0 ||
	    nsb_parse_u64(dash + 1, INT32_MAX, &to) < 0)
		return nsb_error_set(error, EINVAL,
				     "\"%.64s\" is neither \"subuid\" nor FIRST-LAST, two ids from %d to %d", word,
				     NSB_SUBID_COUNT, INT32_MAX);
	if (from < NSB_SUBID_COUNT || to < from || to - from + 1 < NSB_SUBID_COUNT)
		return nsb_error_set(
			error, EINVAL,
			"\"%.64s\": a box takes %d ids, none of them below %d: give LAST at least FIRST + %d", word,
			NSB_SUBID_COUNT, NSB_SUBID_COUNT, NSB_SUBID_COUNT - 1);
	*ret_first = (uint32_t)from;
	*ret_last = (uint32_t)to;
	return 0;
}

int nsb_check_subid_pool(const char *word, nsb_error *error)
{
	uint32_t first, last;
	int r = nsb_parse_subid_pool(word, &first, &last, error);

	return r < 0 ? r : 0;
}
