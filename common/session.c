/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/session.h"

#include <stdlib.h>
#include <string.h>

void nsb_session_done(nsb_session *session)
{
	free(session->user);
	free(session->service);
	free(session->tty);
	free(session->rhost);
	free(session->krb5ccname);
	free(session->gecos);
	free(session->home);
	free(session->shell);
	for (size_t i = 0; i < session->n_groups; i++)
		free(session->groups[i].name);
	free(session->groups);
	free(session->host_name);
	memset(session, 0, sizeof(*session));
}
