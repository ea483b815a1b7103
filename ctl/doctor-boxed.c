/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/doctor-boxed.h"

#include <stdlib.h>
#include <string.h>

#include "common/string-util.h"
#include "ctl/profile-plan.h"

#define FIRST_USER 1000 /* login.defs(5), UID_MIN */
#define NOBODY	   65534

void boxed_done(boxed_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		nsb_settings_done(&list->items[i].settings);
	free(list->items);
}

static bool find_profile(const doctor *d, boxed *one)
{
	static const char *const logins[] = { "sshd", "login", "su" };

	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++)
		if (profile_first_for(d->config, one->account, logins[i], &one->profile, &one->settings))
			return true;
	return false;
}

void boxed_find(doctor *d, boxed_list *ret)
{
	for (size_t i = 0; i < d->accounts.n; i++) {
		boxed one = { .account = &d->accounts.sessions[i] };
		boxed *items;

		if (one.account->uid < FIRST_USER || one.account->uid == NOBODY || !find_profile(d, &one))
			continue;
		items = nsb_grow(ret->items, ret->n, sizeof(*items));
		if (items == NULL) {
			nsb_settings_done(&one.settings);
			d->failed = true;
			return;
		}
		ret->items = items;
		items[ret->n++] = one;
	}
}

void crowd_add(crowd *c, const boxed *one)
{
	c->first = c->n++ == 0 ? one : c->first;
}

char *crowd_text(const crowd *c)
{
	return c->n == 1 ? strdup(c->first->account->user)
			 : nsb_format("%s and %zu more", c->first->account->user, c->n - 1);
}

bool boxed_has_real_home(const boxed *one)
{
	return one->settings.home == NSB_HOME_BIND;
}
