/* SPDX-License-Identifier: BSD-3-Clause */
/* The account files of the box: key account_files. */
#include <errno.h>
#include <stdlib.h>

#include "common/account-text.h"
#include "common/default-view.h"
#include "common/fd-util.h"
#include "common/plan-internal.h"

/* With root = host, and a curated one, the root's files are the host's. */
unsigned plan_accounts_view(const nsb_settings *settings, int root_kind)
{
	switch (settings->account_files) {
	case NSB_ACCOUNT_FILES_MINIMAL:
		return NSB_VIEW_ACCOUNTS_MINIMAL;
	case NSB_ACCOUNT_FILES_HOST:
		return NSB_VIEW_NAME_SERVICES |
		       (root_kind == NSB_ROOT_HOST || root_kind == NSB_ROOT_CURATED ? 0 : NSB_VIEW_ACCOUNTS_HOST);
	default:
		return NSB_VIEW_NAME_SERVICES;
	}
}

/* On the box's own /run, from where the rows of account-view.c bind them: the tree stays as it is. */
static int plan_made(planner *p)
{
	NSB_FREE char *passwd = NULL;
	NSB_FREE char *group = NULL;
	int r = nsb_account_texts(p->session, &passwd, &group, p->error);

	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_FILE,
					    .dst = (char *)"/run/host/passwd",
					    .data = passwd,
					    .mode = 0444,
					    .why = "the user and no other account" });
	if (r == 0)
		r = plan_add(p, (nsb_step){ .op = NSB_OP_FILE,
					    .dst = (char *)"/run/host/group",
					    .data = group,
					    .mode = 0444,
					    .why = "the user's groups and no other" });
	return r;
}

int plan_accounts(planner *p)
{
	int r = p->when & NSB_VIEW_ACCOUNTS_MINIMAL ? plan_made(p) : 0;

	return r == 0 ? plan_rows(p, nsb_view_accounts, nsb_n_view_accounts) : r;
}
