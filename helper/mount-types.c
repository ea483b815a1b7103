/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/mount-types.h"

#include <stddef.h>
#include <stdio.h>
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

bool mount_hides(const char *type, const char *root)
{
	return strcmp(type, "devtmpfs") == 0 && strcmp(root, "/null") == 0;
}

void mount_decode(char *text)
{
	char *to = text;

	for (const char *at = text; *at != '\0'; to++) {
		unsigned code;

		if (sscanf(at, "\\%3o", &code) == 1 && strspn(at + 1, "01234567") >= 3) {
			*to = (char)code;
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}
