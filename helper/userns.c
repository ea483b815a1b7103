/* SPDX-License-Identifier: BSD-3-Clause */
/* The user namespaces of a box (userns-make.h), and what the builder does with them. The mount, PID and cgroup namespaces stay
 * those of the initial user namespace: root in the box has no power over them. */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/config-checks.h"
#include "common/fd-util.h"
#include "helper/idmap.h"
#include "helper/steps.h"
#include "helper/userns-make.h"

/* All ids but those of the pool, from which the ranges of boxes come; of one range where it has another source. */
static void hole_text(const nsb_box *box, char *text, size_t size)
{
	uint32_t first, last;

	if (nsb_parse_subid_pool(box->plan.subid_pool, &first, &last, NULL) != 0) {
		first = box->subid_base;
		last = first + NSB_SUBID_COUNT - 1;
	}
	/* (uid_t)-1 is no id */
	snprintf(text, size, "0 0 %u\n%u %u %u\n", first, last + 1, last + 1, UINT32_MAX - (last + 1));
}

int userns_make(nsb_box *box, uint64_t owned)
{
	NSB_FREE char *uids = malloc(NSB_IDMAP_TEXT_MAX);
	NSB_FREE char *gids = malloc(NSB_IDMAP_TEXT_MAX);
	char hole[128];
	const userns_wish own = { uids, gids, owned, &box->userns, box->owned };
	const userns_wish other = { hole, hole, 0, &box->hole, NULL };
	int r;

	if (uids == NULL || gids == NULL)
		return -ENOMEM;
	r = nsb_idmap_text(&box->kept.uid, 1, box->subid_base, uids);
	if (r == 0)
		r = nsb_idmap_text(box->kept.gids, box->kept.n_gids, box->subid_base, gids);
	if (r < 0)
		return nsb_error_set(&box->error, r,
				     "user_namespace = keep-id: an id of %s lies in the range %u-%u that the box gets: "
				     "give the user another "
				     "range",
				     box->session.user, box->subid_base, box->subid_base + NSB_SUBID_COUNT - 1);
	hole_text(box, hole, sizeof(hole));
	r = userns_new(&own, &box->error);
	return r == 0 ? userns_new(&other, &box->error) : r;
}

void userns_close(nsb_box *box)
{
	box->userns = nsb_close(box->userns);
	box->hole = nsb_close(box->hole);
	for (size_t i = 0; i < USERNS_OWNED; i++)
		box->owned[i] = nsb_close(box->owned[i]);
}

/* ---- steps ---- */

int userns_step(nsb_box *box, const nsb_step *step)
{
	(void)step;
	return userns_make(box, box->plan.namespaces & (CLONE_NEWUTS | CLONE_NEWIPC |
							(network_enters(&box->plan) ? 0 : CLONE_NEWNET)));
}

void userns_undo(nsb_box *box, const nsb_step *step)
{
	(void)step;
	userns_close(box);
}

int userns_enter_owned(nsb_box *box, const nsb_step *step)
{
	(void)step;
	for (size_t i = 0; i < USERNS_OWNED; i++)
		if (box->owned[i] >= 0 && setns(box->owned[i], (int)userns_owned[i].flag) < 0)
			return nsb_error_set(&box->error, errno, "cannot enter the box's %s namespace: %s",
					     userns_owned[i].proc, strerror(errno));
	return 0;
}

/* Whether this process is what it should be in there, and cannot be what it was. */
static int prove_root_of_box(nsb_box *box)
{
	NSB_FREE char *uids = malloc(NSB_IDMAP_TEXT_MAX);
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (uids == NULL)
		return -ENOMEM;
	if (getresuid(&r, &e, &s) < 0 || r != 0 || e != 0 || s != 0 || getresgid(&rg, &eg, &sg) < 0 || rg != 0 ||
	    eg != 0 || sg != 0 || getgroups(0, NULL) != 0)
		return nsb_error_set(&box->error, EPERM, "the builder's ids are not root's of the box");
	if (nsb_idmap_text(&box->kept.uid, 1, box->subid_base, uids) < 0)
		return -EINVAL;
	return userns_prove_map("/proc/self/uid_map", uids, &box->error);
}

int userns_become(nsb_box *box, const nsb_step *step)
{
	(void)step;
	/* ---- the host's root ends here ---- */
	if (setns(box->userns, CLONE_NEWUSER) < 0)
		return nsb_error_set(&box->error, errno, "cannot enter the box's user namespace: %s", strerror(errno));
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return nsb_error_set(&box->error, errno, "cannot become root of the box: %s", strerror(errno));
	/* a change of ids may have undone it, prctl(2) */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	userns_close(box);
	return prove_root_of_box(box);
}
