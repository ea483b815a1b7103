/* SPDX-License-Identifier: BSD-3-Clause */
/* Nothing is taken on trust: before PID 1 starts, what was planned is compared with what is there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/namespaces.h"
#include "helper/steps.h"

static int prove_proc(nsb_box *box)
{
	struct statfs fs;
	char self[16];
	ssize_t n;

	if (statfs("/proc", &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return nsb_error_set(&box->error, EPERM, "/proc of the box is not a proc file system");
	n = readlink("/proc/self", self, sizeof(self) - 1);
	if (n != 1 || self[0] != '1' || getpid() != 1)
		return nsb_error_set(&box->error, EPERM, "/proc of the box belongs to another PID namespace");
	return 0;
}

/* Later mounts may lie on earlier ones' places: of one path only the last mount is seen. */
static bool covered_later(const nsb_box *box, size_t i)
{
	for (size_t j = i + 1; j < box->n_mounts; j++)
		if (nsb_path_below(box->mounts[i].dst, box->mounts[j].dst))
			return true;
	return false;
}

/* Into a home root may not be allowed to look (FUSE, root_squash): then without looking. */
static int open_unseen(nsb_box *box, int root, const char *path)
{
	const char *name = strrchr(path, '/');
	char above[PATH_MAX];
	NSB_CLOSE int parent = -1;
	int fd;

	snprintf(above, sizeof(above), "%.*s", name == path ? 1 : (int)(name - path), path);
	parent = nsb_path_open_other(root, box->subid_base, above, NSB_PATH_DIRECTORY, NULL, NULL, &box->error);
	if (parent < 0)
		return parent;
	fd = openat(parent, name + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? nsb_error_set(&box->error, errno, "cannot open %s: %s", path, strerror(errno)) : fd;
}

static int prove_mounts(nsb_box *box)
{
	NSB_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || nsb_mount_id(root) != box->root_mount || box->root_mount == 0)
		return nsb_error_set(&box->error, EPERM, "the root of the box is not the planned tree");
	for (size_t i = 0; i < box->n_mounts; i++) {
		nsb_error error = { 0 };
		NSB_CLOSE int fd = -1;

		if (covered_later(box, i))
			continue;
		fd = nsb_path_open_other(root, box->subid_base, box->mounts[i].dst, 0, NULL, NULL, &error);
		if (fd == -EACCES)
			fd = open_unseen(box, root, box->mounts[i].dst);
		if (fd < 0)
			return nsb_error_set(&box->error, fd, "%s", error.words);
		if (nsb_mount_id(fd) != box->mounts[i].id)
			return nsb_error_set(&box->error, EPERM, "%s in the box is not what was mounted there",
					     box->mounts[i].dst);
	}
	return 0;
}

/* Only what this box mounted, or what stands in the planned tree, may be a parent of "/". */
static int prove_no_way_up(nsb_box *box)
{
	struct stat root, above;

	if (stat("/", &root) < 0 || stat("/..", &above) < 0 || root.st_dev != above.st_dev ||
	    root.st_ino != above.st_ino)
		return nsb_error_set(&box->error, EPERM, "\"/..\" of the box leads somewhere else");
	return 0;
}

static int prove_identity(nsb_box *box)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	char name[256];

	if (getresuid(&r, &e, &s) < 0 || r != 0 || e != 0 || s != 0 || getresgid(&rg, &eg, &sg) < 0 || rg != 0 ||
	    eg != 0 || sg != 0 || getgroups(0, NULL) != 0)
		return nsb_error_set(&box->error, EPERM, "the builder's ids are not all 0 without groups");
	if ((box->plan.namespaces & CLONE_NEWUTS) &&
	    (gethostname(name, sizeof(name)) < 0 || strcmp(name, box->plan.hostname) != 0))
		return nsb_error_set(&box->error, EPERM, "the host name of the box is not %s", box->plan.hostname);
	if (namespaces_own_mount() == box->host_mount_namespace)
		return nsb_error_set(&box->error, EPERM, "the builder is in the host's mount namespace");
	return 0;
}

int prove_box(nsb_box *box, const nsb_step *step)
{
	int r;

	(void)step;
	r = prove_proc(box);
	if (r == 0)
		r = prove_mounts(box);
	if (r == 0)
		r = prove_no_way_up(box);
	if (r == 0)
		r = prove_identity(box);
	return r;
}
