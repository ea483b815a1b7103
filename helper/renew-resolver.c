/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/renew-resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/resolv-text.h"
#include "common/string-util.h"
#include "helper/monitor-watch.h"
#include "helper/mounts.h"
#include "helper/resolver.h"
#include "helper/steps.h"

#define MADE	 "/run/host/resolv.conf"
#define TEXT_MAX (128 * 1024) /* of what is in the box: what does not fit is something else */

/* Until the process ends, which frees it; NULL: the box has none. */
static char *text;

size_t renew_resolver_watched(const nsb_step *step, char **arguments, size_t max)
{
	const char *const paths[] = { step->src, NSB_RESOLV_BEHIND_STUB };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && n < max && strcmp(step->data, NSB_DNS_NONE) != 0;
	     i++) {
		arguments[n] = nsb_format(NSB_WATCH_CONTENT ":%s", paths[i]);
		n += arguments[n] != NULL;
	}
	return n;
}

/* "build    resolver         /etc/resolv.conf -> /run/host/resolv.conf "10.0.0.1" [renewed]": the words, or NULL; the caller
 * frees. They hold nothing that is written otherwise in a plan. */
static char *words_in(const char *plan)
{
	const char *at = strstr(plan, " -> " MADE " \"");

	if (at == NULL)
		return NULL;
	at = strchr(at, '"') + 1;
	return strndup(at, strcspn(at, "\"\n"));
}

int renew_resolver_find(const nsb_box *box, const char *plan)
{
	bool made = strstr(plan, " -> " MADE " \"") != NULL;
	NSB_FREE char *words = words_in(plan);
	size_t servers;

	if (!made)
		return 0;
	return words == NULL ? -ENOMEM : resolver_text(box->host_root, words, &text, &servers);
}

/* By the directory and a name: a box's root may have put anything there. */
static bool is_right(int parent, const char *name)
{
	NSB_CLOSE int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	NSB_FREE char *old = malloc(TEXT_MAX);

	return fd >= 0 && old != NULL && nsb_read_text(fd, old, TEXT_MAX) >= 0 && strcmp(old, text) == 0;
}

int renew_resolver(nsb_box *box)
{
	const nsb_step step = { .op = NSB_OP_FILE, .dst = (char *)MADE, .data = text, .mode = 0444 };
	NSB_CLOSE int parent = -1;
	const char *name;

	if (text == NULL)
		return 0;
	parent = mounts_open_parent(box, &step, &name);
	if (parent < 0)
		return parent;
	if (is_right(parent, name))
		return 0;
	/* a new one, which nobody reads before it is whole; the old one stays where it is bound */
	if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		return nsb_error_set(&box->error, errno, "cannot replace %s: %s", MADE, strerror(errno));
	return files_file(box, &step);
}
