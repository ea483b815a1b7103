/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/sample.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/pattern.h"
#include "common/session.h"
#include "common/string-util.h"
#include "ctl/ask.h"

#define FIRST_USER 1000 /* login.defs(5), UID_MIN */
#define NOBODY	   65534

static int add(samples *list, const char *name)
{
	nsb_session *sessions = nsb_grow(list->sessions, list->n, sizeof(*sessions));
	nsb_error error = { 0 };

	if (sessions == NULL)
		return -ENOMEM;
	list->sessions = sessions;
	if (ask_session(name, "sshd", "ssh", "", &sessions[list->n], &error) < 0)
		nsb_session_done(&sessions[list->n]); /* gone meanwhile, or half an account: no sample */
	else
		list->n++;
	return 0;
}

static bool is_ordinary(uid_t uid)
{
	return uid >= FIRST_USER && uid != NOBODY;
}

static int by_kind(const void *a, const void *b)
{
	const nsb_session *one = a, *other = b;

	if (is_ordinary(one->uid) != is_ordinary(other->uid))
		return is_ordinary(one->uid) ? -1 : 1;
	return one->uid < other->uid ? -1 : one->uid > other->uid;
}

int samples_collect(samples *ret)
{
	const struct passwd *entry;
	int r = 0;

	setpwent();
	while (r == 0 && ret->n < SAMPLES_MAX && (entry = getpwent()) != NULL) {
		/* what is looked up in between may use the entry's memory */
		NSB_FREE char *name = strdup(entry->pw_name);

		r = name == NULL ? -ENOMEM : add(ret, name);
	}
	endpwent();
	if (ret->n > 0)
		qsort(ret->sessions, ret->n, sizeof(*ret->sessions), by_kind);
	return r;
}

void samples_done(samples *list)
{
	for (size_t i = 0; i < list->n; i++)
		nsb_session_done(&list->sessions[i]);
	free(list->sessions);
}

static bool is_for(const nsb_list *users, const nsb_session *session)
{
	bool included = false;

	for (size_t i = 0; i < users->n; i++) {
		bool excludes = users->items[i][0] == '!';
		char what[128];

		if (nsb_pattern_match_user(users->items[i] + excludes, session, what, sizeof(what)) <= 0)
			continue;
		if (excludes)
			return false;
		included = true;
	}
	return included;
}

bool samples_is_for(const nsb_settings *settings, const nsb_session *session)
{
	return is_for(&settings->users, session);
}

/* A service that is no pattern. */
static const char *first_service(const nsb_list *services)
{
	for (size_t i = 0; i < services->n; i++)
		if (strpbrk(services->items[i], "!*?[") == NULL)
			return services->items[i];
	return "sshd";
}

const nsb_session *samples_find(samples *list, const nsb_settings *settings)
{
	for (size_t i = 0; i < list->n; i++) {
		nsb_session *session = &list->sessions[i];
		char *service;

		if (!is_for(&settings->users, session))
			continue;
		service = strdup(first_service(&settings->services));
		if (service != NULL) {
			free(session->service);
			session->service = service;
		}
		return session;
	}
	return NULL;
}
