/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/ask.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/session.h"
#include "common/string-util.h"
#include "common/account-look-up.h"
#include "pam_nsbox/launch.h"

int ask_session(const char *user, const char *service, const char *tty, const char *rhost, nsb_session *ret,
		nsb_error *error)
{
	struct utsname host;

	*ret = (nsb_session){ .user = strdup(user),
			      .service = strdup(service),
			      .tty = strdup(tty),
			      .rhost = strdup(rhost),
			      .krb5ccname = strdup(""),
			      .app_pid = getpid(),
			      .login = ASK_SAMPLE_ID,
			      .id = ASK_SAMPLE_ID };
	if (uname(&host) == 0)
		ret->host_name = strdup(host.nodename);
	if (ret->user == NULL || ret->service == NULL || ret->tty == NULL || ret->rhost == NULL ||
	    ret->krb5ccname == NULL || ret->host_name == NULL)
		return nsb_error_set(error, ENOMEM, "no memory");
	return account_look_up(ret, error);
}

int ask_helper(nsb_verb verb, const nsb_session *session, const char *profile, const char *conf, nsb_answer *ret_answer,
	       int *ret_socket, nsb_error *error)
{
	const nsb_request request = {
		.verb = verb,
		.id = (char *)session->login,
		.user = session->user,
		.service = session->service,
		.tty = session->tty,
		.rhost = session->rhost,
		.krb5ccname = session->krb5ccname,
		.profile = (char *)(profile != NULL ? profile : ""),
		.conf = (char *)(conf != NULL ? conf : ""),
	};

	return launch_helper(&request, ret_answer, ret_socket, error);
}

char *ask_absolute(const char *file)
{
	char directory[PATH_MAX];

	if (file[0] == '/' || getcwd(directory, sizeof(directory)) == NULL)
		return strdup(file);
	return nsb_format("%s/%s", directory, file);
}

int ask_outside(nsb_error *error)
{
	/* made by the helper on a file system of the box's own; on a host nobody has reason to make it */
	if (access("/run/host/container-manager", F_OK) == 0)
		return nsb_error_set(error, EPERM, "this is the inside of a box or container: go to the host for that");
	return 0;
}
