/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_FINDING_H
#define NSB_CTL_FINDING_H

typedef enum finding_severity {
	FINDING_PROBLEM, /* somebody gets out, in unboxed, or not in at all */
	FINDING_WARNING, /* makes a box weaker than it looks */
	FINDING_NOTE,	 /* an administrator's choice, and its price */
	FINDING_UNSEEN,	 /* could not be looked at */
	FINDING_SEVERITIES,
} finding_severity;

#endif
