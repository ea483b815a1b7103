/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mounts by descriptor: what is to be mounted is made detached (open_tree, fsmount), its flags are set while nobody can
 * see it, the place is opened by nsb_path_open(), and move_mount(2) joins the two. No path is looked up twice.
 */
#include "helper/mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/home.h"
#include "helper/idmap.h"
#include "helper/mount-types.h"
#include "helper/new-mount-api.h"
#include "helper/steps.h"

#define ATTIC "/proc/tty/ldisc" /* an empty directory, which nobody has a use for */

bool mounts_is_ours(const nsb_box *box, int fd)
{
	unsigned long long id = nsb_mount_id(fd);

	for (size_t i = 0; i < box->n_mounts; i++)
		if (box->mounts[i].fresh_tmpfs && box->mounts[i].id == id)
			return id != 0;
	return false;
}

uint64_t mounts_attributes(unsigned flags)
{
	return (flags & NSB_STEP_READ_ONLY ? MOUNT_ATTR_RDONLY : 0) |
	       (flags & NSB_STEP_NOSUID ? MOUNT_ATTR_NOSUID : 0) | (flags & NSB_STEP_NODEV ? MOUNT_ATTR_NODEV : 0) |
	       (flags & NSB_STEP_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
}

int mounts_record(nsb_box *box, const char *dst, int mount, bool fresh_tmpfs)
{
	if (box->n_mounts >= NSB_BOX_MOUNTS_MAX)
		return nsb_error_set(&box->error, E2BIG, "more than %d mounts in one box", NSB_BOX_MOUNTS_MAX);
	box->mounts[box->n_mounts++] =
		(nsb_made_mount){ .dst = dst, .id = nsb_mount_id(mount), .fresh_tmpfs = fresh_tmpfs };
	return 0;
}

int mounts_attach(nsb_box *box, const char *dst, int mount, int target, bool fresh_tmpfs)
{
	if (sys_move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return nsb_error_set(&box->error, errno, "cannot mount %s: %s", dst, strerror(errno));
	return mounts_record(box, dst, mount, fresh_tmpfs);
}

int mounts_make(nsb_box *box, const char *type, const char *options, unsigned flags)
{
	NSB_CLOSE int fs = sys_fsopen(type, FSOPEN_CLOEXEC);
	NSB_FREE char *copy = idmap_options(box, type, options);
	char *save = NULL;
	int mount;

	if (copy == NULL)
		return -ENOMEM;
	if (fs < 0)
		return nsb_error_set(&box->error, errno, "cannot make a file system of type %s: %s", type,
				     strerror(errno));
	for (char *word = strtok_r(copy, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save)) {
		char *value = strchr(word, '=');
		unsigned command = value != NULL ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (value != NULL)
			*value++ = '\0';
		if (sys_fsconfig(fs, command, word, value, 0) < 0)
			return nsb_error_set(&box->error, errno, "%s does not take the option %s%s%s: %s", type, word,
					     value != NULL ? "=" : "", value != NULL ? value : "", strerror(errno));
	}
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return nsb_error_set(&box->error, errno, "cannot make a file system of type %s: %s", type,
				     strerror(errno));
	mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)mounts_attributes(flags));
	if (mount < 0)
		return nsb_error_set(&box->error, errno, "cannot mount a file system of type %s: %s", type,
				     strerror(errno));
	return mount;
}

/* Makes what is missing of a path, component by component, below a directory of ours. */
static int make_missing(const nsb_box *box, int at, char *rest, bool as_file)
{
	NSB_CLOSE int dir = fcntl(at, F_DUPFD_CLOEXEC, 0);
	char *save = NULL;

	for (char *name = strtok_r(rest, "/", &save); name != NULL && dir >= 0;) {
		char *next = strtok_r(NULL, "/", &save);
		int fd;

		if (next == NULL && as_file)
			fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		else
			fd = mkdirat(dir, name, 0700) < 0 ? -1 : openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		/* the umask is 077, but the user must get through to what is mounted there */
		if (fd < 0 || fchownat(dir, name, idmap_uid(box, 0), idmap_gid(box, 0), AT_SYMLINK_NOFOLLOW) < 0 ||
		    fchmodat(dir, name, next == NULL && as_file ? 0644 : 0755, 0) < 0) {
			int saved = errno;

			nsb_close(fd);
			return -saved;
		}
		nsb_close(dir);
		dir = fd;
		name = next;
	}
	return dir < 0 ? -errno : nsb_steal_fd(&dir);
}

static bool directory_empty(int dir)
{
	char buffer[1024];
	NSB_CLOSE int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n = fd < 0 ? -1 : syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
	struct dirent64_head {
		uint64_t ino;
		int64_t off;
		unsigned short reclen;
		unsigned char type;
		char name[];
	};

	for (long at = 0; at < n;) {
		const struct dirent64_head *entry = (const void *)(buffer + at);

		if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
			return false;
		at += entry->reclen;
	}
	return n >= 0;
}

/* The tree has an empty /home: a tmpfs over it takes the mount points, so that the tree stays as it is and one tree
 * serves any number of users. */
static int cover_parent(nsb_box *box, const nsb_step *step, int parent)
{
	NSB_CLOSE int mount = -1;

	if (!directory_empty(parent))
		return -ENOENT;
	mount = mounts_make(box, "tmpfs", "mode=0755,size=1%", NSB_STEP_NOSUID | NSB_STEP_NODEV);
	if (mount < 0)
		return mount;
	return mounts_attach(box, step->dst, mount, parent, true);
}

int mounts_open_target(nsb_box *box, const nsb_step *step, bool as_file)
{
	unsigned flags = (step->flags & NSB_STEP_NO_SYMLINKS ? NSB_PATH_NO_SYMLINKS : 0) |
			 (step->flags & NSB_STEP_OVER_LINK ? NSB_PATH_END_LINK : 0);
	NSB_CLOSE int parent = -1;
	char rest[PATH_MAX];
	int fd = idmap_path(box, step->dst, flags, &parent, rest, &box->error);

	if (fd != -ENOENT || parent < 0)
		return fd;
	if ((step->flags & NSB_STEP_HOME) && strchr(rest, '/') == NULL && !mounts_is_ours(box, parent)) {
		fd = cover_parent(box, step, parent);
		if (fd == 0)
			return mounts_open_target(box, step, as_file);
		if (fd != -ENOENT)
			return fd;
	}
	if (!mounts_is_ours(box, parent)) {
		if (step->flags & NSB_STEP_OPTIONAL && !(step->flags & NSB_STEP_HOME))
			return -ENOENT;
		return nsb_error_set(&box->error, ENOENT, "%s is missing in the root %s: make it (%s)", step->dst,
				     box->plan.root, as_file ? "an empty file" : "mkdir -p");
	}
	fd = make_missing(box, parent, rest, as_file);
	if (fd < 0)
		return nsb_error_set(&box->error, fd, "cannot make the mount point %s: %s", step->dst, strerror(-fd));
	return fd;
}

/* Takes a mount out of the tree: to where it goes with the old root at the pivot. To detach each by itself costs a grace
 * period of RCU each time. */
static int move_out(const nsb_box *box, int mount)
{
	NSB_CLOSE int attic = nsb_path_open(box->host_root, ATTIC, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	struct mount_attr attributes = { .propagation = MS_UNBINDABLE };

	if (attic < 0)
		return attic;
	/* a clone of the host's /proc (bind = /proc) must not take it along, sockets in /run and all */
	if (sys_mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
		return -errno;
	return sys_move_mount(mount, "", attic, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

int mounts_detach(nsb_box *box, const nsb_step *step)
{
	/* mounts may lie upon each other */
	for (;;) {
		NSB_CLOSE int target = idmap_path(box, step->dst, NSB_PATH_NO_SYMLINKS, NULL, NULL, &box->error);
		char path[PATH_MAX];

		if (target < 0)
			return target;
		if (nsb_mount_id(target) == box->root_mount)
			return 0; /* a plain directory of the root */
		if (move_out(box, target) == 0)
			continue;
		/* the path is root's own, just walked without links */
		snprintf(path, sizeof(path), NSB_RUNDIR "%s", step->dst);
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return errno == EINVAL ? 0 /* a plain directory of another mount */
					       : nsb_error_set(&box->error, errno, "cannot detach the clone of %s: %s",
							       step->dst, strerror(errno));
	}
}

int mounts_detach_kernel(nsb_box *box, const nsb_step *step)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	NSB_FREE char *line = NULL;
	size_t room = 0;
	int r = 0;

	(void)step;
	if (mountinfo == NULL)
		return nsb_error_set(&box->error, errno, "cannot read /proc/self/mountinfo: %s", strerror(errno));
	while (r == 0 && getline(&line, &room, mountinfo) > 0) {
		char root[PATH_MAX], point[PATH_MAX], type[64];
		const char *behind = strstr(line, " - ");

		/* most are of the old root: not worth taking apart */
		if (behind == NULL || strstr(line, " " NSB_RUNDIR "/") == NULL ||
		    sscanf(line, "%*d %*d %*s %4095s %4095s", root, point) != 2 ||
		    sscanf(behind, " - %63s", type) != 1 || mount_hides(type, root))
			continue;
		if (!nsb_path_below(point, NSB_RUNDIR) || strcmp(point, NSB_RUNDIR) == 0 || !mount_type_is_kernel(type))
			continue;
		/* A name with a blank is written with \040 and not found: such a mount cannot be told apart safely, so
		 * it ends the login rather than stay. ENOENT, EINVAL: went with the one above it. */
		if (strchr(point, '\\') != NULL)
			r = nsb_error_set(&box->error, EINVAL,
					  "a file system of type %s is mounted on %s, whose name nsbox cannot handle: "
					  "unmount it",
					  type, point + strlen(NSB_RUNDIR));
		else if (umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
			r = nsb_error_set(&box->error, errno, "cannot detach the clone of %s: %s",
					  point + strlen(NSB_RUNDIR), strerror(errno));
	}
	fclose(mountinfo);
	return r;
}

int mounts_mount(nsb_box *box, const nsb_step *step)
{
	const char *type = step->op == NSB_OP_PROC ? "proc" : step->src;
	NSB_CLOSE int target = mounts_open_target(box, step, false);
	NSB_CLOSE int mount = -1;
	struct stat st;

	if (target == -ENOENT && (step->flags & NSB_STEP_OPTIONAL))
		return 0;
	if (target < 0)
		return target;
	if (fstat(target, &st) < 0 || !S_ISDIR(st.st_mode))
		return nsb_error_set(&box->error, ENOTDIR, "%s in the root %s is not a directory", step->dst,
				     box->plan.root);
	mount = mounts_make(box, type, step->data, step->flags);
	if (mount < 0)
		return mount;
	return mounts_attach(box, step->dst, mount, target, strcmp(type, "tmpfs") == 0);
}

int mounts_clone(nsb_box *box, const nsb_step *step, int source)
{
	bool map = step->flags & NSB_STEP_IDMAP;
	/* of a tree that is mapped each mount comes by itself (bind_open) */
	unsigned recursive = (step->flags & NSB_STEP_RECURSIVE) && !map ? AT_RECURSIVE : 0;
	struct mount_attr attributes = { .attr_set = mounts_attributes(step->flags) };
	NSB_CLOSE int tree = sys_open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);

	if (tree < 0)
		return nsb_error_set(&box->error, errno, "cannot clone %s: %s", step->src, strerror(errno));
	if (map && idmap_mount(box, tree) < 0)
		return idmap_cannot(source, step->src, &box->error);
	if (!(step->flags & (NSB_STEP_IDMAP | NSB_STEP_READ_ONLY | NSB_STEP_SOURCE_IN_BOX)))
		idmap_mount_hole(box, tree, recursive);
	/* A mount that arrives later would not carry the flags; only below a home are such mounts (autofs) wanted. */
	if (!(step->flags & NSB_STEP_HOME))
		attributes.propagation = MS_PRIVATE;
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof(attributes)) < 0)
		return nsb_error_set(&box->error, errno, "cannot set the flags of the clone of %s: %s", step->src,
				     strerror(errno));
	return nsb_steal_fd(&tree);
}

static int bind_open(nsb_box *box, const nsb_step *step, int source)
{
	NSB_CLOSE int target = -1;
	NSB_CLOSE int tree = -1;
	struct stat from, to;
	char path[PATH_MAX];
	int r;

	/* of a home it is known, and root may not be allowed to look */
	from.st_mode = S_IFDIR;
	if (!(step->flags & NSB_STEP_HOME) && fstat(source, &from) < 0)
		return -errno;
	target = mounts_open_target(box, step, !S_ISDIR(from.st_mode));
	if (target == -ENOENT && (step->flags & NSB_STEP_OPTIONAL) && box->error.words[0] == '\0')
		return 0;
	if (target < 0)
		return target;
	if (fstat(target, &to) < 0 || S_ISDIR(from.st_mode) != S_ISDIR(to.st_mode))
		return nsb_error_set(&box->error, S_ISDIR(from.st_mode) ? ENOTDIR : EISDIR,
				     "cannot bind %s to %s: one is a directory, the other is not", step->src,
				     step->dst);
	tree = mounts_clone(box, step, source);
	if (tree < 0)
		return tree;
	r = mounts_attach(box, step->dst, tree, target, false);
	if (r < 0 || (step->flags & (NSB_STEP_IDMAP | NSB_STEP_RECURSIVE)) != (NSB_STEP_IDMAP | NSB_STEP_RECURSIVE))
		return r;
	r = nsb_path_of(source, path);
	return r < 0 ? r : idmap_mounts_below(box, path, step->dst, mounts_attributes(step->flags));
}

int mounts_bind(nsb_box *box, const nsb_step *step)
{
	int top = step->flags & NSB_STEP_SOURCE_IN_BOX ? box->root : box->host_root;
	nsb_error error = { 0 };
	bool home = step->flags & NSB_STEP_HOME;
	NSB_CLOSE int source =
		home ? home_open_source(box, step) : nsb_path_open(top, step->src, 0, NULL, NULL, &error);

	if (home && source < 0)
		return source == -ENOENT && box->error.words[0] == '\0' ? 0 : source;
	/* ELOOP: a link that anybody could have made, as in /tmp. It must not keep everybody out. */
	if ((source == -ENOENT || source == -ELOOP) && (step->flags & NSB_STEP_OPTIONAL))
		return 0;
	if (source < 0)
		return nsb_error_set(&box->error, source, "%s", error.words);
	return bind_open(box, step, source);
}

int mounts_open_link_target(nsb_box *box, const nsb_step *step, char *path)
{
	nsb_error ignored = { 0 };
	NSB_CLOSE int source = nsb_path_open(box->host_root, step->src, 0, NULL, NULL, &ignored);
	int r;

	if (source < 0)
		return -ENOENT; /* a host without it, or with a link to nowhere */
	r = nsb_path_of(source, path);
	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot tell where %s leads to: %s", step->src, strerror(-r));
	return nsb_path_below(path, step->dst) ? nsb_steal_fd(&source) : -ENOENT;
}

int mounts_bind_link_target(nsb_box *box, const nsb_step *step)
{
	char path[PATH_MAX];
	NSB_CLOSE int source = mounts_open_link_target(box, step, path);
	nsb_step bind = *step;

	if (source < 0)
		return source == -ENOENT ? 0 : source;
	bind.flags &= ~(unsigned)NSB_STEP_NO_SYMLINKS;
	/* the list of made mounts keeps a pointer to the name, which must outlive this function */
	bind.dst = strdup(path);
	return bind.dst == NULL ? -ENOMEM : bind_open(box, &bind, source);
}

int mounts_mask(nsb_box *box, const nsb_step *step)
{
	nsb_error error = { 0 };
	NSB_CLOSE int target = idmap_path(box, step->dst, 0, NULL, NULL, &error);
	NSB_CLOSE int mount = -1;
	NSB_CLOSE int null = -1;
	nsb_step empty = { .src = (char *)"/dev/null",
			   .flags = NSB_STEP_READ_ONLY | NSB_STEP_NOSUID | NSB_STEP_NOEXEC };
	struct stat st;

	if (target == -ENOENT && (step->flags & NSB_STEP_OPTIONAL))
		return 0;
	if (target < 0)
		return nsb_error_set(&box->error, target, "%s", error.words);
	if (fstat(target, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		mount = mounts_make(box, "tmpfs", "mode=0555,size=4k,nr_inodes=1",
				    NSB_STEP_READ_ONLY | NSB_STEP_NOSUID | NSB_STEP_NODEV | NSB_STEP_NOEXEC);
	} else {
		/* the node made on this box's own /dev, never one of the root's tree (CVE-2025-31133) */
		null = idmap_path(box, "/dev/null", NSB_PATH_NO_SYMLINKS, NULL, NULL, &box->error);
		if (null < 0)
			return null;
		if (fstat(null, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3) ||
		    !mounts_is_ours(box, null))
			return nsb_error_set(&box->error, EPERM, "/dev/null of the box is not the one made for it");
		mount = mounts_clone(box, &empty, null);
	}
	if (mount < 0)
		return mount;
	return mounts_attach(box, step->dst, mount, target, false);
}
