/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "ctl/mkroot.h"

/* What the default view (common/default-view.c) and the keys of the view mount things on. In the order of making. */
static const struct {
	const char *parent, *name;
	mode_t mode; /* 0: an empty file */
	bool fixed;  /* no symbolic link may stand there: the helper refuses such a root */
} points[] = {
	{ "/", "dev", 0755, true },	 { "/", "proc", 0755, true },	      { "/", "sys", 0755, true },
	{ "/", "run", 0755, true },	 { "/", "tmp", 01777, true },	      { "/", "etc", 0755, false },
	{ "/", "home", 0755, false },	 { "/", "root", 0700, false },	      { "/", "var", 0755, false },
	{ "/var", "tmp", 01777, false }, { "/var", "log", 0755, false },      { "/etc", "hostname", 0, false },
	{ "/etc", "hosts", 0, false },	 { "/etc", "resolv.conf", 0, false },
};

static int make(int parent, const char *name, mode_t mode)
{
	NSB_CLOSE int fd = -1;

	if (mode != 0 && mkdirat(parent, name, 0700) < 0)
		return -errno;
	/* in the way of neither umask nor links */
	fd = openat(parent, name,
		    mode != 0 ? O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
			      : O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0 || fchmod(fd, mode != 0 ? mode : 0644) < 0)
		return -errno;
	return 0;
}

static int make_point(const mkroot_place *place, size_t i, nsb_error *error)
{
	NSB_CLOSE int parent = -1;
	nsb_error why = { 0 };
	struct stat st;
	int r;

	parent = nsb_path_open(place->tree, points[i].parent, NSB_PATH_DIRECTORY, NULL, NULL, &why);
	if (parent < 0)
		return nsb_error_set(error, parent, "in the new tree: %s", why.words);
	if (fstatat(parent, points[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		/* a link or a special file that is not in the way of anything is the archive's own business */
		if (points[i].fixed && !S_ISDIR(st.st_mode))
			return nsb_error_set(error, ENOTDIR,
					     "in the new tree /%s is not a directory: a box cannot have "
					     "such a root",
					     points[i].name);
		return 0;
	}
	r = errno == ENOENT ? make(parent, points[i].name, points[i].mode) : -errno;
	if (r < 0)
		return nsb_error_set(error, r, "cannot make %s of %s in the new tree: %s", points[i].name,
				     points[i].parent, strerror(-r));
	return 0;
}

int mkroot_points(const mkroot_place *place, nsb_error *error)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]) && r == 0; i++)
		r = make_point(place, i, error);
	return r;
}

int mkroot_looks_like_root(const mkroot_place *place, nsb_error *error)
{
	static const char *const signs[] = { "bin", "usr", "etc" };

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (faccessat(place->tree, signs[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 0;
	return nsb_error_set(
		error, ENODATA,
		"the new tree holds no root: none of /bin, /usr and /etc is at its top (of a container it is "
		"\"docker export\" or \"podman export\" that writes one, not \"save\")");
}
