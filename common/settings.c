/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/settings.h"

#include <stdlib.h>
#include <string.h>

static void list_done(nsb_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	free(list->origins);
}

void nsb_settings_done(nsb_settings *settings)
{
	nsb_list *lists[] = {
		&settings->users,   &settings->services,      &settings->from,	 &settings->bind,
		&settings->bind_ro, &settings->bind_optional, &settings->tmpfs,	 &settings->mask,
		&settings->io_max,  &settings->dev,	      &settings->layers, &settings->capabilities,
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		list_done(lists[i]);
	free(settings->inherits);
	free(settings->hostname);
	free(settings->domainname);
	free(settings->root);
	free(settings->overlay);
	free(settings->cgroup_parent);
	free(settings->cpuset);
	free(settings->subid_pool);
	memset(settings, 0, sizeof(*settings));
}
