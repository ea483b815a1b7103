/* SPDX-License-Identifier: BSD-3-Clause */
/* All that is known about one box: gathered by show.c, told by it as text or by show-json.c. */
#ifndef NSB_CTL_SHOW_H
#define NSB_CTL_SHOW_H

#include "ctl/boxes.h"
#include "ctl/mountinfo.h"
#include "ctl/network.h"
#include "helper/usage.h"

typedef struct show_facts {
	box_item item;
	char *plan;	   /* its lines end with "\n"; NULL: there is none, for this reason: */
	int plan_error;	   /* negative errno */
	mount_list mounts; /* none without PID 1 */
	int mounts_error;  /* negative errno */
	nsb_usage usage;
	network_facts network;
} show_facts;

/* What the box as a whole is made by, from the plan: "linger". Into `buffer`, "" if the plan does not say it. */
#define SHOW_FACT_SIZE 96
void show_fact(const char *plan, const char *name, char buffer[SHOW_FACT_SIZE]);

/* What counts against a limit. */
typedef struct show_use {
	uint64_t used, peak, hits; /* NSB_USAGE_UNKNOWN */
	bool time;		   /* used: microseconds */
} show_use;

/* The use that the limit of this key is about; false if nothing counts it. */
bool show_use_of(const nsb_usage *usage, const char *key, show_use *ret);

void show_json(const show_facts *facts);

#endif
