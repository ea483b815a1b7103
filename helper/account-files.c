/* SPDX-License-Identifier: BSD-3-Clause */
/* Account files made for a box out of those of its root. What they say is decided in common/account-text.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/account-text.h"
#include "common/fd-util.h"
#include "common/path-util.h"
#include "helper/mounts.h"
#include "helper/steps.h"

#define TEXT_MAX (32 * 1024 * 1024) /* bytes of an account file: 100000 accounts have a tenth of that */

static bool reads(const nsb_step *step)
{
	return step->op == NSB_OP_LINES || step->op == NSB_OP_NAMES;
}

/* The file that the step reads, O_PATH; -ENOENT; -EINVAL if it is something else than a file, whose reading could block
 * or act. */
static int open_source(int root, uid_t other, const nsb_step *step, nsb_error *error)
{
	nsb_error why = { 0 };
	NSB_CLOSE int fd = nsb_path_open_other(root, other, step->src, 0, NULL, NULL, &why);
	struct stat st;

	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return nsb_error_set(error, fd, "%s", why.words);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return nsb_error_set(error, EINVAL, "%s in the root is not a regular file: replace it by one",
				     step->src);
	return nsb_steal_fd(&fd);
}

int account_files_check(nsb_box *box)
{
	for (size_t i = 0; box->tree >= 0 && i < box->plan.n_steps; i++) {
		NSB_CLOSE int fd = -1;

		if (!reads(&box->plan.steps[i]))
			continue;
		fd = open_source(box->tree, 0, &box->plan.steps[i], &box->error);
		if (fd < 0 && fd != -ENOENT)
			return fd;
	}
	return 0;
}

/* The text of the file in *ret (the caller frees) and what it is; -ENOENT. */
static int read_source(nsb_box *box, const nsb_step *step, char **ret, struct stat *st)
{
	NSB_CLOSE int path = open_source(box->root, box->subid_base, step, &box->error);
	NSB_CLOSE int fd = -1;
	NSB_FREE char *text = NULL;
	char proc[64];
	ssize_t n;

	if (path < 0)
		return path;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, st) < 0)
		return nsb_error_set(&box->error, errno, "cannot open %s of the root: %s", step->src, strerror(errno));
	if (st->st_size >= TEXT_MAX)
		return nsb_error_set(&box->error, EFBIG, "%s of the root is larger than %d bytes", step->src, TEXT_MAX);
	text = malloc((size_t)st->st_size + 1);
	if (text == NULL)
		return -ENOMEM;
	n = nsb_read_text(fd, text, (size_t)st->st_size + 1);
	if (n < 0)
		return nsb_error_set(&box->error, (int)n, "cannot read %s of the root: %s", step->src,
				     strerror((int)-n));
	*ret = nsb_steal_pointer(&text);
	return 0;
}

static int make(nsb_box *box, const nsb_step *step, char *(*change)(const char *text, const char *data))
{
	NSB_FREE char *text = NULL;
	NSB_FREE char *made = NULL;
	NSB_CLOSE int fd = -1;
	struct stat st;
	int r = read_source(box, step, &text, &st);

	if (r == -ENOENT && (step->flags & NSB_STEP_OPTIONAL))
		return 0; /* the bind of the file, which is optional, is passed over as well */
	if (r < 0)
		return r;
	made = change(text, step->data);
	/* it has, or had, passwords in it */
	explicit_bzero(text, strlen(text));
	if (made == NULL)
		return -ENOMEM;
	r = files_create(box, step, st.st_mode & 0777, st.st_uid, st.st_gid, &fd);
	if (r == 0)
		r = nsb_write_all(fd, made, strlen(made));
	return r < 0 ? nsb_error_set(&box->error, r, "cannot write %s: %s", step->dst, strerror(-r)) : 0;
}

int account_files_lines(nsb_box *box, const nsb_step *step)
{
	return make(box, step, nsb_account_lines);
}

int account_files_names(nsb_box *box, const nsb_step *step)
{
	return make(box, step, nsb_account_switch);
}
