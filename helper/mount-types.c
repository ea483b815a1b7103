/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/mount-types.h"

#include <stddef.h>
#include <string.h>

static const char *const kernel_types[] = { "proc",	"sysfs",      "cgroup",	   "cgroup2",  "devpts",
					    "devtmpfs", "mqueue",     "debugfs",   "tracefs",  "securityfs",
					    "configfs", "bpf",	      "pstore",	   "efivarfs", "binfmt_misc",
					    "nsfs",	"rpc_pipefs", "selinuxfs", "fusectl",  "resctrl" };

bool mount_type_is_kernel(const char *type)
{
	for (size_t i = 0; i < sizeof(kernel_types) / sizeof(kernel_types[0]); i++)
		if (strcmp(kernel_types[i], type) == 0)
			return true;
	return false;
}
