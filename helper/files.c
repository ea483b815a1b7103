/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories, nodes, links and files on the file systems that the box mounted itself, each made by name in a directory
 * that is held open: O_EXCL and mkdirat never follow what somebody may have put there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "helper/idmap.h"
#include "helper/mounts.h"
#include "helper/steps.h"

#define COPY_MAX (1024 * 1024) /* bytes of a Kerberos cache; real ones have a few thousand */

int mounts_open_parent(nsb_box *box, const nsb_step *step, const char **ret_name)
{
	NSB_FREE char *copy = strdup(step->dst);
	NSB_CLOSE int parent = -1;
	char *slash;

	if (copy == NULL)
		return -ENOMEM;
	slash = strrchr(copy, '/');
	*slash = '\0';
	*ret_name = step->dst + (slash - copy) + 1;
	parent = idmap_path(box, slash == copy ? "/" : copy, NSB_PATH_NO_SYMLINKS | NSB_PATH_DIRECTORY, NULL, NULL,
			    &box->error);
	if (parent < 0)
		return parent;
	if (!mounts_is_ours(box, parent))
		return nsb_error_set(&box->error, EPERM, "%s would be made on a file system that is not the box's own",
				     step->dst);
	return nsb_steal_fd(&parent);
}

static int failed(nsb_box *box, const nsb_step *step)
{
	return nsb_error_set(&box->error, errno, "cannot make %s: %s", step->dst, strerror(errno));
}

/* umask is 077 in the helper, so the mode is set afterwards. */
int files_mkdir(nsb_box *box, const nsb_step *step)
{
	const char *name;
	NSB_CLOSE int parent = mounts_open_parent(box, step, &name);

	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0700) < 0 ||
	    fchownat(parent, name, idmap_uid(box, step->uid), idmap_gid(box, step->gid), AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(parent, name, step->mode, 0) < 0)
		return failed(box, step);
	return 0;
}

/* A new file: *ret open for writing. */
int files_create(nsb_box *box, const nsb_step *step, mode_t mode, uid_t uid, gid_t gid, int *ret)
{
	const char *name;
	NSB_CLOSE int parent = mounts_open_parent(box, step, &name);
	NSB_CLOSE int fd = -1;

	if (parent < 0)
		return parent;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fchown(fd, idmap_uid(box, uid), idmap_gid(box, gid)) < 0 || fchmod(fd, mode) < 0)
		return failed(box, step);
	*ret = nsb_steal_fd(&fd);
	return 0;
}

int files_file(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int fd = -1;
	int r = files_create(box, step, step->mode, step->uid, step->gid, &fd);

	if (r == 0)
		r = nsb_write_all(fd, step->data, strlen(step->data));
	return r < 0 ? nsb_error_set(&box->error, r, "cannot write %s: %s", step->dst, strerror(-r)) : 0;
}

int files_like(nsb_box *box, const nsb_step *step)
{
	nsb_error error = { 0 };
	NSB_CLOSE int model = nsb_path_open(box->host_root, step->src, 0, NULL, NULL, &error);
	NSB_CLOSE int fd = -1;
	struct stat st;

	if (model == -ENOENT && (step->flags & NSB_STEP_OPTIONAL))
		return 0;
	if (model < 0)
		return nsb_error_set(&box->error, model, "%s", error.words);
	if (fstat(model, &st) < 0 || !S_ISREG(st.st_mode))
		return nsb_error_set(&box->error, EINVAL, "%s is not a regular file", step->src);
	return files_create(box, step, st.st_mode & 0777, st.st_uid, st.st_gid, &fd);
}

int files_hosts(nsb_box *box, const nsb_step *step)
{
	NSB_FREE char *text = malloc(COPY_MAX);
	NSB_CLOSE int path = idmap_path(box, "/etc/hosts", 0, NULL, NULL, NULL);
	NSB_CLOSE int from = -1;
	NSB_CLOSE int to = -1;
	char name[64], proc[64];
	ssize_t n = 0;
	int r;

	if (text == NULL)
		return -ENOMEM;
	if (path == -ENOENT)
		return 0; /* the bind of the file, which is optional, is passed over as well */
	if (path >= 0) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
		from = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		n = from < 0 ? -errno : nsb_read_text(from, text, COPY_MAX);
	}
	if (path < 0 || n < 0)
		return nsb_error_set(&box->error, path < 0 ? path : (int)n, "cannot read /etc/hosts of the root: %s",
				     strerror(path < 0 ? -path : (int)-n));
	r = files_create(box, step, 0644, 0, 0, &to);
	if (r < 0)
		return r;
	r = nsb_write_all(to, text, (size_t)n);
	if (r == 0 && n > 0 && text[n - 1] != '\n')
		r = nsb_write_all(to, "\n", 1);
	snprintf(name, sizeof(name), "%s", step->data);
	if (r == 0 && dprintf(to, "127.0.1.1\t%s\n", name) < 0)
		r = -errno;
	return r < 0 ? nsb_error_set(&box->error, r, "cannot write %s: %s", step->dst, strerror(-r)) : 0;
}

int files_symlink(nsb_box *box, const nsb_step *step)
{
	const char *name;
	NSB_CLOSE int parent = mounts_open_parent(box, step, &name);

	if (parent < 0)
		return parent;
	return symlinkat(step->data, parent, name) < 0 ||
			       fchownat(parent, name, idmap_uid(box, 0), idmap_gid(box, 0), AT_SYMLINK_NOFOLLOW) < 0
		       ? failed(box, step)
		       : 0;
}

int files_node(nsb_box *box, const nsb_step *step)
{
	const char *name;
	unsigned major_number, minor_number;
	NSB_CLOSE int parent = mounts_open_parent(box, step, &name);

	if (parent < 0)
		return parent;
	if (sscanf(step->data, "%u:%u", &major_number, &minor_number) != 2)
		return nsb_error_set(&box->error, EINVAL, "%s: %s is no device number", step->dst, step->data);
	if (mknodat(parent, name, S_IFCHR | 0600, makedev(major_number, minor_number)) < 0 ||
	    fchownat(parent, name, idmap_uid(box, 0), idmap_gid(box, 0), AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(parent, name, step->mode, 0) < 0)
		return failed(box, step);
	return 0;
}

/* Reads the cache with the user's rights only: the name comes from the environment of the login and lies in a directory
 * where everybody can make links. A file that is not the user's own plain one is passed over. */
static ssize_t read_as_user(const nsb_box *box, const nsb_step *step, char *text)
{
	NSB_CLOSE int path = nsb_path_open(box->host_root, step->src, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	NSB_CLOSE int fd = -1;
	struct stat st;
	char proc[64];

	if (path < 0 || fstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != step->uid)
		return -ENOENT;
	/* The descriptor is on the file that was looked at: nothing can be exchanged between the look and the open. By the
	 * host's /proc: that of a box which the login joins does not know this process. */
	snprintf(proc, sizeof(proc), "proc/self/fd/%d", path);
	setfsgid(step->gid);
	setfsuid(step->uid);
	fd = openat(box->host_root, proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	setfsuid(0);
	setfsgid(0);
	return fd < 0 ? -errno : nsb_read_text(fd, text, COPY_MAX);
}

/* An earlier login may have left one of that name in the box. */
static void remove_old(nsb_box *box, const nsb_step *step)
{
	const char *name;
	NSB_CLOSE int parent = mounts_open_parent(box, step, &name);

	if (parent >= 0)
		unlinkat(parent, name, 0);
}

/* In a box that is there /tmp may be full, or a directory stand in the way: what its sessions have done keeps the next
 * one not out, least of all the one that is to mend it. */
static int go_without(nsb_box *box, const nsb_step *step, int r)
{
	nsb_log(LOG_NOTICE, "nsbox %s: the Kerberos cache %s of %s was not taken along: %s", box->session.login,
		step->src, box->session.user, strerror(-r));
	remove_old(box, step);
	box->error = (nsb_error){ .stage = box->error.stage };
	return 0;
}

int files_credentials(nsb_box *box, const nsb_step *step)
{
	NSB_FREE char *text = malloc(COPY_MAX);
	NSB_CLOSE int fd = -1;
	ssize_t n;
	int r;

	if (text == NULL)
		return -ENOMEM;
	/* a text function, but only the length is used: the cache is binary */
	n = read_as_user(box, step, text);
	if (n < 0)
		return 0;
	if (box->joining)
		remove_old(box, step);
	r = files_create(box, step, 0600, step->uid, step->gid, &fd);
	if (r == -ENOENT && !box->joining)
		return nsb_error_set(&box->error, r, "%s: only caches directly in /tmp are taken along", step->src);
	if (r == 0)
		r = nsb_write_all(fd, text, (size_t)n);
	if (r < 0 && box->joining)
		return go_without(box, step, r);
	return r < 0 ? nsb_error_set(&box->error, r, "cannot write %s: %s", step->dst, strerror(-r)) : 0;
}
