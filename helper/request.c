/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/request.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/account.h"
#include "common/fd-util.h"
#include "helper/account-ask.h"

static bool printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/* What a string of the request may be. */
static const struct {
	const char *name;
	size_t offset;
	size_t min, max;
} rules[] = {
	{ "box id", offsetof(nsb_request, id), NSB_ID_LENGTH, NSB_ID_LENGTH },
	{ "user name", offsetof(nsb_request, user), 1, LOGIN_NAME_MAX - 1 },
	{ "service", offsetof(nsb_request, service), 1, 63 },
	{ "terminal", offsetof(nsb_request, tty), 0, 63 },
	{ "remote host", offsetof(nsb_request, rhost), 0, 255 },
	{ "KRB5CCNAME", offsetof(nsb_request, krb5ccname), 0, PATH_MAX - 1 },
	{ "profile=", offsetof(nsb_request, profile), 0, 64 },
	{ "conf=", offsetof(nsb_request, conf), 0, PATH_MAX - 1 },
};

static int check_strings(const nsb_request *request, nsb_error *error)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const char *text = *(char *const *)((const char *)request + rules[i].offset);
		size_t length = strlen(text);

		if (length < rules[i].min || length > rules[i].max)
			return nsb_error_set(error, EINVAL, "the %s has %zu characters; %zu to %zu are allowed",
					     rules[i].name, length, rules[i].min, rules[i].max);
		if (!printable(text))
			return nsb_error_set(error, EINVAL, "the %s holds a control character", rules[i].name);
	}
	if (!nsb_id_valid(request->id))
		return nsb_error_set(error, EINVAL, "the box id is malformed");
	if (request->conf[0] != '\0' && request->conf[0] != '/')
		return nsb_error_set(error, EINVAL, "conf=%s in /etc/pam.d is not an absolute path", request->conf);
	return 0;
}

/* Takes the strings out of the request: they live as long as the box. */
static int start_session(nsb_box *box)
{
	nsb_session *s = &box->session;
	struct utsname host;

	s->user = nsb_steal_pointer(&box->request.user);
	s->service = nsb_steal_pointer(&box->request.service);
	s->tty = nsb_steal_pointer(&box->request.tty);
	s->rhost = nsb_steal_pointer(&box->request.rhost);
	s->krb5ccname = nsb_steal_pointer(&box->request.krb5ccname);
	memcpy(s->login, box->request.id, sizeof(s->login));
	memcpy(s->id, s->login, sizeof(s->id));
	if (uname(&host) < 0)
		return -errno;
	s->host_name = strdup(host.nodename);
	return s->host_name == NULL ? -ENOMEM : 0;
}

/* The application is whoever made the socket, as the kernel says. It waits for us, so its pid is its own; that it still
 * is there after the pidfd was opened is seen from the start time. */
static int find_app(nsb_box *box)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	nsb_process app;

	if (getsockopt(box->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0)
		return nsb_error_set(&box->error, EPROTO,
				     "descriptor 3 is no socket of a PAM application: nsbox-helper is "
				     "run by pam_nsbox.so and nsboxctl, not by hand");
	if (peer.uid != 0)
		return nsb_error_set(&box->error, EPERM, "the application runs as uid %u, not as root", peer.uid);
	app = (nsb_process){ .pid = peer.pid, .start = nsb_process_start(peer.pid) };
	box->session.app_pid = peer.pid;
	box->app = nsb_process_open(&app);
	return box->app < 0
		       ? nsb_error_set(&box->error, box->app, "cannot watch the application: %s", strerror(-box->app))
		       : 0;
}

/* Whether the application has the account of this user, from the account phase of the same login. */
static bool handed_over(const nsb_box *box)
{
	return box->request.n_account > 0 && strcmp(box->request.account[0], box->session.user) == 0;
}

int request_receive(nsb_box *box)
{
	int r = find_app(box);

	if (r < 0)
		return r;
	box->deadline = nsb_now() + NSB_HELPER_DEADLINE;
	r = nsb_request_receive(box->socket, box->deadline, &box->request);
	if (r < 0)
		return nsb_error_set(&box->error, r, "the request of the application cannot be read: %s%s",
				     strerror(-r),
				     r == -EPROTO ? " (do module and helper have the same version?)" : "");
	r = check_strings(&box->request, &box->error);
	if (r == 0)
		r = start_session(box);
	if (r < 0)
		return r;
	return handed_over(box) ? 0 : account_ask(box->session.user, &box->question, &box->error);
}

int request_account(nsb_box *box)
{
	int r;

	if (!handed_over(box))
		return account_ask_done(&box->question, box->deadline, &box->session, &box->error);
	r = account_unpack(&box->session, box->request.account, box->request.n_account);
	return r < 0 ? nsb_error_set(&box->error, r, "what the application says about the account %s is malformed",
				     box->session.user)
		     : 0;
}
