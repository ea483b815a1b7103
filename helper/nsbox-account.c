/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsbox-account USER: who the user is, as the host's name service says; started by nsbox-helper. The strings of account_list(),
 * each with a NUL at its end, on standard output. Exit status 0, or the errno with a sentence on standard error: 2 (ENOENT) if
 * there is no such user.
 *
 * A program of its own, because it loads modules of name services: nsbox-helper may be linked statically.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/protocol.h"
#include "common/account-look-up.h"
#include "common/account.h"

static int print(const nsb_session *session)
{
	size_t n;
	char **list = account_list(session, &n);

	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		fwrite(list[i], 1, strlen(list[i]) + 1, stdout);
	nsb_list_free(list, n);
	return fflush(stdout) != 0 || ferror(stdout) ? -EIO : 0;
}

int main(int argc, char **argv)
{
	nsb_session session = { 0 };
	nsb_error error = { 0 };
	int r;

	if (argc != 2 || argv[1][0] == '\0') {
		fprintf(stderr, "usage: nsbox-account USER\n");
		return EINVAL;
	}
	/* a name service that hangs: the helper is killed by its own alarm, and this with it; if not, then now */
	alarm(NSB_HELPER_DEADLINE / 1000 + 1);
	session.user = argv[1];
	r = account_look_up(&session, &error);
	if (r == 0)
		r = print(&session);
	if (r < 0)
		fprintf(stderr, "%s\n", error.words[0] != '\0' ? error.words : strerror(-r));
	session.user = NULL;
	nsb_session_done(&session);
	/* what a module has loaded may take long to say goodbye */
	fflush(stderr);
	_exit(-r);
}
