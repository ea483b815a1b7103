/* SPDX-License-Identifier: BSD-3-Clause */
/* Accounts of this host, to try profiles on. */
#ifndef NSB_CTL_SAMPLE_H
#define NSB_CTL_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/session.h"
#include "common/settings.h"

typedef struct samples {
	nsb_session *sessions;
	size_t n;
} samples;

/* The accounts that the name service enumerates (at most SAMPLES_MAX), ordinary users first. -ENOMEM. getpwent(3). */
#define SAMPLES_MAX 2000
int samples_collect(samples *ret);
void samples_done(samples *list);

/* The first account that `users` of the profile is for, as if it logged in by the first service that the profile names;
 * NULL if there is none. It belongs to the list. */
const nsb_session *samples_find(samples *list, const nsb_settings *settings);

/* Whether `users` of the profile is for this account. */
bool samples_is_for(const nsb_settings *settings, const nsb_session *session);

#endif
