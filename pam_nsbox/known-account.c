/* SPDX-License-Identifier: BSD-3-Clause */
#include "pam_nsbox/known-account.h"

#include <security/pam_modules.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/account-look-up.h"
#include "common/account.h"
#include "common/fd-util.h"
#include "common/service-table.h"

#define DATA "pam_nsbox_account"

typedef struct kept {
	char **list;
	size_t n;
} kept;

static void forget(pam_handle_t *pamh, void *data, int status)
{
	kept *account = data;

	(void)pamh;
	(void)status;
	nsb_list_free(account->list, account->n);
	free(account);
}

/* NULL also where it is another user's: a module between may have changed PAM_USER. */
static const kept *find(pam_handle_t *pamh, const char *user)
{
	const void *data = NULL;
	const kept *account;

	if (pam_get_data(pamh, DATA, &data) != PAM_SUCCESS || data == NULL)
		return NULL;
	account = data;
	return strcmp(account->list[0], user) == 0 ? account : NULL;
}

/* Takes the list over. Without it, for want of memory, the session asks again. */
static void keep(pam_handle_t *pamh, char **list, size_t n)
{
	kept *account = n > 0 ? malloc(sizeof(*account)) : NULL;

	if (account == NULL) {
		nsb_list_free(list, n);
		return;
	}
	*account = (kept){ .list = list, .n = n };
	if (pam_set_data(pamh, DATA, account, forget) != PAM_SUCCESS)
		forget(pamh, account, 0);
}

static void look_up(pam_handle_t *pamh, const char *user)
{
	nsb_session session = { .user = (char *)user };
	char **list = NULL;
	size_t n = 0;

	if (account_look_up(&session, NULL) == 0)
		list = account_pack(&session, &n);
	session.user = NULL; /* not ours to free */
	nsb_session_done(&session);
	keep(pamh, list, n);
}

void known_account_add(pam_handle_t *pamh, nsb_request *request)
{
	const kept *account = find(pamh, request->user);

	/* login(1) is setuid on some systems: there the real user is the caller */
	if (account == NULL && request->verb == NSB_VERB_CHECK && getuid() == 0 &&
	    (nsb_service_traits(request->service) & NSB_SERVICE_DAEMON)) {
		look_up(pamh, request->user);
		account = find(pamh, request->user);
	}
	if (account == NULL)
		return;
	request->account = account->list;
	request->n_account = account->n;
}

void known_account_keep(pam_handle_t *pamh, const nsb_request *request, nsb_answer *answer)
{
	size_t n = answer->n_account;

	if (request->n_account > 0)
		return;
	answer->n_account = 0;
	keep(pamh, nsb_steal_pointer(&answer->account), n);
}
