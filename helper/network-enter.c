/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * network = netns:NAME and join:USER: the box enters a network namespace that is there. It is found by the check and held by
 * its descriptor from then on, so that what was looked at is what the builder enters, whatever happens to the name or to
 * the other box meanwhile. Nothing of it is made here, and nothing is taken away.
 *
 * A box keeps its namespace in being, not what is in it: when the box that has made it ends, its links go, and whoever has
 * joined it is left with lo.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "helper/share.h"
#include "helper/steps.h"

#define NETNS_DIRECTORY "/run/netns"

static const nsb_step *find_step(const nsb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].op == NSB_OP_ENTER_NETWORK)
			return &plan->steps[i];
	return NULL;
}

bool network_enters(const nsb_plan *plan)
{
	return find_step(plan) != NULL;
}

/* The namespace that the application is in, and with it this process. */
static bool is_own(int fd)
{
	struct stat own, other;

	return stat("/proc/self/ns/net", &own) < 0 || fstat(fd, &other) < 0 ||
	       (own.st_dev == other.st_dev && own.st_ino == other.st_ino);
}

static bool is_network_namespace(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC && ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

/* ---- netns:NAME ---- */

/* The directory of ip-netns(8), which root alone can change. */
static int open_directory(nsb_box *box, const char *name)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	nsb_error why = { 0 };
	int fd = host < 0 ? -errno
			  : nsb_path_open(host, NETNS_DIRECTORY,
					  NSB_PATH_NO_SYMLINKS | NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL, NULL,
					  &why);

	if (fd == -ENOENT)
		return nsb_error_set(&box->error, ENOENT,
				     "network = netns:%s: there is no network namespace of that name: ip netns add %s",
				     name, name);
	return fd < 0 ? nsb_error_set(&box->error, fd, "network = netns:%s: %s", name, why.words) : fd;
}

static int open_netns(nsb_box *box, const char *name)
{
	NSB_CLOSE int directory = open_directory(box, name);
	NSB_CLOSE int fd = -1;

	if (directory < 0)
		return directory;
	/* what else may have that name is not to block, nor to become our terminal */
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return nsb_error_set(&box->error, ENOENT,
				     "network = netns:%s: there is no network namespace of that name: ip netns add %s",
				     name, name);
	if (fd < 0)
		return nsb_error_set(&box->error, errno, "network = netns:%s: cannot open " NETNS_DIRECTORY "/%s: %s",
				     name, name, strerror(errno));
	if (!is_network_namespace(fd))
		return nsb_error_set(&box->error, EINVAL,
				     "network = netns:%s: " NETNS_DIRECTORY
				     "/%s is no network namespace: ip netns delete %s, then ip netns add %s",
				     name, name, name, name);
	if (is_own(fd))
		return nsb_error_set(&box->error, EINVAL,
				     "network = netns:%s: that is the host's own network namespace: write network = "
				     "host, or give the name to another one",
				     name);
	return nsb_steal_fd(&fd);
}

/* ---- join:USER ---- */

/* Whether the box has made its network namespace, by the plan that is kept in its entry: it has one, and entered none. One
 * whose programs knew of nothing to enter has no plan that says so. */
static bool made_its_own(int boxes, const nsb_entry *entry)
{
	NSB_FREE char *plan = NULL;
	int r;

	if ((entry->namespaces & CLONE_NEWNET) == 0)
		return false;
	r = nsb_registry_read_plan(boxes, entry->id, &plan);
	return r == 0 ? strstr(plan, "\nbuild    enter-network ") == NULL : r == -ENOENT;
}

static uint64_t network_inode(const nsb_entry *entry)
{
	for (size_t i = 0; i < nsb_n_namespaces; i++)
		if (nsb_namespaces[i].flag == CLONE_NEWNET)
			return entry->inodes[i];
	return 0;
}

/* The network namespace of the box's PID 1; -ESRCH if it is gone. Its pid can belong to nobody else as long as its pidfd says
 * that it lives. */
static int open_of_box(const nsb_entry *entry)
{
	NSB_CLOSE int init = nsb_process_open(&entry->init);
	NSB_CLOSE int fd = -1;
	char path[64];

	if (init < 0)
		return init;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)entry->init.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (nsb_wait_readable(init, nsb_now()) == 0)
		return -ESRCH;
	/* as it was when the box was made, and not the host's */
	if (!is_network_namespace(fd) || nsb_fd_inode(fd) != network_inode(entry) || is_own(fd))
		return -ESTALE;
	return nsb_steal_fd(&fd);
}

/* The descriptor, or -ENOENT: this box is not one to join. */
static int try_box(int boxes, const char *id, const char *user)
{
	NSB_FREE nsb_entry *entry = malloc(sizeof(*entry));

	if (entry == NULL)
		return -ENOMEM;
	if (nsb_registry_read(boxes, id, entry) < 0 || strcmp(entry->user, user) != 0 ||
	    strcmp(entry->state, NSB_STATE_READY) != 0 || nsb_registry_holder(boxes, id) <= 0 ||
	    !made_its_own(boxes, entry))
		return -ENOENT;
	return open_of_box(entry);
}

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* The oldest: which it is does not change as long as it lives. -ENOENT. */
static int search(int boxes, const char *user)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	struct timespec oldest = { 0 };
	NSB_CLOSE int found = -1;
	size_t n = 0;
	int r = nsb_registry_list(boxes, &ids, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct timespec made = share_made_at(boxes, ids[i]);
		int fd;

		if (ids[i][0] == '.' || (found >= 0 && !is_before(made, oldest)))
			continue;
		fd = try_box(boxes, ids[i], user);
		if (fd == -ENOMEM)
			return fd;
		if (fd < 0)
			continue;
		nsb_close(found);
		found = fd;
		oldest = made;
	}
	return r < 0 ? r : found < 0 ? -ENOENT : nsb_steal_fd(&found);
}

static int open_join(nsb_box *box, const char *user)
{
	NSB_CLOSE int boxes = nsb_registry_open(false, NULL);
	int fd = boxes < 0 ? boxes : search(boxes, user);

	if (fd == -ENOENT)
		return nsb_error_set(
			&box->error, ENOENT,
			"network = join:%s: %s has no box with a network of its own: %s must log in first, "
			"under a profile with another network than host, netns: or join:",
			user, user, user);
	return fd < 0 ? nsb_error_set(&box->error, fd, "network = join:%s: cannot look for the box: %s", user,
				      strerror(-fd))
		      : fd;
}

/* ---- */

int network_enter_check(nsb_box *box)
{
	const nsb_step *step = find_step(&box->plan);
	const char *name;

	if (step == NULL)
		return 0;
	name = nsb_after_prefix(step->src, NSB_PLAN_NETNS);
	box->entered =
		name != NULL ? open_netns(box, name) : open_join(box, nsb_after_prefix(step->src, NSB_PLAN_JOIN));
	if (box->entered >= 0)
		return 0;
	/* where the user's box is there, the login needs no other one */
	if (!box->plan.share || !share_joinable(box))
		return box->entered;
	box->error = (nsb_error){ .stage = box->error.stage };
	box->forbidden = false;
	return 0;
}

int network_enter(nsb_box *box, const nsb_step *step)
{
	if (box->entered < 0)
		return nsb_error_set(&box->error, ENOENT, "network = %s: it is not there any more", step->src);
	if (setns(box->entered, CLONE_NEWNET) < 0)
		return nsb_error_set(&box->error, errno, "cannot enter the network namespace %s: %s", step->src,
				     strerror(errno));
	box->entered = nsb_close(box->entered);
	return 0;
}
