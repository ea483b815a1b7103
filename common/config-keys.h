/* SPDX-License-Identifier: BSD-3-Clause */
/* THE table of configuration keys: parsing, defaults, help and tests follow from it. */
#ifndef NSB_CONFIG_KEYS_H
#define NSB_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/settings.h"

typedef enum nsb_key_type {
	NSB_KEY_WORDS,	  /* list of words divided by blanks; quotes keep blanks (users, services, from) */
	NSB_KEY_PATHS,	  /* list of path words (bind, tmpfs, mask): each must begin with "/" or "%h" */
	NSB_KEY_TEMPLATE, /* one string with specifiers */
	NSB_KEY_ROOT,	  /* "host" or an absolute path template */
	NSB_KEY_NAME,	  /* one plain word ([A-Za-z0-9._-], not "." or ".."), parts divided by "/" where `slashes` */
	NSB_KEY_ENUM,	  /* one of `choices` */
	NSB_KEY_FLAGS,	  /* several words of `choices`, each a bit value */
	NSB_KEY_BOOL,	  /* "yes" or "no" */
	NSB_KEY_COUNT,	  /* integer from 1 to `max` */
	NSB_KEY_DURATION, /* "2s", "500ms", "1min 30s", at most `max` ms; a bare number is seconds (systemd.time(7)) */
	NSB_KEY_SIZE,	  /* bytes, "512M", "1.5G" (powers of 1024; not below 1M), or "12.5%" of what the machine has */
	NSB_KEY_CPU,	  /* "150%" of one CPU's time */
	NSB_KEY_RATE,	  /* bits per second: "500kbit", "20Mbit", "1Gbit" (powers of 1000) */
	NSB_KEY_CPUS,	  /* numbers of CPUs and ranges: "0-3,5" or "0-3 5" */
	NSB_KEY_IO,	  /* list, one item a line: "DEVICE rbps=10M wbps=5M riops=100 wiops=100" (powers of 1000) */
} nsb_key_type;

typedef struct nsb_choice_word {
	const char *word;
	long long value;
} nsb_choice_word;

typedef struct nsb_key {
	const char *name;
	nsb_key_type type;
	size_t offset;			/* of the value in nsb_settings */
	const char *fallback;		/* built-in default as it would be written; "" = empty */
	const nsb_choice_word *choices; /* ENUM, FLAGS, DURATION (besides times): ended by a NULL word */
	long long required;		/* FLAGS: bits that cannot be left out ... */
	const char *required_why;	/* ... and the sentence that says why */
	long long max;			/* COUNT: the largest number; DURATION: in milliseconds */
	bool infinity;			/* COUNT, DURATION, SIZE, CPU, RATE: "infinity" is a value */
	bool zero;			/* DURATION, SIZE: 0 is a value */
	bool whole;			/* SIZE: a percentage without a fraction, as tmpfs(5) takes it */
	bool replaces;			/* WORDS: what a section says takes the place of what it would inherit */
	bool slashes;			/* NAME: several parts divided by "/" */
	/* What a word (IO: the device) must be beyond its type, or NULL: 0 or -EINVAL with a sentence (without the
	 * key's name). */
	int (*check)(const char *word, nsb_error *error);
	bool profile_only;   /* not allowed in [defaults], not inherited: users, services, from, inherits */
	const char *subject; /* heading in nsbox.conf and its manual: "who", "view", "limits", "network" */
	const char *summary; /* one sentence, as in the shipped nsbox.conf */
	const char *cousin;  /* the nearest systemd directive, or NULL */
} nsb_key;

extern const nsb_key nsb_keys[];
extern const size_t nsb_n_keys;

/* The row of that name, or NULL. */
const nsb_key *nsb_key_find(const char *name);

/* The name nearest to a mistyped one (edit distance at most 3 and below half the mistyped length; two letters in the
 * wrong order count once), or NULL. */
const char *nsb_key_nearest(const char *name);

/* Parses `value` (the text right of "=", trimmed, comment removed) as a value of `key` into the matching member of
 * `settings`. Lists: appended to what is there, with `at` as origin. Others: replaced (the old string is freed).
 * An empty value is allowed where the built-in default is empty: a list gets nothing more by it (it is not reset).
 * In double quotes blanks and "#" are ordinary, \" and \\ stand for themselves and no other backslash may stand; quotes
 * give or take no meaning to anything else ("!" and "@" mean the same inside). Outside quotes a backslash is ordinary.
 * 0; -EINVAL with one sentence in `error` that begins with the key and names the bad word and what is allowed; -ENOMEM.
 * Only 0 changes `settings`. In common/config-values.c. */
int nsb_key_apply(const nsb_key *key, const char *value, nsb_origin at, nsb_settings *settings, nsb_error *error);

#endif
