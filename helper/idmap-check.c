/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be known of a box with ids of its own before anything is made: asked in the account hook. Nothing is attached,
 * and nothing that is made here outlives the descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config-checks.h"
#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "helper/idmap.h"
#include "helper/image.h"
#include "helper/mount-types.h"
#include "helper/new-mount-api.h"
#include "helper/share.h"
#include "helper/tree.h"

/* Whether the kernel maps what `fd` is on, by trying. */
static int try_map(nsb_box *box, int fd, const char *name)
{
	NSB_CLOSE int mount = sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (mount < 0)
		return nsb_error_set(&box->error, errno, "cannot clone %s: %s", name, strerror(errno));
	return idmap_mount(box, mount) < 0 ? idmap_cannot(fd, name, &box->error) : 0;
}

/* The image is mounted once more: a map is for good. */
static int try_image(nsb_box *box, const char *path)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int file = nsb_path_open(host, path, NSB_PATH_TRUSTED, NULL, NULL, &box->error);
	NSB_CLOSE int mount = file < 0 ? file : image_mount(file, path, &box->error);

	if (mount < 0)
		return mount;
	return idmap_mount(box, mount) < 0 ? idmap_cannot(mount, path, &box->error) : 0;
}

/* Where what is written is kept, or, if that is not made yet, where it will be. */
static int try_upper(nsb_box *box, int host, const char *path)
{
	char above[PATH_MAX];
	NSB_CLOSE int fd = nsb_path_open(host, path, 0, NULL, NULL, NULL);

	snprintf(above, sizeof(above), "%s", path);
	if (fd < 0 && strrchr(above, '/') != NULL) {
		*strrchr(above, '/') = '\0';
		fd = nsb_path_open(host, above[0] == '\0' ? "/" : above, 0, NULL, NULL, &box->error);
	}
	return fd < 0 ? fd : try_map(box, fd, path);
}

static int try_step(nsb_box *box, int host, const nsb_step *step)
{
	NSB_CLOSE int fd = -1;
	struct stat st;

	if (step->op == NSB_OP_UPPER)
		return try_upper(box, host, step->dst);
	if (!(step->flags & NSB_STEP_IDMAP) || step->src == NULL)
		return 0;
	if ((step->op == NSB_OP_ROOT || step->op == NSB_OP_LAYER) && box->tree_is_image)
		return try_image(box, step->src);
	/* a link is made as a link */
	if (step->op == NSB_OP_ALIAS &&
	    (fstatat(AT_FDCWD, step->src, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(st.st_mode)))
		return 0;
	fd = nsb_path_open(host, step->src, 0, NULL, NULL, NULL);
	if (fd < 0)
		return 0; /* optional, or judged elsewhere */
	return try_map(box, fd, step->src);
}

/* Whether somebody else than root can come by there: an access list of others shows as the group's bit, acl(5). */
static bool is_closed(const struct stat *st)
{
	return st->st_uid == 0 && (st->st_mode & 011) == 0;
}

/*
 * Root of the box writes to the tree as root of the disk, set-user-ID programs included. Nobody outside may come to where
 * they are: a directory above the tree must be closed to all but root.
 */
static int check_closed(nsb_box *box, int host, const char *path)
{
	char above[PATH_MAX];

	snprintf(above, sizeof(above), "%s", path);
	for (char *slash = strrchr(above, '/'); slash != NULL && slash > above; slash = strrchr(above, '/')) {
		NSB_CLOSE int fd = -1;
		struct stat st;

		*slash = '\0';
		fd = nsb_path_open(host, above, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL, NULL, NULL);
		if (fd >= 0 && fstat(fd, &st) == 0 && is_closed(&st))
			return 0;
	}
	return nsb_error_set(
		&box->error, EPERM,
		"user_namespace = keep-id: root of the box could write set-user-ID programs of the host's root to "
		"%s, where other users find them: write root_readonly = yes or overlay = ephemeral, or close the "
		"directory above it (chown root, chmod 700)",
		path);
}

/* A line of mountinfo, proc_pid_mountinfo(5). */
typedef struct mounted {
	unsigned long long id;
	char device[32], root[PATH_MAX], point[PATH_MAX];
} mounted;

static bool next_mount(FILE *mountinfo, char **line, size_t *room, mounted *ret)
{
	while (getline(line, room, mountinfo) > 0)
		if (sscanf(*line, "%llu %*u %31s %4095s %4095s", &ret->id, ret->device, ret->root, ret->point) == 4) {
			mount_decode(ret->root);
			mount_decode(ret->point);
			return true;
		}
	return false;
}

/* `path` without what it has in common with `top`, which it is below. */
static const char *rest_of(const char *path, const char *top)
{
	return path + (strcmp(top, "/") == 0 ? 0 : strlen(top));
}

static bool is_tree(const nsb_box *box, int host, const char *path)
{
	NSB_CLOSE int fd = nsb_path_open(host, path, 0, NULL, NULL, NULL);
	struct stat there, tree;

	return fd >= 0 && fstat(fd, &there) == 0 && fstat(box->tree, &tree) == 0 && there.st_dev == tree.st_dev &&
	       there.st_ino == tree.st_ino;
}

/* Where the tree, or a part of it, is in sight by this mount; NULL: nowhere. The caller frees. */
static char *other_name(const nsb_box *box, int host, const char *inside, const mounted *m)
{
	NSB_FREE char *whole = NULL;

	if (nsb_path_below(m->root, inside))
		return strdup(m->point);
	if (!nsb_path_below(inside, m->root))
		return NULL;
	whole = nsb_format("%s%s", strcmp(m->point, "/") == 0 ? "" : m->point, rest_of(inside, m->root));
	/* another mount may lie upon it */
	return whole != NULL && is_tree(box, host, whole) ? nsb_steal_pointer(&whole) : NULL;
}

/* What is mounted in several places (mount --bind) has several names, and each must be closed. `inside`: where the tree is
 * in its own file system. */
static int check_names(nsb_box *box, int host, FILE *mountinfo, const char *path, const char *device,
		       const char *inside)
{
	NSB_FREE mounted *m = malloc(sizeof(*m));
	NSB_FREE char *line = NULL;
	size_t room = 0;
	int r = m == NULL ? -ENOMEM : 0;

	rewind(mountinfo);
	while (r == 0 && next_mount(mountinfo, &line, &room, m)) {
		NSB_FREE char *other = strcmp(m->device, device) == 0 ? other_name(box, host, inside, m) : NULL;

		if (other != NULL && !nsb_path_below(other, path))
			r = check_closed(box, host, other);
	}
	return r;
}

static int check_other_names(nsb_box *box, int host, const char *path)
{
	unsigned long long id = nsb_mount_id(box->tree);
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	NSB_FREE mounted *own = malloc(sizeof(*own));
	NSB_FREE char *line = NULL;
	NSB_FREE char *inside = NULL;
	size_t room = 0;
	int r = mountinfo == NULL ? -errno : own == NULL ? -ENOMEM : -ENOENT;

	while (r == -ENOENT && next_mount(mountinfo, &line, &room, own))
		if (own->id == id && nsb_path_below(path, own->point))
			r = 0;
	if (r == 0) {
		inside = nsb_format("%s%s", strcmp(own->root, "/") == 0 ? "" : own->root, rest_of(path, own->point));
		r = inside == NULL
			    ? -ENOMEM
			    : check_names(box, host, mountinfo, path, own->device, inside[0] == '\0' ? "/" : inside);
	} else {
		r = nsb_error_set(&box->error, r, "cannot find out where else %s is mounted: %s", path, strerror(-r));
	}
	if (mountinfo != NULL)
		fclose(mountinfo);
	return r;
}

static int check_writers(nsb_box *box, int host)
{
	char path[PATH_MAX];
	int r;

	if (box->plan.root_kind != NSB_ROOT_TREE || box->plan.n_layers > 0 || box->tree_is_image ||
	    box->settings.root_readonly)
		return 0;
	/* where it is, not by which links it was named: what is above those says nothing */
	r = nsb_path_of(box->tree, path);
	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot find out where %s is: %s", box->plan.root, strerror(-r));
	r = check_closed(box, host, path);
	return r == 0 ? check_other_names(box, host, path) : r;
}

/* Any will do for trying; but one must be free, unless the login joins a box that has one. */
static int find_range(nsb_box *box)
{
	uint32_t last;
	int r = subids_check(box);

	if (r != -EUSERS || !box->plan.share || !share_joinable(box))
		return r;
	box->error = (nsb_error){ .stage = box->error.stage };
	box->forbidden = false;
	/* what is not known by name is any other */
	if (nsb_parse_subid_pool(box->plan.subid_pool, &box->subid_base, &last, &box->error) != 0)
		box->subid_base = INT32_MAX - NSB_SUBID_COUNT;
	return 0;
}

int idmap_check(nsb_box *box)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (!idmap_wanted(box))
		return 0;
	if (host < 0)
		return -errno;
	r = nsb_kept_ids_make(&box->session, &box->kept);
	if (r == 0)
		r = find_range(box);
	if (r == 0)
		r = userns_make(box, 0);
	for (size_t i = 0; r == 0 && i < box->plan.n_steps; i++)
		r = try_step(box, host, &box->plan.steps[i]);
	userns_close(box);
	box->subid_base = 0; /* chosen when it counts */
	return r == 0 ? check_writers(box, host) : r;
}
