/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/renew.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "common/registry.h"
#include "common/string-util.h"
#include "helper/idmap.h"
#include "helper/inside.h"
#include "helper/monitor-watch.h"
#include "helper/mounts.h"
#include "helper/network.h"
#include "helper/renew-masks.h"
#include "helper/renew-resolver.h"

#define SOURCES_MAX 32
#define PATIENCE    5000 /* ms */

/* What one step would bind now. Cloned on the host, because in the box's mount namespace nothing of it can be. */
typedef struct source {
	const nsb_step *step;
	char *dst; /* in the box */
	int tree;  /* detached mount; -1: the step's source is in the box */
	dev_t dev;
	ino_t ino;
} source;

static source sources[SOURCES_MAX]; /* until the process ends, which closes them */
static size_t n_sources;

/* ---- told to the monitor ---- */

/* Where on the host the tree is in which the box's own files are bound to places; NULL where nobody outside can change it:
 * a curated root, an image, an overlay. */
static const char *tree_path(const nsb_box *box)
{
	if (box->plan.root_kind == NSB_ROOT_HOST)
		return box->plan.host_overlaid ? NULL : "";
	return box->plan.root_kind == NSB_ROOT_TREE && box->plan.n_layers == 0 && !box->tree_is_image ? box->plan.root
												      : NULL;
}

/* The paths that the steps with NSB_STEP_RENEW depend on: of the masks, or of all others. */
static size_t add_paths(const nsb_box *box, bool masks, char **arguments, size_t n, size_t max)
{
	for (size_t i = 0; i < box->plan.n_steps && n < max; i++) {
		const nsb_step *step = &box->plan.steps[i];
		bool mask = step->op == NSB_OP_MASK;
		const char *tree = mask || (step->flags & NSB_STEP_SOURCE_IN_BOX) ? tree_path(box) : "";

		if (!(step->flags & NSB_STEP_RENEW) || mask != masks || tree == NULL)
			continue;
		if (step->op == NSB_OP_RESOLVER) {
			n += renew_resolver_watched(step, arguments + n, max - n);
			continue;
		}
		arguments[n] = nsb_format("%s%s", tree, mask ? step->dst : nsb_plan_watched(step));
		n += arguments[n] != NULL;
	}
	return n;
}

static bool has_masks(const nsb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].op == NSB_OP_MASK && (plan->steps[i].flags & NSB_STEP_RENEW))
			return true;
	return false;
}

size_t renew_arguments(const nsb_box *box, char **arguments, size_t max)
{
	bool masks = has_masks(&box->plan);
	size_t n = add_paths(box, false, arguments, 0, max - 1);
	char path[32];
	int file;

	/* what is hidden is to stay hidden */
	if (!masks && box->settings.account_files != NSB_ACCOUNT_FILES_MINIMAL)
		return n;
	/* one that is gone for a while and made again tells of itself only to who looks: as many as there is room for */
	n = add_paths(box, true, arguments, n, max - 1);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)box->init_pid);
	file = open(path, O_RDONLY);
	if (file >= 0)
		arguments[n] = nsb_format(NSB_WATCH_MOUNTS ":%d%s", file, masks ? NSB_WATCH_ANY : "");
	return n + (file >= 0 && arguments[n] != NULL);
}

/* ---- what the profile has put there ---- */

/* Whether a line of the plan has this path as its target, or one `below` it. */
static bool is_target(const char *plan, const char *path, bool below)
{
	size_t length = strlen(path);

	for (const char *at = plan; (at = strstr(at, path)) != NULL; at += length) {
		const char *behind = at + length;

		if (below && *behind == '/')
			behind += strcspn(behind, " \n");
		if (at > plan && at[-1] == ' ' && (*behind == ' ' || *behind == '\n') && strncmp(behind, " ->", 3) != 0)
			return true;
	}
	return false;
}

/* Whether `plan`, the part of it that was done later, covers the path, a directory above it or what is in it: by these
 * names, for the proof refuses a box where another name has led to one of them. The top ones no profile replaces. */
static bool is_covered(const char *plan, const char *path)
{
	char place[PATH_MAX];

	snprintf(place, sizeof(place), "%s", path);
	while (strcmp(place, "/run") != 0 && strcmp(place, "/dev") != 0) {
		if (is_target(plan, place, strcmp(place, path) == 0))
			return true;
		*strrchr(place, '/') = '\0';
		if (place[0] == '\0')
			break;
	}
	return false;
}

/* The plan behind the line of this step: NULL if the box was made without it. */
static const char *plan_behind(const char *plan, const nsb_step *step)
{
	NSB_FREE char *line = nsb_plan_step_text(step);
	const char *at = line != NULL ? strstr(plan, line) : NULL;

	return at != NULL ? at + strlen(line) : NULL;
}

/* Not there (any more): then what the box has is left to it. Neither is what the profile covers to be uncovered. */
static int find_source(nsb_box *box, const nsb_step *step, const char *plan)
{
	char path[PATH_MAX];
	const char *later = plan_behind(plan, step);
	NSB_CLOSE int fd = -1;
	source found = { .step = step, .tree = -1 };
	struct stat st;

	snprintf(path, sizeof(path), "%s", step->dst);
	if (step->op == NSB_OP_BIND_LINK_TARGET)
		fd = mounts_open_link_target(box, step, path);
	else if (!(step->flags & NSB_STEP_SOURCE_IN_BOX))
		fd = nsb_path_open(box->host_root, step->src, 0, NULL, NULL, NULL);
	if (fd < 0 && !(step->flags & NSB_STEP_SOURCE_IN_BOX))
		return 0;
	if (later == NULL || is_covered(later, path))
		return 0;
	if (step->op == NSB_OP_BIND_LINK_TARGET && is_target(later, step->src, false))
		return 0;
	if (fd >= 0) {
		if (fstat(fd, &st) < 0)
			return -errno;
		found.dev = st.st_dev;
		found.ino = st.st_ino;
		found.tree = mounts_clone(box, step, fd);
		if (found.tree < 0)
			return found.tree;
	}
	found.dst = strdup(path);
	if (found.dst == NULL || n_sources == SOURCES_MAX)
		return -ENOMEM;
	sources[n_sources++] = found;
	return 0;
}

static int find_sources(nsb_box *box, const char *plan)
{
	int r = nsb_plan_renewal(&box->plan);

	box->host_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (box->host_root < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < box->plan.n_steps; i++)
		if (box->plan.steps[i].flags & NSB_STEP_RENEW)
			r = find_source(box, &box->plan.steps[i], plan);
	return r;
}

/* ---- in the box's tree ---- */

/* One whose source is in the box as well: now it can be looked at. -ENOENT if it is not there. */
static int find_inner_source(nsb_box *box, source *s)
{
	NSB_CLOSE int fd = idmap_path(box, s->step->src, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -ENOENT;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->tree = mounts_clone(box, s->step, fd);
	return s->tree < 0 ? s->tree : 0;
}

/* Whether something is mounted there, and not on a directory above it; then that directory is the working directory. */
static bool is_mount_point(nsb_box *box, const nsb_step *at, int target)
{
	NSB_FREE char *above = strdup(at->dst);
	char *slash = above != NULL ? strrchr(above, '/') : NULL;
	NSB_CLOSE int parent = -1;

	if (slash == NULL || slash == above)
		return false;
	*slash = '\0';
	parent = idmap_path(box, above, NSB_PATH_DIRECTORY, NULL, NULL, NULL);
	/* what is in the box may be exchanged under us: the directory is where we stand, and only a name is left */
	return parent >= 0 && nsb_mount_id(parent) != nsb_mount_id(target) && fchdir(parent) == 0;
}

/* The target without the mount that is not right any more. */
static int open_bare(nsb_box *box, const nsb_step *at, bool as_file, const source *s)
{
	NSB_CLOSE int target = mounts_open_target(box, at, as_file);
	struct stat st;

	if (target < 0)
		return target;
	if (fstat(target, &st) < 0)
		return -errno;
	if (st.st_dev == s->dev && st.st_ino == s->ino)
		return -EEXIST;
	if (!is_mount_point(box, at, target))
		return nsb_steal_fd(&target);
	if (umount2(strrchr(at->dst, '/') + 1, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return nsb_error_set(&box->error, errno, "cannot detach the old %s: %s", at->dst, strerror(errno));
	return mounts_open_target(box, at, as_file);
}

static int renew(nsb_box *box, source *s)
{
	/* none of the directories above is a user's */
	nsb_step at = { .op = s->step->op, .src = s->step->src, .dst = s->dst, .flags = s->step->flags };
	NSB_CLOSE int target = -1;
	struct stat new, old;
	int r = s->tree < 0 ? find_inner_source(box, s) : 0;

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (fstat(s->tree, &new) < 0)
		return -errno;
	target = open_bare(box, &at, !S_ISDIR(new.st_mode), s);
	if (target == -EEXIST || target == -ENOENT)
		return 0; /* as it should be; or no place for it in this root */
	if (target < 0)
		return target;
	if (fstat(target, &old) < 0 || S_ISDIR(old.st_mode) != S_ISDIR(new.st_mode))
		return 0; /* a file was a directory before: there is no place for it */
	return mounts_attach(box, s->dst, s->tree, target, false);
}

static int renew_all(nsb_box *box)
{
	int r = renew_resolver(box);

	for (size_t i = 0; i < n_sources; i++) {
		int one = renew(box, &sources[i]);

		if (one < 0 && r == 0)
			r = nsb_error_set(&box->error, one, "%s: %s", sources[i].dst, strerror(-one));
	}
	return r == 0 ? renew_masks(box) : r;
}

/* One at a time: two would both find a place bare. Until the process ends. By a file of its own: the directory's lock is for
 * freezing, which is not to wait for us. */
static int lock_renewal(int boxes, const char *id)
{
	char path[NSB_ID_LENGTH + sizeof("/plan")];
	int fd;

	snprintf(path, sizeof(path), "%s/plan", id);
	fd = openat(boxes, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || flock(fd, LOCK_EX) < 0 ? -errno : 0;
}

int renew_box(const char *id)
{
	static nsb_box box = { .socket = -1,
			       .monitor = -1,
			       .init = -1,
			       .root = -1,
			       .host_root = -1,
			       .userns = -1,
			       .hole = -1,
			       .owned = { -1, -1, -1 } };
	NSB_CLOSE int boxes = nsb_registry_open(false, NULL);
	NSB_FREE char *plan = NULL;
	int r = boxes < 0 ? boxes : lock_renewal(boxes, id);

	if (r == 0)
		r = nsb_registry_read(boxes, id, &box.entry);
	if (r == 0 && strcmp(box.entry.state, NSB_STATE_READY) != 0)
		return 0;
	if (r == 0)
		r = box.init = nsb_process_open(&box.entry.init);
	if (r >= 0)
		r = nsb_registry_read_plan(boxes, id, &plan) < 0 ? -ENOENT : 0;
	if (r == -ENOENT || r == -ESRCH)
		return 0; /* it ends */
	if (r >= 0 && network_renew(boxes, id, &box.error) < 0)
		nsb_log(LOG_WARNING, "box %s: its rules cannot be put in again: %s", id, box.error.words);
	box.error = (nsb_error){ 0 };
	box.init_pid = box.entry.init.pid;
	box.subid_base = box.entry.subids;
	box.kept.uid = box.entry.uid;
	if (r >= 0)
		r = find_sources(&box, plan);
	if (r >= 0)
		r = renew_resolver_find(&box, plan);
	if (r >= 0)
		r = renew_masks_find(plan);
	if (r >= 0)
		r = inside_run(&box, renew_all, PATIENCE);
	if (r < 0)
		nsb_log(LOG_WARNING, "box %s: what the host has replaced cannot be bound again: %s", id,
			box.error.words[0] != '\0' ? box.error.words : strerror(-r));
	return r < 0;
}
