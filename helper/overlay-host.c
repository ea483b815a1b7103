/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * root = host with overlay = ephemeral: the host's tree, of which nothing that the box writes reaches the host.
 *
 * An overlay shows no other file system that is mounted in its tree. So each one of the host's comes under an overlay
 * of its own, at its place in the tree that grows. What they take lies in one tmpfs: for each a directory with upper
 * and work, and a link that says where it is mounted. What cannot be under an overlay (a file that is a mount point, a
 * file system that the kernel does not take as a layer) is there read-only; and so is each that is not known to ask for modes
 * and ACLs alone, because an overlay asks its layers as root: others look at who asks (FUSE, CIFS, NFS with Kerberos), and those
 * that another machine or a program answers for could let every login wait.
 *
 * Left out is what users have mounted (FUSE), what the default view makes anew (/proc, /sys, /dev, /run), what
 * another mount covers, and what is neither a file nor a directory. Sources: the kernel's filesystems/overlayfs.rst,
 * proc_pid_mountinfo(5), acl(5).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/sys-statx.h"
#include "helper/mount-types.h"
#include "helper/mounts.h"
#include "helper/new-mount-api.h"
#include "helper/root.h"
#include "helper/steps.h"

/* A mount of the host that is to be in the tree. */
typedef struct mounted {
	unsigned long long id;
	char root[PATH_MAX], point[PATH_MAX], type[64];
} mounted;

/* Disks and memory. */
static bool is_local(const char *type)
{
	static const char *const types[] = { "ext2",	 "ext3", "ext4",  "xfs",     "btrfs",	"f2fs",
					     "bcachefs", "jfs",	 "tmpfs", "overlay", "zfs",	"squashfs",
					     "erofs",	 "vfat", "exfat", "ntfs3",   "iso9660", "udf" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* FUSE says who has mounted it: "... - fuse.sshfs SOURCE rw,user_id=1000,group_id=1000". */
static bool is_users(const char *type, const char *options)
{
	const char *user = strstr(options, "user_id=");

	return strncmp(type, "fuse", 4) == 0 && (user == NULL || strtoul(user + strlen("user_id="), NULL, 10) != 0);
}

/* A line of mountinfo. False for one that has no business in the tree, or is not understood. */
static bool parse(const char *line, mounted *ret)
{
	static const char *const made_anew[] = { "/proc", "/sys", "/dev", "/run" };
	const char *behind = strstr(line, " - ");

	if (behind == NULL || sscanf(line, "%llu %*d %*s %4095s %4095s", &ret->id, ret->root, ret->point) != 3 ||
	    sscanf(behind, " - %63s", ret->type) != 1 || is_users(ret->type, behind) ||
	    (mount_type_is_kernel(ret->type) && !mount_hides(ret->type, ret->root)))
		return false;
	mount_decode(ret->point);
	for (size_t i = 0; i < sizeof(made_anew) / sizeof(made_anew[0]); i++)
		if (nsb_path_below(ret->point, made_anew[i]))
			return false;
	return true;
}

/* The ACLs of the directory that it will stand for. */
static int copy_acls(int lower, int upper)
{
	static const char *const names[] = { "system.posix_acl_access", "system.posix_acl_default" };
	char path[64], value[4096]; /* of some 500 entries */

	snprintf(path, sizeof(path), "/proc/self/fd/%d", lower); /* which may be O_PATH */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ssize_t size = getxattr(path, names[i], value, sizeof(value));

		if (size < 0 && errno != ENODATA && errno != EOPNOTSUPP)
			return -errno;
		if (size > 0 && fsetxattr(upper, names[i], value, (size_t)size, 0) < 0)
			return -errno;
	}
	return 0;
}

/* "on" -> the place, upper (as the directory that it will stand for) and work. Opens the two. */
static int make_layers(nsb_box *box, const mounted *m, int lower, int *ret_upper, int *ret_work)
{
	NSB_CLOSE int dir = -1;
	NSB_CLOSE int upper = -1;
	NSB_CLOSE int work = -1;
	char name[24];
	struct stat st;

	snprintf(name, sizeof(name), "%llu", m->id);
	if (fstat(lower, &st) < 0 || mkdirat(box->memory, name, 0700) < 0)
		return -errno;
	dir = openat(box->memory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || symlinkat(m->point, dir, "on") < 0 || mkdirat(dir, "upper", 0700) < 0 ||
	    mkdirat(dir, "work", 0700) < 0)
		return -errno;
	upper = openat(dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	work = openat(dir, "work", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0 || work < 0 || fchown(upper, st.st_uid, st.st_gid) < 0 || fchmod(upper, st.st_mode & 07777) < 0)
		return -errno;
	*ret_upper = nsb_steal_fd(&upper);
	*ret_work = nsb_steal_fd(&work);
	return copy_acls(lower, *ret_upper);
}

/* 0, or negative errno: of the kernel, which does not take it as a layer. */
static int mount_overlay(nsb_box *box, const mounted *m, int lower, int place)
{
	NSB_CLOSE int upper = -1;
	NSB_CLOSE int work = -1;
	char options[ROOT_OVERLAY_OPTIONS_MAX], target[64];
	int r = make_layers(box, m, lower, &upper, &work);

	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot prepare the memory of the overlay: %s", strerror(-r));
	/* by number, as in root.c */
	snprintf(options, sizeof(options),
		 "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,"
		 "redirect_dir=nofollow,index=off,metacopy=off",
		 lower, upper, work);
	snprintf(target, sizeof(target), "/proc/self/fd/%d", place);
	return mount("overlay", target, "overlay", MS_NODEV | root_forbidden_by(lower), options) < 0 ? -errno : 0;
}

/* No overlay, no copy of the root. */
static int refused(nsb_box *box, int r)
{
	if (r == -ENODEV)
		return nsb_error_set(&box->error, r, "overlay = ephemeral: this kernel has no overlayfs");
	if (r == -EPERM || r == -EACCES)
		return nsb_error_set(&box->error, r,
				     "overlay = ephemeral: an overlay may not be mounted here (%s): a container needs "
				     "more rights for that (docker run --privileged)",
				     strerror(-r));
	return nsb_error_set(&box->error, r,
			     "overlay = ephemeral: the kernel takes no overlay on the file system of / (%s): it may "
			     "be an overlay upon an overlay already",
			     strerror(-r));
}

static int cover_root(nsb_box *box)
{
	NSB_CLOSE int lower = fcntl(box->host_root, F_DUPFD_CLOEXEC, 0);
	NSB_CLOSE int staging = root_open_staging(box);
	const mounted m = { .id = nsb_mount_id(box->host_root), .point = "/" };
	int r = lower < 0 ? -errno : staging;

	if (r >= 0)
		r = mount_overlay(box, &m, lower, staging);
	return r < 0 ? refused(box, r) : root_become(box, false);
}

/* What cannot be under an overlay. */
static int bind_read_only(nsb_box *box, const mounted *m, int source, int place)
{
	const nsb_step step = { .src = (char *)m->point, .flags = NSB_STEP_READ_ONLY | NSB_STEP_NODEV };
	NSB_CLOSE int tree = mounts_clone(box, &step, source);

	/* one that is unbindable, mount(8): then its mount point is there and empty */
	if (tree < 0) {
		box->error = (nsb_error){ .stage = box->error.stage };
		return 0;
	}
	if (sys_move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return nsb_error_set(&box->error, errno, "cannot mount %s: %s", m->point, strerror(errno));
	return 0;
}

/* What it is, without asking who answers for the file system: S_IFDIR; S_IFREG, also for the null device, by which a file is hidden;
 * 0 for all else. */
static mode_t type_of(int fd)
{
	struct statx st;
	mode_t type;

	if (sys_statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return 0;
	type = st.stx_mode & S_IFMT;
	if (type == S_IFCHR && st.stx_rdev_major == 1 && st.stx_rdev_minor == 3)
		return S_IFREG;
	return type == S_IFDIR || type == S_IFREG ? type : 0;
}

static int cover(nsb_box *box, const mounted *m)
{
	NSB_CLOSE int source = nsb_path_open(box->host_root, m->point, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	NSB_CLOSE int place = -1;
	mode_t type;
	int r = -ENOTDIR;

	/* not in sight on the host either: covered, or behind a directory that root may not enter (FUSE) */
	if (source < 0 || nsb_mount_id(source) != m->id)
		return 0;
	type = type_of(source);
	if (type == 0)
		return 0;
	place = nsb_path_open(box->root, m->point, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	if (place < 0)
		return 0; /* made since the overlay above it was */
	if (type == S_IFDIR && is_local(m->type))
		r = mount_overlay(box, m, source, place);
	if (r < 0 && box->error.words[0] == '\0')
		r = bind_read_only(box, m, source, place);
	return r;
}

static int cover_others(nsb_box *box)
{
	unsigned long long root = nsb_mount_id(box->host_root);
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	NSB_FREE mounted *m = malloc(sizeof(*m));
	NSB_FREE char *line = NULL;
	size_t room = 0;
	int r = mountinfo == NULL ? -errno : m == NULL ? -ENOMEM : 0;

	if (r < 0)
		nsb_error_set(&box->error, r, "cannot read /proc/self/mountinfo: %s", strerror(-r));
	while (r == 0 && getline(&line, &room, mountinfo) > 0)
		if (parse(line, m) && m->id != root && strcmp(m->point, "/") != 0)
			r = cover(box, m);
	if (mountinfo != NULL)
		fclose(mountinfo);
	return r;
}

int overlay_host(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int memory = mounts_make(box, "tmpfs", step->data, NSB_STEP_NOSUID | NSB_STEP_NODEV);
	int r = memory < 0 ? memory : root_stage(box, memory, "the memory of the overlay");

	if (r < 0)
		return r;
	box->memory = nsb_steal_fd(&memory);
	r = cover_root(box);
	return r == 0 ? cover_others(box) : r;
}

int overlay_host_written(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int place = mounts_open_target(box, step, false);
	NSB_CLOSE int tree = place < 0 ? -1 : mounts_clone(box, step, box->memory);

	if (place < 0 || tree < 0)
		return place < 0 ? place : tree;
	return mounts_attach(box, step->dst, tree, place, false);
}
