/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Homes. The way there is walked by nsb_path_open(), which follows no link that the user could have made, and everything
 * is used by descriptor afterwards; so it does not matter what the user puts in the place of the home meanwhile.
 */
#include "helper/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/as-user.h"
#include "helper/idmap.h"
#include "helper/mounts.h"
#include "helper/steps.h"

static int open_source(nsb_box *box, const void *data)
{
	const nsb_step *step = data;
	nsb_error why = { 0 };
	int fd;

	/* Only who asks for a directory makes autofs mount; what is opened here is thrown away. */
	nsb_close(openat(box->host_root, step->src + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	fd = nsb_path_open(box->host_root, step->src, NSB_PATH_DIRECTORY, NULL, NULL, &why);
	if (fd < 0 && fd != -ENOENT)
		return nsb_error_set(&box->error, fd, "the home of %s: %s: %s", box->session.user, why.words,
				     strerror(-fd));
	return fd;
}

int home_open_source(nsb_box *box, const nsb_step *step)
{
	return as_user_open(box, false, open_source, step);
}

static int open_place(nsb_box *box, const void *data)
{
	const nsb_step *step = data;

	return idmap_path(box, step->dst, NSB_PATH_DIRECTORY, NULL, NULL, &box->error);
}

/* Where it goes in the box. -ENOENT with a sentence if there is no place. */
static int open_target(nsb_box *box, const nsb_step *step)
{
	nsb_error before = box->error;
	int fd = mounts_open_target(box, step, false);

	if (fd != -EACCES)
		return fd;
	box->error = before;
	return as_user_open(box, false, open_place, step);
}

/* An account without a home goes without one; then there is nothing to be said either. */
static bool has_no_home(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int fd = nsb_path_open(box->host_root, step->dst, 0, NULL, NULL, NULL);

	if (fd != -ENOENT)
		return false;
	box->error = (nsb_error){ .stage = box->error.stage };
	return true;
}

/* A file system in memory over it, on which mount points may be made, or not. */
static int cover(nsb_box *box, const nsb_step *step, const char *options, bool open)
{
	NSB_CLOSE int target = open_target(box, step);
	NSB_CLOSE int mount = -1;

	if (target == -ENOENT && has_no_home(box, step))
		return 0;
	if (target < 0)
		return target;
	mount = mounts_make(box, "tmpfs", options, step->flags);
	return mount < 0 ? mount : mounts_attach(box, step->dst, mount, target, open);
}

int home_tmpfs(nsb_box *box, const nsb_step *step)
{
	return cover(box, step, step->data, true);
}

int home_none(nsb_box *box, const nsb_step *step)
{
	return cover(box, step, "mode=0555,size=4k,nr_inodes=1", false);
}

/* ---- overlay ---- */

typedef struct layers {
	const nsb_step *step;
	int home;   /* the lower one */
	int memory; /* tmpfs that is to hold the upper one */
} layers;

/* A directory in the box's own tmpfs, which nobody else sees yet. */
static int make_directory(nsb_box *box, int memory, const char *name)
{
	int fd = mkdirat(memory, name, 0700) < 0 ? -1
						 : openat(memory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? nsb_error_set(&box->error, errno, "cannot make the %s directory of the home's overlay: %s",
				      name, strerror(errno))
		      : fd;
}

/*
 * Mounted by the user's ids: the overlay reads the home with the ids of who mounted it, after it has asked whether who
 * reads may. The options that are off are
 * those by which marks in the lower layer (trusted.overlay.*) lead to other files: a FUSE server can show such marks. The
 * layers are named by descriptor, because a string of fsconfig(2) has 255 bytes at most and a path could be exchanged; it
 * is the host's /proc that is mounted here, which is why this happens before the pivot.
 */
static int mount_overlay(nsb_box *box, const void *data)
{
	const layers *l = data;
	NSB_CLOSE int upper = make_directory(box, l->memory, "upper");
	NSB_CLOSE int work = upper < 0 ? -1 : make_directory(box, l->memory, "work");
	char options[256];
	struct stat st;
	int fd, stage = (int)box->error.stage;

	if (upper < 0 || work < 0)
		return -box->error.err;
	/* the merged directory has the owner and mode of the upper one */
	if (fstat(l->home, &st) < 0 || fchownat(l->memory, "upper", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(l->memory, "upper", st.st_mode & 07777, 0) < 0)
		return nsb_error_set(&box->error, errno, "cannot give the home's overlay the owner of %s: %s",
				     l->step->src, strerror(errno));
	snprintf(options, sizeof(options),
		 "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,redirect_dir=nofollow,"
		 "metacopy=off,index=off",
		 l->home, upper, work);
	fd = mounts_make(box, "overlay", options, l->step->flags);
	if (fd >= 0)
		return fd;
	box->error = (nsb_error){ .stage = (nsb_stage)stage };
	if (fd == -ENODEV)
		return nsb_error_set(&box->error, fd, "home = overlay: this kernel has no overlayfs");
	return nsb_error_set(&box->error, fd,
			     "home = overlay: the file system of %s cannot be under an overlay (%s): write home = bind "
			     "or home = tmpfs",
			     l->step->src, strerror(-fd));
}

/*
 * The tmpfs of the upper layer lies under the overlay, on the same place, so no other path leads to it. It is mounted
 * before: Linux 6.1 takes layers only from mounts of the caller's namespace, not from detached ones.
 */
int home_overlay(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int home = home_open_source(box, step);
	NSB_CLOSE int target = -1;
	NSB_CLOSE int memory = -1;
	NSB_CLOSE int overlay = -1;
	int r;

	if (home == -ENOENT && box->error.words[0] == '\0')
		return 0;
	if (home < 0)
		return home;
	target = open_target(box, step);
	if (target < 0)
		return target;
	memory = mounts_make(box, "tmpfs", step->data, step->flags);
	if (memory < 0)
		return memory;
	r = mounts_attach(box, step->dst, memory, target, false);
	if (r < 0)
		return r;
	overlay = as_user_open(box, true, mount_overlay, &(layers){ .step = step, .home = home, .memory = memory });
	return overlay < 0 ? overlay : mounts_attach(box, step->dst, overlay, memory, false);
}
