/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl top: what is read by top.c, and how top-show.c shows it. */
#ifndef NSB_CTL_TOP_H
#define NSB_CTL_TOP_H

#include <stddef.h>
#include <stdint.h>

#include "ctl/boxes.h"
#include "ctl/table.h"
#include "helper/usage.h"

#define UNKNOWN	    NSB_USAGE_UNKNOWN /* also: no limit */
#define UNKNOWN_CPU (-1.0)

/* What is limited both for a box and for all boxes of a user together. */
typedef enum top_kind { TOP_CPU, TOP_MEMORY, TOP_PROCESSES, TOP_KINDS } top_kind;

typedef struct top_use {
	const nsb_entry *entry; /* of the same reading */
	nsb_usage usage;
	int64_t when;					    /* CLOCK_MONOTONIC microseconds */
	double cpu;					    /* percent of one processor */
	uint64_t limits[TOP_KINDS], user_limits[TOP_KINDS]; /* in the units of limit-table.h; UNKNOWN: none */
	uint64_t sent, received;			    /* bytes, since the box was made; UNKNOWN: no link */
	uint64_t sends, receives;			    /* bits per second, since the reading before */
	uint64_t rate;					    /* the limit of both; UNKNOWN: none */
} top_use;

/* One reading of all boxes. */
typedef struct top_reading {
	boxes list;
	top_use *uses; /* largest share of the CPU first */
	size_t n;
} top_reading;

/* The boxes as a table, which the caller gives back by table_done(). 0; -ENOMEM. */
int top_table(const top_reading *r, table *ret);

/* Prints them as an array of objects. 0. */
int top_json(const top_reading *r);

#endif
