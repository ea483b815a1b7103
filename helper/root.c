/* SPDX-License-Identifier: BSD-3-Clause */
/* The root of the box: made in the builder at a place where nobody looks, and made "/" by the pivot. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "helper/capabilities.h"
#include "helper/check.h"
#include "helper/idmap.h"
#include "helper/mounts.h"
#include "helper/new-mount-api.h"
#include "helper/root.h"
#include "helper/steps.h"
#include "helper/tree.h"

/* A place to stand on until the pivot; it covers the registry in this namespace, which is welcome. What is mounted there
 * later lies upon what was before. */
int root_open_staging(nsb_box *box)
{
	return nsb_path_open(box->host_root, NSB_RUNDIR, NSB_PATH_DIRECTORY, NULL, NULL, &box->error);
}

int root_stage(nsb_box *box, int mount, const char *name)
{
	NSB_CLOSE int staging = root_open_staging(box);

	if (staging < 0)
		return staging;
	if (sys_move_mount(mount, "", staging, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return nsb_error_set(&box->error, errno, "cannot mount %s: %s", name, strerror(errno));
	return 0;
}

int root_become(nsb_box *box, bool fresh_tmpfs)
{
	box->root = root_open_staging(box);
	if (box->root < 0)
		return box->root;
	box->root_mount = nsb_mount_id(box->root);
	return mounts_record(box, "/", box->root, fresh_tmpfs);
}

static int clone_tree(nsb_box *box, const nsb_step *step)
{
	unsigned flags = box->plan.root_kind == NSB_ROOT_HOST ? 0 : NSB_PATH_TRUSTED;
	struct mount_attr attributes = { .attr_set = mounts_attributes(step->flags),
					 .propagation = step->flags & NSB_STEP_SLAVE ? 0 : MS_PRIVATE };
	NSB_CLOSE int source =
		nsb_path_open(box->host_root, step->src, flags | NSB_PATH_DIRECTORY, NULL, NULL, &box->error);
	/* where owners are mapped, each mount comes by itself */
	unsigned recursive = step->flags & NSB_STEP_IDMAP ? 0 : AT_RECURSIVE;
	NSB_CLOSE int tree = -1;

	if (source < 0)
		return source;
	tree = sys_open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);
	if (tree < 0)
		return nsb_error_set(&box->error, errno, "cannot clone the tree %s: %s", step->src, strerror(errno));
	if ((step->flags & NSB_STEP_IDMAP) && idmap_mount(box, tree) < 0)
		return idmap_cannot(source, step->src, &box->error);
	if ((attributes.attr_set != 0 || attributes.propagation != 0) &&
	    sys_mount_setattr(tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof(attributes)) < 0)
		return nsb_error_set(&box->error, errno, "cannot set the flags of the clone of %s: %s", step->src,
				     strerror(errno));
	return nsb_steal_fd(&tree);
}

/* The mount that the check has made. */
static int take_image(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int tree = fcntl(box->tree, F_DUPFD_CLOEXEC, 0);

	if (tree < 0)
		return -errno;
	if ((step->flags & NSB_STEP_IDMAP) && idmap_mount(box, tree) < 0)
		return idmap_cannot(tree, step->src, &box->error);
	return nsb_steal_fd(&tree);
}

/* The mounts in the tree; by where that is, for mounts do not know the links that it was named by. */
static int map_mounts_below(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int source = nsb_path_open(box->host_root, step->src, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL,
					     NULL, &box->error);
	char path[PATH_MAX];
	int r = source < 0 ? source : nsb_path_of(source, path);

	return r < 0 ? r : idmap_mounts_below(box, path, "/", mounts_attributes(step->flags));
}

int root_tree(nsb_box *box, const nsb_step *step)
{
	/* The check has mounted the image; that mount belongs to no namespace yet, so it may become this one's. */
	NSB_CLOSE int tree = box->tree_is_image ? take_image(box, step) : clone_tree(box, step);
	int r = tree < 0 ? tree : root_stage(box, tree, step->src);

	if (r == 0)
		r = root_become(box, false);
	if (r == 0 && (step->flags & NSB_STEP_IDMAP) && !box->tree_is_image)
		r = map_mounts_below(box, step);
	return r;
}

int root_tmpfs(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int mount = mounts_make(box, "tmpfs", step->data, step->flags);
	int r = mount < 0 ? mount : root_stage(box, mount, "/");

	return r < 0 ? r : root_become(box, true);
}

/* ---- layers and overlay ---- */

/* A directory with its owners mapped, detached. `tree`: one that the root is made of, which only root may change. */
static int map_layer(nsb_box *box, const char *path, bool tree)
{
	NSB_CLOSE int source = tree ? tree_open_layer(box->host_root, path, &box->error)
				    : nsb_path_open(box->host_root, path, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL,
						    NULL, &box->error);
	NSB_CLOSE int mount = -1;

	if (source < 0)
		return source;
	mount = sys_open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (mount < 0)
		return nsb_error_set(&box->error, errno, "cannot clone %s: %s", path, strerror(errno));
	return idmap_mount(box, mount) < 0 ? idmap_cannot(source, path, &box->error) : nsb_steal_fd(&mount);
}

/* Opened here and not by the check: overlayfs takes only what is mounted in its own namespace (before Linux 6.15). */
int root_layer(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int layer = -1;
	int r = 0;

	if (box->n_layers == NSB_LAYERS_MAX)
		return nsb_error_set(&box->error, E2BIG, "more than %d layers", NSB_LAYERS_MAX);
	if (box->tree_is_image)
		layer = take_image(box, step);
	else if (step->flags & NSB_STEP_IDMAP)
		layer = map_layer(box, step->src, true);
	else
		layer = tree_open_layer(box->host_root, step->src, &box->error);
	/* what is mounted nowhere gets a place, below what follows */
	if (layer >= 0 && (box->tree_is_image || (step->flags & NSB_STEP_IDMAP)))
		r = root_stage(box, layer, step->src);
	if (layer < 0 || r < 0)
		return layer < 0 ? layer : r;
	box->layers[box->n_layers++] = nsb_steal_fd(&layer);
	return 0;
}

/* The directory in memory that takes what is written; it lies below the overlay, where nobody sees it. */
static int make_memory(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int mount = mounts_make(box, "tmpfs", step->data, NSB_STEP_NOSUID | NSB_STEP_NODEV);
	int r = mount < 0 ? mount : root_stage(box, mount, "the memory of the overlay");

	if (r < 0)
		return r;
	/* umask 077; the mode of the one is that of "/" */
	if (mkdirat(mount, "upper", 0700) < 0 || fchmodat(mount, "upper", 0755, 0) < 0 ||
	    mkdirat(mount, "work", 0700) < 0 ||
	    fchownat(mount, "upper", idmap_uid(box, 0), idmap_gid(box, 0), AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchownat(mount, "work", idmap_uid(box, 0), idmap_gid(box, 0), AT_SYMLINK_NOFOLLOW) < 0)
		return nsb_error_set(&box->error, errno, "cannot prepare the memory of the overlay: %s",
				     strerror(errno));
	return nsb_steal_fd(&mount);
}

/* "lowerdir=/proc/self/fd/9:/proc/self/fd/10,...": by number, so no path is walked again and none needs quoting. */
static int write_options(const nsb_box *box, int upper, int work, char *options, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < box->n_layers && used < size; i++)
		used += (size_t)snprintf(options + used, size - used, "%s/proc/self/fd/%d", i == 0 ? "lowerdir=" : ":",
					 box->layers[i]);
	if (upper >= 0 && used < size)
		used += (size_t)snprintf(options + used, size - used,
					 ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", upper, work);
	/* what a module's parameters could switch on: each would keep more in the upper directory than files */
	if (used < size)
		used += (size_t)snprintf(options + used, size - used, ",redirect_dir=nofollow,index=off,metacopy=off");
	return used < size ? 0 : -E2BIG;
}

unsigned long root_forbidden_by(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return MS_NOSUID | MS_NOEXEC;
	return (fs.f_flags & ST_NOSUID ? MS_NOSUID : 0) | (fs.f_flags & ST_NOEXEC ? MS_NOEXEC : 0);
}

/* An overlay works on its layers as who mounted it: files that it makes there must have an owner that the layers know. All
 * capabilities stay in force. 0; positive errno of the mount; negative one with a sentence. */
static int mount_as_root_of_box(nsb_box *box, const char *place, unsigned long flags, const char *options)
{
	int err = 0, r;

	setfsgid(idmap_gid(box, 0));
	setfsuid(idmap_uid(box, 0));
	r = box->subid_base != 0 ? capabilities_raise(&box->error) : 0;
	if (r == 0 && mount("overlay", place, "overlay", flags, options) < 0)
		err = errno;
	setfsuid(0);
	setfsgid(0);
	return r < 0 ? r : err;
}

static int mount_overlay(nsb_box *box, const nsb_step *step, int upper, const char *options)
{
	unsigned long flags = MS_NODEV | (step->flags & NSB_STEP_READ_ONLY ? MS_RDONLY : 0);
	NSB_CLOSE int staging = root_open_staging(box);
	char place[64];
	int r;

	if (staging < 0)
		return staging;
	for (size_t i = 0; i < box->n_layers; i++)
		flags |= root_forbidden_by(box->layers[i]);
	if (step->dst != NULL)
		flags |= root_forbidden_by(upper);
	snprintf(place, sizeof(place), "/proc/self/fd/%d", staging);
	r = mount_as_root_of_box(box, place, flags, options);
	if (r <= 0)
		return r;
	errno = r;
	if (step->dst != NULL && (errno == EINVAL || errno == EOPNOTSUPP))
		return nsb_error_set(&box->error, errno,
				     "cannot mount an overlay on %s: %s: the file system of %s must take extended "
				     "attributes (ext4, xfs, btrfs do; NFS and another overlay do not)",
				     box->plan.root, strerror(errno), step->dst);
	return nsb_error_set(&box->error, errno, "cannot mount an overlay on %s: %s", box->plan.root, strerror(errno));
}

/* Says where: it is not the tree that is to be mended. */
static int check_merged(nsb_box *box, const nsb_step *step)
{
	NSB_FREE char *name = step->dst != NULL ? nsb_format("%s with %s/upper upon it", box->plan.root, step->dst)
						: strdup(box->plan.root);

	return name == NULL ? -ENOMEM : check_trusted(box->root, box->subid_base, name, &box->error);
}

/* The directory that keeps what is written, with its owners mapped, mounted where nobody sees it. */
static int map_upper(nsb_box *box, const char *path)
{
	NSB_CLOSE int mount = map_layer(box, path, false);
	int r = mount < 0 ? mount : root_stage(box, mount, path);

	return r < 0 ? r : nsb_steal_fd(&mount);
}

int root_overlay(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int top = step->dst != NULL && box->subid_base != 0 ? map_upper(box, step->dst)
			    : step->dst != NULL
				    ? nsb_path_open(box->host_root, step->dst, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY,
						    NULL, NULL, &box->error)
			    : step->data != NULL ? make_memory(box, step)
						 : -1;
	bool writable = step->dst != NULL || step->data != NULL;
	NSB_CLOSE int upper = -1;
	NSB_CLOSE int work = -1;
	char options[4096]; /* a page, mount(2) */
	int r;

	if (writable && top < 0)
		return top;
	if (writable) {
		upper = openat(top, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		work = openat(top, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (upper < 0 || work < 0)
			return nsb_error_set(&box->error, errno, "cannot open upper and work in %s: %s",
					     step->dst != NULL ? step->dst : "the memory of the overlay",
					     strerror(errno));
	}
	r = write_options(box, upper, work, options, sizeof(options));
	if (r == 0)
		r = mount_overlay(box, step, upper, options);
	if (r == 0)
		r = root_become(box, false);
	/* what was kept is root's work in a box, and may undo what holds for the trees below */
	return r == 0 ? check_merged(box, step) : r;
}

/* ---- curated ---- */

/* Whether a link of the host is to be made as it is: it leads to a place that a curated root shows under the same name, to a
 * directory (of programs, which are not taken from elsewhere), or to nowhere. */
static bool stays_link(const nsb_box *box, const char *path)
{
	static const char *const shown[] = { "/usr", "/run" };
	NSB_CLOSE int fd = nsb_path_open(box->host_root, path, 0, NULL, NULL, NULL);
	char target[PATH_MAX];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
		return true;
	(void)nsb_path_of(fd, target);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (nsb_path_below(target, shown[i]))
			return true;
	return false;
}

int root_alias(nsb_box *box, const nsb_step *step)
{
	char above[PATH_MAX], target[PATH_MAX];
	const char *name;
	NSB_CLOSE int parent = -1;
	NSB_CLOSE int place = -1;
	nsb_error ignored = { 0 };
	ssize_t n;

	snprintf(above, sizeof(above), "%s", step->src);
	*strrchr(above, '/') = '\0';
	parent = nsb_path_open(box->host_root, above[0] == '\0' ? "/" : above, NSB_PATH_DIRECTORY | NSB_PATH_TRUSTED,
			       NULL, NULL, &ignored);
	if (parent < 0)
		return parent == -ENOENT ? 0 : nsb_error_set(&box->error, parent, "%s", ignored.words);
	n = readlinkat(parent, strrchr(step->src, '/') + 1, target, sizeof(target) - 1);
	if (n < 0 && errno != EINVAL)
		return errno == ENOENT ? 0
				       : nsb_error_set(&box->error, errno, "cannot read the link %s: %s", step->src,
						       strerror(errno));
	if (n < 0 || !stays_link(box, step->src))
		return mounts_bind(box, step); /* no link, or one out of the box */
	target[n] = '\0';
	place = mounts_open_parent(box, step, &name);
	if (place < 0)
		return place;
	return symlinkat(target, place, name) < 0
		       ? nsb_error_set(&box->error, errno, "cannot make the link %s: %s", step->dst, strerror(errno))
		       : 0;
}

int root_seal(nsb_box *box, const nsb_step *step)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY };

	(void)step;
	if (sys_mount_setattr(box->root, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
		return nsb_error_set(&box->error, errno, "cannot make the root read-only: %s", strerror(errno));
	return 0;
}

int root_pivot(nsb_box *box, const nsb_step *step)
{
	(void)step;
	/* pivot_root(".", ".") puts the old root on top of the new one at the same place, pivot_root(2): the next line
	 * takes it away, so no directory for the old root is needed. */
	if (fchdir(box->root) < 0 || sys_pivot_root(".", ".") < 0)
		return nsb_error_set(&box->error, errno, "cannot pivot into %s: %s", box->plan.root, strerror(errno));
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return nsb_error_set(&box->error, errno, "cannot detach the old root: %s", strerror(errno));
	/* The last things that lead to the old root. From here on no path does. */
	box->host_root = nsb_close(box->host_root);
	box->tree = nsb_close(box->tree);
	box->upper = nsb_close(box->upper);
	box->memory = nsb_close(box->memory);
	for (size_t i = 0; i < box->n_layers; i++)
		box->layers[i] = nsb_close(box->layers[i]);
	return 0;
}
