/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/cpu-list.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"

/* "N" or "N-M" */
static int parse_range(char *text, uint64_t *ret_first, uint64_t *ret_last)
{
	char *dash = strchr(text, '-');

	if (dash != NULL)
		*dash++ = '\0';
	if (nsb_parse_u64(text, NSB_CPUS_MAX - 1, ret_first) < 0 ||
	    nsb_parse_u64(dash != NULL ? dash : text, NSB_CPUS_MAX - 1, ret_last) < 0 || *ret_first > *ret_last)
		return -EINVAL;
	return 0;
}

int nsb_cpu_list_add(char *text, nsb_cpus cpus)
{
	char *next = *text != '\0' ? text : NULL;
	uint64_t first, last;

	while (next != NULL) {
		if (parse_range(strsep(&next, ","), &first, &last) < 0)
			return -EINVAL;
		for (; first <= last; first++)
			cpus[first / 8] |= (uint8_t)(1u << first % 8);
	}
	return 0;
}

int nsb_cpu_list_within(const char *list, const char *there)
{
	NSB_FREE char *wanted_text = strdup(list), *there_text = strdup(there);
	nsb_cpus wanted = { 0 }, present = { 0 };

	if (wanted_text == NULL || there_text == NULL)
		return -ENOMEM;
	if (nsb_cpu_list_add(wanted_text, wanted) < 0 || nsb_cpu_list_add(there_text, present) < 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(wanted); i++)
		if (wanted[i] & ~present[i])
			return 0;
	return 1;
}
