/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reader of nsbox.conf(5): sections of `key = value` lines, strict, all errors at once with file and line.
 *
 * The files: each *.conf of the directory of drop-ins in C order (hidden files are left out), then the file itself or,
 * where that does not exist, the vendor's.
 */
#ifndef NSB_CONFIG_H
#define NSB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/config-keys.h"
#include "common/error.h"
#include "common/settings.h"

#define NSB_CONFIG_FILE_MAX	(1024 * 1024) /* bytes in one file */
#define NSB_CONFIG_PROBLEMS_MAX 100	      /* problems kept; the rest is counted */
#define NSB_CONFIG_DROPINS_MAX	1000	      /* files in nsbox.conf.d */
#define NSB_CONFIG_PROFILES_MAX 1000	      /* over all files */
#define NSB_CONFIG_INHERITS_MAX 16	      /* profiles in one line of inheritance */

typedef struct nsb_assignment {
	const nsb_key *key;
	char *value; /* trimmed, without comment, quotes kept */
	nsb_origin at;
} nsb_assignment;

typedef struct nsb_section {
	char *name; /* of the profile, [A-Za-z0-9._-], at most 64 characters; NULL: [defaults] */
	nsb_origin at;
	nsb_assignment *assignments; /* in file order */
	size_t n_assignments;
} nsb_section;

typedef struct nsb_config nsb_config;

/* Problems found, as "FILE:LINE: sentence" (or "FILE: sentence"), in the order of the files. */
typedef struct nsb_problems {
	char **lines;
	size_t n;
	size_t dropped; /* found beyond NSB_CONFIG_PROBLEMS_MAX */
} nsb_problems;

/* Adds one problem; `at.file` may be NULL. Never fails: without memory it is counted in `dropped`. */
void nsb_problems_add(nsb_problems *problems, nsb_origin at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void nsb_problems_done(nsb_problems *problems);

/*
 * Reads the configuration.
 * `file`: one file to read instead of the standard places (module word conf=FILE, `nsboxctl check FILE`); NULL: those.
 * Each file must be regular, owned by root, not writable by group or others (for directories of drop-ins the same);
 * symbolic links are followed only if all that they lead through belongs to root (nsb_path_open(), NSB_PATH_TRUSTED).
 * Result: 0 with *ret; the caller frees it by nsb_config_free().
 * Errors: -EBADMSG: the configuration itself is wrong or missing (missing file, owner, mode, syntax, unknown key, bad
 * value, profile defined twice, unknown or circular inherits, ...): `problems` says all of it and `error` the first of
 * it. Any other errno
 * (ENOMEM, EMFILE, EIO, EACCES): the system could not read it, which says nothing about the configuration; `error` says
 * where. The difference matters: only the first kind lets uid 0 in unboxed, and a hostile caller can cause the second.
 */
int nsb_config_load(const char *file, nsb_config **ret, nsb_problems *problems, nsb_error *error);

/* As above with other places than the compiled-in ones; each may be NULL; for tests. */
int nsb_config_load_from(const char *main_file, const char *dropin_dir, const char *vendor_file, nsb_config **ret,
			 nsb_problems *problems, nsb_error *error);

/* As above, with `owner` beside root as an owner that is trusted; for tests that are not root. */
int nsb_config_load_owned(const char *main_file, const char *dropin_dir, const char *vendor_file, uid_t owner,
			  nsb_config **ret, nsb_problems *problems, nsb_error *error);

/* Reads one text (need not end with NUL) as if it were file `name`; used by the two above, the unit tests and the fuzz
 * target. `*config` may be NULL: it is made. Problems are added: all that one file can show, each value against its key
 * included, so that they stand in the order of the lines. [defaults] sections of all files count as one: a key other
 * than a list may be set once in all of them. 0 also where there were problems; -ENOMEM. */
int nsb_config_parse(const char *name, const char *text, size_t size, nsb_config **config, nsb_problems *problems);

/* Checks what needs all files: inherits, and profiles without a line `users` (`users =` with nothing behind it is the
 * way to say "nobody", for profiles that are only inherited or forced). 0 also where there were problems; -ENOMEM. */
int nsb_config_finish(nsb_config *config, nsb_problems *problems);

void nsb_config_free(nsb_config *config);

/* The sections in order of precedence (first match wins); [defaults] sections are not among them. */
size_t nsb_config_n_profiles(const nsb_config *config);
const nsb_section *nsb_config_profile(const nsb_config *config, size_t i);
const nsb_section *nsb_config_find(const nsb_config *config, const char *name);

/* All [defaults] sections as one; without assignments if there is none. */
const nsb_section *nsb_config_defaults(const nsb_config *config);

/* The settings of a profile: built-in < [defaults] < inherited < its own. View lists add up in that order; every other
 * value is replaced. Keys marked profile_only come from the profile itself. 0, -ENOMEM, or -EBADMSG (only if
 * nsb_config_finish() found problems that were ignored). */
int nsb_config_settings(const nsb_config *config, const nsb_section *profile, nsb_settings *ret, nsb_error *error);

#endif
