/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "helper/mounts.h"
#include "helper/mount-types.h"
#include "helper/new-mount-api.h"
#include "helper/userns-make.h"

bool idmap_wanted(const nsb_box *box)
{
	return box->plan.user_namespace == NSB_USER_NAMESPACE_KEEP_ID;
}

uid_t idmap_uid(const nsb_box *box, uid_t uid)
{
	return box->subid_base != 0 ? nsb_idmap_uid(&box->kept, box->subid_base, uid) : uid;
}

gid_t idmap_gid(const nsb_box *box, gid_t gid)
{
	return box->subid_base != 0 ? nsb_idmap_gid(&box->kept, box->subid_base, gid) : gid;
}

int idmap_path(const nsb_box *box, const char *path, unsigned flags, int *ret_missing, char *rest, nsb_error *error)
{
	/* in a box that lives what root of the box owns may be anybody's trap */
	return nsb_path_open_other(box->root, box->lived_in ? 0 : box->subid_base, path, flags, ret_missing, rest,
				   error);
}

/* ---- new file systems ---- */

/* One word of the options, and which of the two it was. */
static int put_option(FILE *out, const nsb_box *box, const char *word, bool *has_uid, bool *has_gid)
{
	const char *uid = nsb_after_prefix(word, "uid="), *gid = nsb_after_prefix(word, "gid=");

	*has_uid |= uid != NULL;
	*has_gid |= gid != NULL;
	if (uid != NULL)
		return fprintf(out, ",uid=%u", idmap_uid(box, (uid_t)strtoul(uid, NULL, 10)));
	if (gid != NULL)
		return fprintf(out, ",gid=%u", idmap_gid(box, (gid_t)strtoul(gid, NULL, 10)));
	return fprintf(out, ",%s", word);
}

char *idmap_options(const nsb_box *box, const char *type, const char *options)
{
	NSB_FREE char *copy = strdup(options != NULL ? options : "");
	bool owned = box->subid_base != 0 && (strcmp(type, "tmpfs") == 0 || strcmp(type, "devpts") == 0);
	bool has_uid = false, has_gid = false;
	char *text = NULL, *save = NULL;
	size_t size;
	FILE *out;

	if (copy == NULL || !owned)
		return nsb_steal_pointer(&copy);
	out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	for (char *word = strtok_r(copy, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save))
		put_option(out, box, word, &has_uid, &has_gid);
	/* in a devpts that would be the owner of every new terminal, which whoever opens one could then not open by its name */
	if (!has_uid && strcmp(type, "devpts") != 0)
		fprintf(out, ",uid=%u", idmap_uid(box, 0));
	if (!has_gid)
		fprintf(out, ",gid=%u", idmap_gid(box, 0));
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- mounts of what is there ---- */

int idmap_mount(const nsb_box *box, int mount)
{
	return userns_map_mount(mount, box->userns, 0);
}

void idmap_mount_hole(const nsb_box *box, int mount, unsigned recursive)
{
	/* all mounts of a tree or none: then at least the one on top */
	if (box->hole >= 0 && userns_map_mount(mount, box->hole, recursive) < 0 && recursive != 0)
		(void)userns_map_mount(mount, box->hole, 0);
}

/* A line of mountinfo, proc_pid_mountinfo(5). False for one that is not understood, or whose name has blanks. */
static bool read_line(const char *line, unsigned long long *ret_id, char point[PATH_MAX], char type[64])
{
	const char *behind = strstr(line, " - ");

	return behind != NULL && sscanf(line, "%llu %*d %*s %*s %4095s", ret_id, point) == 2 &&
	       sscanf(behind, " - %63s", type) == 1 && strchr(point, '\\') == NULL;
}

/* Whether the file system of a mount is also in sight outside of `source`. What is made for the box itself does not count. */
static bool is_elsewhere(const char *device, const char *source)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	NSB_FREE char *line = NULL;
	bool found = mountinfo == NULL;
	size_t room = 0;

	while (!found && getline(&line, &room, mountinfo) > 0) {
		char other[32], point[PATH_MAX];

		found = sscanf(line, "%*u %*d %31s %*s %4095s", other, point) == 2 && strcmp(other, device) == 0 &&
			!nsb_path_below(point, source) && !nsb_path_below(point, NSB_RUNDIR);
	}
	if (mountinfo != NULL)
		fclose(mountinfo);
	return found;
}

/* Root of the box would write to it as root of the disk. Where the host, or somebody in it, may see what is written, root of
 * the box gets no more power over it than over what is bound. */
static int map_owners(const nsb_box *box, int mount, const char *line, const char *source, uint64_t attributes)
{
	bool read_only = attributes & MOUNT_ATTR_RDONLY;
	struct statvfs fs;
	char device[32];

	if (!read_only && fstatvfs(mount, &fs) == 0)
		read_only = fs.f_flag & ST_RDONLY;
	if (!read_only && (sscanf(line, "%*u %*d %31s", device) != 1 || is_elsewhere(device, source)))
		return userns_map_mount(mount, box->hole, 0);
	return idmap_mount(box, mount);
}

/* The type of the file system that `fd` is on. */
static void find_type(int fd, char type[64])
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	unsigned long long wanted = nsb_mount_id(fd), id;
	NSB_FREE char *line = NULL;
	char point[PATH_MAX];
	size_t room = 0;
	struct statfs fs;
	bool found = false;

	while (mountinfo != NULL && !found && getline(&line, &room, mountinfo) > 0)
		found = read_line(line, &id, point, type) && id == wanted;
	if (mountinfo != NULL)
		fclose(mountinfo);
	if (found)
		return;
	/* an image that is mounted nowhere */
	if (fstatfs(fd, &fs) == 0 && fs.f_type == SQUASHFS_MAGIC)
		strcpy(type, "squashfs"); /* NOLINT: 64 bytes */
	else
		strcpy(type, "its file system"); /* NOLINT: as above */
}

int idmap_cannot(int fd, const char *name, nsb_error *error)
{
	struct utsname kernel;
	char type[64];

	find_type(fd, type);
	if (uname(&kernel) < 0)
		kernel.release[0] = '\0';
	return nsb_error_set(
		error, EOPNOTSUPP,
		"user_namespace = keep-id: %s is on %s, whose owners Linux %s cannot show as those of a box "
		"(idmapped mounts: overlayfs never, squashfs since 6.2, tmpfs since 6.3): put it on ext4, xfs or "
		"btrfs",
		name, type, kernel.release);
}

static void tell_left_out(const nsb_box *box, const char *point, const char *type, const char *why)
{
	nsb_log(LOG_NOTICE, "nsbox %s: %s (%s) is left out of the box: %s", box->session.id, point, type, why);
}

/* A mount of the host, by its line of mountinfo. */
typedef struct found_mount {
	const char *line, *point, *type;
	unsigned long long id;
} found_mount;

/* One of `source`, below the root of the box. 0 also where it is left out. */
static int add_mount(nsb_box *box, const found_mount *found, const char *source_tree, const char *dst,
		     uint64_t attributes)
{
	const char *point = found->point, *type = found->type;
	struct mount_attr attr = { .attr_set = attributes, .propagation = MS_PRIVATE };
	NSB_CLOSE int source = nsb_path_open(box->host_root, point, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	NSB_CLOSE int mount = -1;
	NSB_CLOSE int target = -1;

	/* another mount lies upon it */
	if (source < 0 || nsb_mount_id(source) != found->id)
		return 0;
	mount = sys_open_tree(source, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (mount < 0)
		return nsb_error_set(&box->error, errno, "cannot clone %s: %s", point, strerror(errno));
	if (map_owners(box, mount, found->line, source_tree, attributes) < 0) {
		tell_left_out(box, point, type, "this kernel cannot map its owners");
		return 0;
	}
	if (sys_mount_setattr(mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return nsb_error_set(&box->error, errno, "cannot set the flags of the clone of %s: %s", point,
				     strerror(errno));
	target = idmap_path(box, dst, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	if (target < 0) {
		tell_left_out(box, point, type, "what it lies on was left out");
		return 0;
	}
	if (sys_move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return nsb_error_set(&box->error, errno, "cannot mount %s: %s", dst, strerror(errno));
	return 0;
}

int idmap_mounts_below(nsb_box *box, const char *source, const char *dst, uint64_t attributes)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	NSB_FREE char *line = NULL;
	size_t room = 0;
	int r = 0;

	if (mountinfo == NULL)
		return nsb_error_set(&box->error, errno, "cannot read /proc/self/mountinfo: %s", strerror(errno));
	while (r == 0 && getline(&line, &room, mountinfo) > 0) {
		char point[PATH_MAX], type[64];
		NSB_FREE char *place = NULL;
		unsigned long long id;

		if (!read_line(line, &id, point, type) || !nsb_path_below(point, source) ||
		    strcmp(point, source) == 0 || nsb_path_below(point, NSB_RUNDIR) || mount_type_is_kernel(type))
			continue;
		place = nsb_format("%s%s", strcmp(dst, "/") == 0 ? "" : dst, point + strlen(source));
		r = place == NULL ? -ENOMEM
				  : add_mount(box, &(found_mount){ line, point, type, id }, source, place, attributes);
	}
	fclose(mountinfo);
	return r;
}
