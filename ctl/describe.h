/* SPDX-License-Identifier: BSD-3-Clause */
/* What list, show and top say in JSON. */
#ifndef NSB_CTL_DESCRIBE_H
#define NSB_CTL_DESCRIBE_H

#include <json-c/json.h>
#include <stdint.h>

#include "ctl/boxes.h"

/* The text as valid UTF-8; null without memory. */
json_object *describe_text(const char *words);

/* Null for UINT64_MAX (NSB_USAGE_UNKNOWN). */
json_object *describe_number(uint64_t value);

/* The object that stands for the box in `list --json`. */
json_object *describe_box(const box_item *item);

/* Prints it, and gives it up. */
void describe_print(json_object *value);

#endif
