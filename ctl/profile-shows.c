/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/profile-shows.h"

#include <limits.h>
#include <string.h>

#include "common/path-util.h"

/* The path before the first ":", without "." and doubled slashes; false for what depends on the login. */
static bool take_path(const char *item, char path[PATH_MAX])
{
	char source[PATH_MAX];
	size_t length = strcspn(item, ":");

	if (length >= sizeof(source) || memchr(item, '%', length) != NULL)
		return false;
	memcpy(source, item, length);
	source[length] = '\0';
	if (nsb_path_normalize(source, path, PATH_MAX) < 0)
		return false;
	/* the old name of /run */
	if (nsb_path_below(path, "/var/run"))
		memmove(path, path + strlen("/var"), strlen(path + strlen("/var")) + 1);
	return true;
}

/* The first item from `from` on that the path is below; the number of items if there is none. */
static size_t find_above(const nsb_list *list, size_t from, const char *path)
{
	for (; from < list->n; from++) {
		char above[PATH_MAX];

		if (take_path(list->items[from], above) && nsb_path_below(path, above))
			break;
	}
	return from;
}

static bool is_below_any(const nsb_list *list, const char *path)
{
	return find_above(list, 0, path) < list->n;
}

/* What the default view puts something else over. */
static bool is_covered(const nsb_settings *settings, const char *path)
{
	static const char *const always[] = { "/proc", "/sys", "/dev", "/run" };
	static const char *const private[] = { "/tmp", "/var/tmp" };

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (nsb_path_below(path, always[i]))
			return true;
	for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++)
		if (settings->private_tmp == NSB_PRIVATE_TMP_SESSION && nsb_path_below(path, private[i]))
			return true;
	return is_below_any(&settings->mask, path) || is_below_any(&settings->tmpfs, path);
}

bool profile_shows(const nsb_settings *settings, const char *path, nsb_origin *ret_origin)
{
	const nsb_list *lists[] = { &settings->bind, &settings->bind_ro, &settings->bind_optional };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (size_t k = find_above(lists[i], 0, path); k < lists[i]->n; k = find_above(lists[i], k + 1, path)) {
			/* at its own name it is masked like any other; at another one it is not looked for */
			if (strchr(lists[i]->items[k], ':') == NULL && is_below_any(&settings->mask, path))
				continue;
			if (ret_origin != NULL)
				*ret_origin = lists[i]->origins[k];
			return true;
		}
	}
	if (ret_origin != NULL)
		*ret_origin = (nsb_origin){ 0 };
	return strcmp(settings->root, "host") == 0 && settings->layers.n == 0 && !is_covered(settings, path);
}
