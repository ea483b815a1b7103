/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of a box's network in its entry. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/registry-internal.h"
#include "common/registry.h"

int nsb_registry_open_network(int boxes, const char *id)
{
	char path[NSB_ID_LENGTH + sizeof("./" NSB_REGISTRY_NETWORK)];
	int fd;

	if (!nsb_id_valid(id + (id[0] == '.')))
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/" NSB_REGISTRY_NETWORK, id);
	fd = openat(boxes, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int nsb_registry_read_network(int boxes, const char *id, nsb_network_record *ret)
{
	NSB_CLOSE int fd = nsb_registry_open_network(boxes, id);
	NSB_FREE char *text = NULL;
	ssize_t n = fd < 0 ? fd : nsb_read_all(fd, NSB_RECORD_TEXT_MAX, &text);

	return n < 0 ? (int)n : nsb_network_record_parse(text, (size_t)n, ret);
}

int nsb_registry_write_network(int boxes, const nsb_network_record *record, nsb_error *error)
{
	NSB_CLOSE int dir = openat(boxes, record->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	NSB_FREE char *text = NULL;
	int r = dir < 0 ? -errno : nsb_network_record_format(record, &text);

	if (r == 0)
		r = nsb_registry_replace(dir, NSB_REGISTRY_NETWORK, text, strlen(text));
	return r < 0 ? nsb_error_set(error, r, "cannot write the network of %s/boxes/%s: %s", NSB_RUNDIR, record->id,
				     strerror(-r))
		     : 0;
}

int nsb_registry_remove_network(int boxes, const char *id)
{
	char path[NSB_ID_LENGTH + sizeof("./" NSB_REGISTRY_NETWORK)];

	snprintf(path, sizeof(path), "%.11s/" NSB_REGISTRY_NETWORK, id);
	return unlinkat(boxes, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}
