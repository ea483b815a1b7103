/* SPDX-License-Identifier: BSD-3-Clause */
/* What a word of the configuration must be beyond the type of its key: the `check` of the rows in config-keys.c. Each takes
 * one word and returns 0, or -EINVAL with a sentence without the key's name. */
#ifndef NSB_CONFIG_CHECKS_H
#define NSB_CONFIG_CHECKS_H

#include <stdint.h>

#include "common/error.h"

int nsb_check_bind(const char *word, nsb_error *error);	      /* SOURCE or SOURCE:TARGET */
int nsb_check_tmpfs(const char *word, nsb_error *error);      /* TARGET or TARGET:OPTION,OPTION */
int nsb_check_mask(const char *word, nsb_error *error);	      /* a path in the box */
int nsb_check_root(const char *word, nsb_error *error);	      /* "host", "curated" or a path */
int nsb_check_overlay(const char *word, nsb_error *error);    /* "no", "ephemeral" or a path */
int nsb_check_layers(const char *word, nsb_error *error);     /* PATH:PATH... */
int nsb_check_device(const char *word, nsb_error *error);     /* of io_max */
int nsb_check_namespace(const char *word, nsb_error *error);  /* of namespaces */
int nsb_check_subid_pool(const char *word, nsb_error *error); /* FIRST-LAST or "subuid" */

/* What such a word says: the first and the last id, both in; at least 65536 of them, none below 65536 or beyond 31 bits.
 * 0; 1 for "subuid"; -EINVAL with a sentence. */
int nsb_parse_subid_pool(const char *word, uint32_t *ret_first, uint32_t *ret_last, nsb_error *error);

#endif
