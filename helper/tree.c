/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/image.h"
#include "helper/new-mount-api.h"

/* A directory as it is; an image mounted. */
static int open_tree_or_image(int host, const char *path, bool *ret_image, nsb_error *error)
{
	NSB_CLOSE int fd = nsb_path_open(host, path, NSB_PATH_TRUSTED, NULL, NULL, error);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return nsb_steal_fd(&fd);
	if (!S_ISREG(st.st_mode))
		return nsb_error_set(error, ENOTDIR, "%s: neither a directory nor an image of squashfs or erofs", path);
	/* nsboxctl check, run by somebody else than root */
	if (geteuid() != 0)
		return image_check(fd, path, error) < 0 ? -error->err : -EOPNOTSUPP;
	*ret_image = true;
	return image_mount(fd, path, error);
}

int tree_open_layer(int host, const char *path, nsb_error *error)
{
	return nsb_path_open(host, path, NSB_PATH_TRUSTED | NSB_PATH_DIRECTORY, NULL, NULL, error);
}

/* The layers of an open overlayfs context, by number: an O_PATH descriptor is used by its link in /proc. In one string of at
 * most 255 bytes, fsconfig(2), where they fit; else one by one, which Linux 6.5 can (earlier ones take the word, too, and fail
 * afterwards). */
static int add_layers(int fs, const int *layers, size_t n, bool *ret_one_string)
{
	char all[256] = "", one[32];
	size_t used = 0;

	for (size_t i = 0; i < n && used < sizeof(all); i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s/proc/self/fd/%d", i > 0 ? ":" : "",
					 layers[i]);
	*ret_one_string = used < sizeof(all);
	if (*ret_one_string)
		return sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", all, 0) < 0 ? -errno : 0;
	for (size_t i = 0; i < n; i++) {
		snprintf(one, sizeof(one), "/proc/self/fd/%d", layers[i]);
		if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", one, 0) < 0)
			return -EOPNOTSUPP;
	}
	return 0;
}

/* The layers upon each other, read-only, detached. */
static int stack(const int *layers, size_t n, nsb_error *error)
{
	NSB_CLOSE int fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	bool one_string = false;
	int mount, r;

	if (fs < 0)
		return nsb_error_set(error, errno, "layers: this kernel has no overlayfs: %s", strerror(errno));
	r = add_layers(fs, layers, n, &one_string);
	if (r < 0)
		return r == -EOPNOTSUPP ? r : nsb_error_set(error, r, "the layers cannot be stacked: %s", strerror(-r));
	/* as the builder does it */
	if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "redirect_dir", "nofollow", 0) < 0 ||
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return errno == EINVAL && !one_string
			       ? -EOPNOTSUPP
			       : nsb_error_set(error, errno, "the layers cannot be stacked: %s", strerror(errno));
	mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
	return mount < 0 ? nsb_error_set(error, errno, "the layers cannot be stacked: %s", strerror(errno)) : mount;
}

static int open_layers(int host, const nsb_plan *plan, nsb_error *error)
{
	int layers[NSB_LAYERS_MAX];
	size_t n = 0;
	int r = 0;

	while (n < plan->n_layers && r >= 0) {
		r = tree_open_layer(host, plan->layers[n], error);
		if (r >= 0)
			layers[n++] = r;
	}
	if (r >= 0)
		r = n == 1	     ? fcntl(layers[0], F_DUPFD_CLOEXEC, 0)
		    : geteuid() != 0 ? -EOPNOTSUPP
				     : stack(layers, n, error);
	for (size_t i = 0; i < n; i++)
		close(layers[i]);
	return r;
}

int tree_open(const nsb_plan *plan, bool *ret_image, nsb_error *error)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	*ret_image = false;
	if (host < 0)
		return -errno;
	switch (plan->root_kind) {
	case NSB_ROOT_TREE:
		return open_tree_or_image(host, plan->root, ret_image, error);
	case NSB_ROOT_LAYERS:
		return open_layers(host, plan, error);
	default:
		return nsb_steal_fd(&host);
	}
}
