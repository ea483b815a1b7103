/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/settings.h"

#include <stdlib.h>
#include <string.h>

void nsb_list_done(nsb_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
	free(list->origins);
	*list = (nsb_list){ 0 };
}

void nsb_settings_done(nsb_settings *settings)
{
	nsb_list *lists[] = {
		&settings->users,	 &settings->services,	   &settings->from,    &settings->bind,
		&settings->bind_ro,	 &settings->bind_optional, &settings->tmpfs,   &settings->mask,
		&settings->io_max,	 &settings->dev,	   &settings->layers,  &settings->capabilities,
		&settings->network_pool, &settings->dns,	   &settings->publish, &settings->allow,
		&settings->deny,
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		nsb_list_done(lists[i]);
	free(settings->inherits);
	free(settings->hostname);
	free(settings->domainname);
	free(settings->root);
	free(settings->overlay);
	free(settings->cgroup_parent);
	free(settings->cpuset);
	free(settings->subid_pool);
	free(settings->network);
	memset(settings, 0, sizeof(*settings));
}
