/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices of the host in the box's own /dev: bound, so that owner, mode and ACL are the host's and stay so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/device-match.h"
#include "helper/idmap.h"
#include "helper/mounts.h"
#include "helper/steps.h"

typedef struct wish {
	nsb_box *box;
	const nsb_step *step;
} wish;

static int add(void *data, const char *path, int fd, const struct stat *st)
{
	const wish *w = data;
	nsb_step bind = *w->step;
	NSB_CLOSE int there = idmap_path(w->box, path, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	NSB_CLOSE int target = -1;
	NSB_CLOSE int tree = -1;

	(void)st;
	if (there >= 0)
		return 0; /* by another word of the key */
	/* the list of made mounts keeps a pointer to the name, which must outlive this function */
	bind.src = bind.dst = strdup(path);
	if (bind.dst == NULL)
		return -ENOMEM;
	target = mounts_open_target(w->box, &bind, true);
	if (target < 0)
		return target;
	tree = mounts_clone(w->box, &bind, fd);
	return tree < 0 ? tree : mounts_attach(w->box, bind.dst, tree, target, false);
}

int devices_bind(nsb_box *box, const nsb_step *step)
{
	return device_match(box->host_root, step->src, add, &(wish){ box, step }, &box->error);
}
