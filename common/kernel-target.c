/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/kernel-target.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/default-view.h"
#include "common/path-util.h"
#include "common/string-util.h"

/* Links to the process that looks: what is mounted there would be on one process. */
static const char *const of_process[] = { "self", "thread-self", "net", "mounts" };

static bool is_of_process(const char *name, size_t length)
{
	if (length > 0 && strspn(name, "0123456789") >= length)
		return true;
	for (size_t i = 0; i < sizeof(of_process) / sizeof(of_process[0]); i++)
		if (strlen(of_process[i]) == length && strncmp(of_process[i], name, length) == 0)
			return true;
	return false;
}

int nsb_check_proc_target(const char *path, nsb_cover with, nsb_error *error)
{
	const char *name = nsb_after_prefix(path, "/proc/");

	if (name == NULL)
		return 0;
	if (is_of_process(name, strcspn(name, "/")))
		return nsb_error_set(error, EINVAL,
				     "%.256s belongs to a process: only files of /proc that tell of the machine can be "
				     "targets",
				     path);
	if (with == NSB_COVER_TMPFS)
		return nsb_error_set(error, EINVAL, "%.256s is below /proc, where no directory can be made empty",
				     path);
	for (size_t i = 0; with == NSB_COVER_BIND && i < nsb_n_view_proc_closed; i++)
		if (nsb_path_below(path, nsb_view_proc_closed[i].dst))
			return nsb_error_set(error, EINVAL, "%.256s is closed in every box: %s cannot be opened again",
					     path, nsb_view_proc_closed[i].dst);
	return 0;
}

bool nsb_dev_is_glob(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

bool nsb_dev_is_own(const char *path)
{
	for (size_t i = 0; i < nsb_n_view_before_proc; i++) {
		const char *own = nsb_view_before_proc[i].dst;

		if (own != NULL && nsb_after_prefix(own, "/dev/") != NULL && nsb_path_below(path, own))
			return true;
	}
	return false;
}

int nsb_check_dev(const char *word, nsb_error *error)
{
	char path[PATH_MAX];

	if (strpbrk(word, "%:\\") != NULL)
		return nsb_error_set(error, EINVAL, "\"%.128s\" has one of %% : \\ in it, as no device's name may",
				     word);
	if (nsb_path_normalize(word, path, sizeof(path)) < 0 || strcmp(path, word) != 0 ||
	    nsb_after_prefix(path, "/dev/") == NULL)
		return nsb_error_set(error, EINVAL,
				     "\"%.128s\" is not the plain path of a device, like /dev/fuse or /dev/nvidia*",
				     word);
	if (nsb_dev_is_own(path))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is made by the box itself and cannot be added", word);
	return 0;
}
