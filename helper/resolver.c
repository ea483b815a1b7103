/* SPDX-License-Identifier: BSD-3-Clause */
/* Key dns: the step that makes the file. Another one binds it to its place. */
#include "helper/resolver.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "common/resolv-text.h"
#include "helper/idmap.h"
#include "helper/steps.h"

#define HOST_FILE "/etc/resolv.conf"

/* The place of the root for it: 0, -ENOENT, -EISDIR, others. Where the name is a link, that itself is it. */
static int find_place(const nsb_box *box, int root)
{
	NSB_CLOSE int fd = nsb_path_open_other(root, box->subid_base, HOST_FILE, NSB_PATH_END_LINK, NULL, NULL, NULL);
	struct stat st;

	if (fd < 0)
		return fd;
	return fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

int resolver_check(nsb_box *box)
{
	const nsb_step *step = NULL;
	int r;

	for (size_t i = 0; i < box->plan.n_steps && step == NULL; i++)
		if (box->plan.steps[i].op == NSB_OP_RESOLVER)
			step = &box->plan.steps[i];
	/* of other roots check_tree() has the sentence */
	if (step == NULL || box->tree < 0 || box->plan.root_kind != NSB_ROOT_HOST ||
	    strcmp(step->data, NSB_DNS_HOST) == 0 || strcmp(step->data, NSB_DNS_NONE) == 0)
		return 0;
	r = find_place(box, box->tree);
	return r == 0 ? 0
		      : nsb_error_set(&box->error, r,
				      "this host has no " HOST_FILE ", which dns needs: make it an empty file");
}

/* What is no reason to keep somebody out. */
static void warn(const nsb_box *box, const nsb_step *step, size_t servers)
{
	if (strcmp(step->data, NSB_DNS_HOST) != 0)
		return;
	if (servers == 0)
		nsb_log(LOG_WARNING,
			"nsbox %s: names do not resolve in the box of %s: " HOST_FILE
			" of the host names no server that a box can reach: write dns = ADDRESS into profile %s",
			box->session.login, box->session.user, box->choice.profile->name);
	else if (box->plan.root_kind != NSB_ROOT_CURATED && find_place(box, box->root) == -ENOENT)
		nsb_log(LOG_WARNING,
			"nsbox %s: names may not resolve in the box of %s: " HOST_FILE
			" is missing in the root %s: make it (an empty file)",
			box->session.login, box->session.user, box->plan.root);
}

int resolver_make(nsb_box *box, const nsb_step *step)
{
	NSB_FREE char *text = NULL;
	NSB_CLOSE int fd = -1;
	size_t servers = 0;
	int r = resolver_text(box->host_root, step->data, &text, &servers);

	if (r < 0)
		return r;
	r = files_create(box, step, 0444, 0, 0, &fd);
	if (r == 0)
		r = nsb_write_all(fd, text, strlen(text));
	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot write %s: %s", step->dst, strerror(-r));
	warn(box, step, servers);
	return 0;
}
