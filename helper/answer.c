/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/account.h"
#include "common/fd-util.h"
#include "common/log.h"
#include "common/protocol.h"
#include "helper/build.h"
#include "helper/filter.h"
#include "helper/namespaces.h"

nsb_result answer_result(const nsb_box *box, int r)
{
	if (r == -EBADMSG && (box->error.stage == NSB_STAGE_CONFIGURE || box->error.stage == NSB_STAGE_PLAN))
		return NSB_RESULT_BAD_CONFIG;
	if (r == -ENOENT && box->error.stage == NSB_STAGE_REQUEST)
		return NSB_RESULT_UNKNOWN_USER;
	/* sessions_max: could be boxed, but is one too many */
	if (r != -EUSERS && !box->forbidden && box->choice.profile != NULL &&
	    box->settings.on_error == NSB_ON_ERROR_ALLOW)
		return NSB_RESULT_UNBOXED;
	return NSB_RESULT_FAILED;
}

static void fill_answer(const nsb_box *box, nsb_result result, nsb_answer *answer)
{
	answer->result = result;
	answer->error = box->error;
	answer->uid = box->session.uid;
	answer->gid = box->session.gid;
	answer->profile = box->choice.profile != NULL ? box->choice.profile->name : NULL;
	answer->init = -1;
	answer->confinement.filter = -1;
}

/* Says no, or that there is no profile, or that it could be done. */
int answer_short(nsb_box *box, nsb_result result)
{
	nsb_answer answer = { 0 };
	int r;

	fill_answer(box, result, &answer);
	if (box->request.verb == NSB_VERB_CHECK && result == NSB_RESULT_OK)
		answer.account = account_pack(&box->session, &answer.n_account);
	r = nsb_answer_send(box->socket, &answer);
	nsb_list_free(answer.account, answer.n_account);
	if (r < 0)
		nsb_log(LOG_ERR, "the application does not listen; it would have read: %s (stage %s)", box->error.words,
			nsb_stage_name((int)box->error.stage));
	return r;
}

/* Groups to enter, and the way back from them; none where the application stays in its session's scope. */
static int answer_cgroups(nsb_box *box, nsb_answer *answer, char *back[], char paths[][PATH_MAX + 16])
{
	for (size_t i = 0; i < box->layout.n_trees; i++) {
		int r;

		if (box->cgroups_join[i] < 0)
			continue;
		r = nsb_cgroup_way_back(&box->layout.trees[i], paths[i], sizeof(paths[i]));
		if (r < 0)
			return nsb_error_set(&box->error, r, "the path of the application's cgroup is too long");
		back[answer->n_way_back++] = paths[i];
	}
	answer->way_back = back;
	answer->cgroups = box->cgroups_join;
	answer->n_cgroups = answer->n_way_back;
	return 0;
}

void answer_confine(const nsb_box *box, nsb_confinement *ret)
{
	static char keyring[64];
	bool alone = strcmp(box->session.id, box->session.login) == 0;

	/* with the login's id, which nobody could know: a keyring of that name that is there already would be joined */
	snprintf(keyring, sizeof(keyring), "nsbox:%s%s%s", box->session.id, alone ? "" : ":",
		 alone ? "" : box->session.login);
	*ret = (nsb_confinement){ .capabilities = box->plan.capabilities,
				  .flags = (box->plan.no_new_privs ? NSB_CONFINE_NO_NEW_PRIVS : 0) |
					   (!box->plan.core && filter_core_leaves() ? NSB_CONFINE_NO_CORE : 0),
				  .keyring = keyring,
				  .filter = box->filter };
}

/* Stage 12. */
int answer_box(nsb_box *box)
{
	static char paths[NSB_CGROUP_TREES_MAX][PATH_MAX + 16];
	char *back[NSB_CGROUP_TREES_MAX];
	nsb_answer answer = { 0 };
	int r;

	build_enter(box, NSB_STAGE_ANSWER);
	fill_answer(box, NSB_RESULT_OK, &answer);
	answer.error = (nsb_error){ 0 };
	answer.namespaces = box->plan.namespaces;
	if (box->plan.share && box->layout.scope_unit[0] != '\0' && (box->plan.namespaces & CLONE_NEWCGROUP))
		answer.namespaces |= NSB_OWN_CGROUP_NAMESPACE; /* it stays in its scope, PID 1 is elsewhere */
	if (box->plan.root_kind == NSB_ROOT_TREE || box->plan.root_kind == NSB_ROOT_LAYERS)
		answer.namespaces |= NSB_OTHER_TREE;
	answer.environment = box->plan.environment;
	answer.n_environment = box->plan.n_environment;
	answer_confine(box, &answer.confinement);
	answer.init = box->init;
	answer.root_mount = namespaces_root_mount(box->init_pid);
	r = answer_cgroups(box, &answer, back, paths);
	if (r < 0)
		return r;
	r = nsb_answer_send(box->socket, &answer);
	return r < 0 ? nsb_error_set(&box->error, r, "the application does not listen: %s", strerror(-r)) : 0;
}
