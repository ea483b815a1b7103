/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/name-servers.h"

#include <fcntl.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/resolv-text.h"
#include "helper/resolver.h"

void name_servers_lacking(const nsb_plan *plan, lacks_tell *tell, void *argument)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < plan->n_steps; i++) {
		const nsb_step *step = &plan->steps[i];
		NSB_FREE char *text = NULL;
		size_t servers;

		if (step->op == NSB_OP_RESOLVER && strcmp(step->data, NSB_DNS_HOST) == 0 &&
		    resolver_text(host, step->data, &text, &servers) == 0 && servers == 0)
			tell(argument, "names do not resolve in this box: /etc/resolv.conf of the host names no server "
				       "that a box can reach: write dns = ADDRESS");
	}
}
