/* SPDX-License-Identifier: BSD-3-Clause */
/* The namespaces of a box: one row each, in the order in which they are listed everywhere. */
#ifndef NSB_NAMESPACE_TABLE_H
#define NSB_NAMESPACE_TABLE_H

#include <stddef.h>

typedef struct nsb_namespace {
	int flag;	  /* CLONE_NEW*, namespaces(7) */
	const char *key;  /* its word in the configuration ("mount") */
	const char *proc; /* its name in /proc/PID/ns ("mnt") */
	const char *why;  /* what the session no longer sees */
} nsb_namespace;

extern const nsb_namespace nsb_namespaces[];
extern const size_t nsb_n_namespaces;

/* The row with that configuration word or /proc name; NULL if there is none. */
const nsb_namespace *nsb_namespace_by_key(const char *key);

#endif
