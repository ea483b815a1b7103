/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/delegate.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/registry.h"
#include "common/string-util.h"
#include "helper/cgroup.h"

/* The group of this process in the version 2 tree: its path into `ret`. */
static int find_service(nsb_cgroup_layout *layout, char *ret, size_t size, nsb_error *error)
{
	int r = nsb_cgroup_find(0, layout, error);
	const char *path, *end;

	if (r < 0)
		return r;
	if (layout->n_trees != 1 || layout->trees[0].version != 2)
		return nsb_error_set(error, ENOTSUP,
				     "this host has control groups version 1: nsbox.service is for a unified hierarchy "
				     "(cgroup_manager = cgroupfs needs no service)");
	path = nsb_after_prefix(layout->trees[0].own, layout->trees[0].mount);
	end = path == NULL ? NULL : strrchr(path, '/');
	if (end == NULL || strlen(end) < strlen("/x.service") ||
	    strcmp(path + strlen(path) - strlen(".service"), ".service") != 0)
		return nsb_error_set(error, EINVAL, "\"nsbox-helper delegate\" is run by nsbox.service, not by hand");
	snprintf(ret, size, "%s", path);
	return 0;
}

/* A group that hands controllers down must have no processes of its own, so this one leaves first. */
static int prepare_group(nsb_cgroup_tree *tree, const char *path, nsb_error *error)
{
	NSB_CLOSE int service = open(tree->own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int monitors = -1;
	bool made;
	int r;

	if (service < 0)
		return nsb_error_set(error, errno, "cannot open %s: %s", tree->own, strerror(errno));
	monitors = nsb_cgroup_open_group(tree, service, NSB_CGROUP_MONITORS, &made, error);
	if (monitors < 0)
		return monitors;
	r = nsb_write_text_at(monitors, "cgroup.procs", "0");
	if (r < 0)
		return nsb_error_set(error, r, "cannot enter %s/" NSB_CGROUP_MONITORS ": %s", tree->own, strerror(-r));
	tree->controllers = tree->wanted = nsb_cgroup_controllers(tree->own);
	return nsb_cgroup_hand_down(tree, service, path + 1, error);
}

/* sd_notify(3): one datagram. A name that begins with "@" is an abstract one. */
static void say_ready(void)
{
	static const char ready[] = "READY=1";
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	NSB_CLOSE int fd = -1;
	size_t length;

	if (name == NULL || (name[0] != '/' && name[0] != '@') || strlen(name) >= sizeof(address.sun_path))
		return;
	length = strlen(name);
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, ready, strlen(ready), MSG_NOSIGNAL, (const struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		fprintf(stderr, "nsbox-helper: cannot tell systemd that the group is ready: %s\n", strerror(errno));
}

int delegate_prepare(nsb_error *error)
{
	NSB_FREE nsb_cgroup_layout *layout = calloc(1, sizeof(*layout));
	char path[PATH_MAX];
	int r = layout == NULL ? -ENOMEM : find_service(layout, path, sizeof(path), error);

	if (r == 0)
		r = prepare_group(&layout->trees[0], path, error);
	return r < 0 ? r : nsb_registry_set_base(path, error);
}

int delegate_become_holder(nsb_error *error)
{
	static char *const arguments[] = { (char *)"nsbox-monitor", (char *)"hold", NULL };
	static char *const environment[] = { NULL };
	int r = delegate_prepare(error);

	if (r < 0)
		return r;
	say_ready();
	execve(NSB_LIBEXECDIR "/nsbox-monitor", arguments, environment);
	return nsb_error_set(error, errno, "cannot start " NSB_LIBEXECDIR "/nsbox-monitor: %s", strerror(errno));
}
