/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/namespace-table.h"

#include <sched.h>
#include <string.h>

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

const nsb_namespace nsb_namespaces[] = {
	{ CLONE_NEWUTS, "uts", "uts", "a host name of its own" },
	{ CLONE_NEWIPC, "ipc", "ipc", "System V IPC objects and POSIX message queues of others are out of sight" },
	{ CLONE_NEWNS, "mount", "mnt", "mounts of its own: root, /proc, /dev, /tmp" },
	{ CLONE_NEWPID, "pid", "pid", "processes of others are out of sight; all processes end with the box" },
	{ CLONE_NEWNET, "net", "net", "interfaces, ports and abstract sockets of its own" },
	{ CLONE_NEWCGROUP, "cgroup", "cgroup", "/proc/self/cgroup does not tell the host's groups" },
	{ CLONE_NEWUSER, "user", "user", "ids of its own: root in the box is nobody on the host" },
};
const size_t nsb_n_namespaces = sizeof(nsb_namespaces) / sizeof(nsb_namespaces[0]);

const nsb_namespace *nsb_namespace_by_key(const char *key)
{
	for (size_t i = 0; i < nsb_n_namespaces; i++)
		if (strcmp(nsb_namespaces[i].key, key) == 0)
			return &nsb_namespaces[i];
	return NULL;
}
