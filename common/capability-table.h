/* SPDX-License-Identifier: BSD-3-Clause */
/* THE table of capabilities: which of them a box keeps by default, and why. Source: capabilities(7). */
#ifndef NSB_CAPABILITY_TABLE_H
#define NSB_CAPABILITY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/settings.h"

#define NSB_CAPABILITIES_MAX 64 /* bits in a set */

typedef struct nsb_capability {
	unsigned number;
	const char *name; /* "cap_chown" */
	bool kept;	  /* in the set "default" */
	bool power;	  /* root in a box that has it is not confined */
	const char *why;  /* it is kept, or is not */
} nsb_capability;

extern const nsb_capability nsb_capabilities[];
extern const size_t nsb_n_capabilities;

/* NULL where no row has the name. */
const nsb_capability *nsb_capability_find(const char *name);

/* "default", "all", "none", "+cap_x", "-cap_x". 0, or -EINVAL with a sentence. */
int nsb_check_capability(const char *word, nsb_error *error);

/* The set that the words of the key give, a bit for each number: they are read one after the other, and begin with the
 * default set. "all" has every bit: what the kernel does not know is left out when the set is used. */
uint64_t nsb_capability_set(const nsb_list *words);

/* Those with any of which root in a box can become root outside, or see what is not the box's. */
uint64_t nsb_capability_powers(void);

/* The set in words: "none", "all", or names. NULL without memory; the caller frees. */
char *nsb_capability_text(uint64_t set);

#endif
