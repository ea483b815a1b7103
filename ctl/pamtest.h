/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl pamtest, in parts. What is to be put into the copy is opened on the host (pamtest_open_*), so that one
 * sentence tells of a mistake before anything is made; the rest happens in the copy, whose mount namespace nsboxctl is
 * in by then.
 */
#ifndef NSB_CTL_PAMTEST_H
#define NSB_CTL_PAMTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"
#include "ctl/options.h"

/* ---- pamtest-copy.c: files ---- */

/* A file or directory of the host, and its place in the copy. */
typedef struct pamtest_source {
	int fd;
	mode_t mode; /* of the copy; a directory keeps what it has */
	char *dst;
} pamtest_source;

typedef struct pamtest_sources {
	pamtest_source *items;
	size_t n;
} pamtest_sources;

/* The regular files of a directory for /etc/pam.d; a module for the directory of modules; "SOURCE:TARGET". 0, or -errno
 * with a sentence; -EINVAL for what is no SOURCE:TARGET. The caller calls pamtest_sources_done(), also after errors. */
int pamtest_open_pam_dir(const char *path, pamtest_sources *list, nsb_error *error);
int pamtest_open_module(const char *path, pamtest_sources *list, nsb_error *error);
int pamtest_open_file(const char *word, pamtest_sources *list, nsb_error *error);
void pamtest_sources_done(pamtest_sources *list);

/* In the copy: puts all of them in place, root's. 0, or -errno with a sentence. */
int pamtest_copy(const pamtest_sources *list, nsb_error *error);

/* In the copy: runs a program (argv[0] by PATH) with standard input and output at /dev/null, in the directory `cwd`
 * (-1: as it is). `source` >= 0 stays open in it, as that number. Returns its exit status, 128 + signal, or -errno with
 * a sentence. */
int pamtest_run_program(char *const argv[], int cwd, int source, nsb_error *error);

/* ---- pamtest-accounts.c: users ---- */

typedef struct pamtest_user {
	char *name;
	char *password; /* NULL: none is set */
	char *groups;	/* "a,b"; NULL: none */
} pamtest_user;

/* Reads NAME[:PASSWORD][:GROUP,...] and makes the password in `word` (of argv) unreadable, since /proc/PID/cmdline
 * shows it. A password "-" is the next line of standard input. -EINVAL with a sentence. The caller calls
 * pamtest_user_done(), also after an error. */
int pamtest_user_parse(char *word, pamtest_user *ret, nsb_error *error);
void pamtest_user_done(pamtest_user *user);

/* In the copy: the user exists, with that password and in these groups. 0, or -errno with a sentence. Sources:
 * useradd(8), crypt(3), shadow(5). */
int pamtest_make_user(const pamtest_user *user, nsb_error *error);

/* ---- pamtest-log.c: what is said to syslog(3) ---- */

typedef struct pamtest_log {
	int socket; /* /dev/log of the copy */
	int memory; /* what has come, as lines */
	int file;   /* of --log; -1 */
	size_t size;
} pamtest_log;
#define PAMTEST_LOG_NONE                                                                                               \
	{                                                                                                              \
		.socket = -1, .memory = -1, .file = -1                                                                 \
	}

/* On the host: the file of --log (NULL: none), 0600 if it is new, emptied. */
int pamtest_log_open(pamtest_log *log, const char *path, nsb_error *error);
/* In the copy: listens at /dev/log. */
int pamtest_log_listen(pamtest_log *log, nsb_error *error);
/* Takes what is there, a bounded number, so that a flood does not keep signals waiting. Does not wait. */
void pamtest_log_take(pamtest_log *log);
/* Prints what has come to standard error. */
void pamtest_log_print(const pamtest_log *log);
void pamtest_log_done(pamtest_log *log);

/* ---- pamtest-keep.c ---- */

/* In the copy: what was changed in it, into a new directory in `parent` (a directory of the host, whose path is
 * `path`). Prints where that is. 0, or -errno with a sentence. */
int pamtest_keep(int parent, const char *path, nsb_error *error);

#endif
