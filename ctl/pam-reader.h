/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stacks of PAM services as libpam reads them: lines with continuations, [value=action] controls, @include (Debian),
 * include and substack resolved. Read-only. Source: pam.d(5), pam.conf(5).
 */
#ifndef NSB_CTL_PAM_READER_H
#define NSB_CTL_PAM_READER_H

#include <stdbool.h>
#include <stddef.h>

#define PAM_FILE_MAX	 (256 * 1024) /* bytes of one file */
#define PAM_LINES_MAX	 2000	      /* of one service, includes resolved */
#define PAM_INCLUDES_MAX 16	      /* deep */
#define PAM_FILES_MAX	 200	      /* opened for one service */

/* One line that says something. All texts are pointers into `text`, but `file`, which is the stack's. */
typedef struct pam_line {
	char *text;
	const char *service; /* of pam.conf(5); NULL in a file of pam.d */
	const char *type; /* "auth", "account", "session", "password", in lower case; "@include"; what else was there */
	const char *control; /* a keyword, or what stands between the brackets */
	const char *module;  /* as written; of @include, include and substack: what is included */
	char **words;	     /* behind the module */
	size_t n_words;
	const char *file; /* where it stands */
	unsigned line;
	size_t level; /* number of the substack that it belongs to; 0: the service itself */
} pam_line;

/* Where reading of a text is. */
typedef struct pam_text {
	const char *at;
	unsigned number;   /* of the line at `at`, from 1 */
	bool with_service; /* lines of pam.conf(5) */
} pam_text;

/* The next line: 1 with *ret, of which the caller frees by pam_line_done(); 0 at the end; -EBADMSG: a line that is
 * continued has no end (`ret->line` says which); -ENOMEM. What is missing in a line is "". */
int pam_text_next(pam_text *text, pam_line *ret);
void pam_line_done(pam_line *line);

typedef struct pam_stack {
	pam_line *lines; /* of all types, in the order in which libpam has them; no include among them */
	size_t n;
	size_t *parents; /* of each substack: the one that it stands in */
	size_t n_levels;
	char **files; /* all that were read; the service's own first */
	size_t n_files;
	/* the first thing that could not be read: negative errno, where and what; 0: all was */
	int error;
	char *error_where;
	char *error_file;
} pam_stack;

/* Where the files are. */
typedef struct pam_places {
	const char *directories[2]; /* the administrator's, the vendor's */
	const char *conf;	    /* read if none of the two exists */
} pam_places;

extern const pam_places pam_standard_places;

/* Reads the stack of a service. A type that the service says nothing of is that of the service "other". 0, also if
 * something in it could not be read (`ret->error`); -ENOENT: there is no such service; -ENOMEM. The caller calls
 * pam_stack_done(), also after an error. */
int pam_stack_load(const pam_places *places, const char *service, pam_stack *ret);
void pam_stack_done(pam_stack *stack);

/* The names of all services, sorted, without parts of stacks (common-*) and what package managers leave. -errno; the
 * caller frees by pam_services_done(). */
typedef struct pam_services {
	char **names;
	size_t n;
} pam_services;

int pam_services_list(const pam_places *places, pam_services *ret);
void pam_services_done(pam_services *list);

/* What a control does with a return value, both by their names ("system_err"): "ok", "ignore", "bad", "die", "done",
 * "reset", or a number of lines to skip, in `buffer`. Source: pam.conf(5). */
#define PAM_ACTION_SIZE 16
void pam_control_action(const char *control, const char *value, char buffer[PAM_ACTION_SIZE]);

/* Whether the line names this module, by whatever path. */
bool pam_line_is(const pam_line *line, const char *module);
bool pam_line_has(const pam_line *line, const char *word);
/* The value of a word "name=value", or NULL. */
const char *pam_line_value(const pam_line *line, const char *name);

#endif
