/* SPDX-License-Identifier: BSD-3-Clause */
/* PAM services that are treated apart, by name: one row each. */
#ifndef NSB_SERVICE_TABLE_H
#define NSB_SERVICE_TABLE_H

enum nsb_service_traits {
	NSB_SERVICE_NEVER = 1 << 0,	/* never boxed, whatever the configuration says */
	NSB_SERVICE_NO_RECORD = 1 << 1, /* starts no login of its own: no utmp record */
	NSB_SERVICE_CALLER = 1 << 2,	/* runs on behalf of a logged-in caller, with that caller's environment */
	NSB_SERVICE_DAEMON = 1 << 3,	/* its account phase runs in what root alone has started, with limits that no user has set */
};

/* The traits of a service, 0 for one that is not in the table. */
unsigned nsb_service_traits(const char *service);

#endif
