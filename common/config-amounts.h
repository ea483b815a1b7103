/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with units, as systemd writes them: durations, sizes, CPU time, lists of CPUs, limits of a device.
 * All take text without quotes; none changes anything but *ret, and that only on success. */
#ifndef NSB_CONFIG_AMOUNTS_H
#define NSB_CONFIG_AMOUNTS_H

#include <stdint.h>

#include "common/config-keys.h"
#include "common/error.h"

/* The value of a key of type COUNT, DURATION (systemd.time(7)), SIZE or CPU (systemd.resource-control(5)): the number,
 * or NSB_INFINITY, in the units of nsb_settings. -EINVAL with a sentence (without the key's name). */
int nsb_parse_amount(const nsb_key *key, const char *text, int64_t *ret, nsb_error *error);

/* CPU numbers and ascending ranges of them, divided by commas or blanks (AllowedCPUs=): the same list with commas and
 * no blanks, which the caller frees; "" for no CPU at all. -EINVAL with a sentence; -ENOMEM. */
int nsb_parse_cpus(const char *text, char **ret, nsb_error *error);

/* The limits of one device: of bytes read and written in a second, and of operations; 0: none. */
typedef struct nsb_io_limits {
	int64_t rbps, wbps, riops, wiops;
} nsb_io_limits;

/* One word like "rbps=10M" into the member of that name, which must be 0. The units are powers of 1000, as in
 * IOReadBandwidthMax=.
 * -EINVAL with a sentence. */
int nsb_parse_io_limit(const char *word, nsb_io_limits *limits, nsb_error *error);

/* The limits as text: " rbps=N wbps=N riops=N wiops=N", those that are set, each with a blank before it. */
void nsb_format_io_limits(const nsb_io_limits *limits, char buffer[128]);

#endif
