/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of CPUs as the kernel writes them: "0-3,8". See cpuset(7), Formats. */
#ifndef NSB_CPU_LIST_H
#define NSB_CPU_LIST_H

#include <stdint.h>

#define NSB_CPUS_MAX 8192 /* the most that a kernel can be built for */

/* CPU n is bit n % 8 of byte n / 8. */
typedef uint8_t nsb_cpus[NSB_CPUS_MAX / 8];

/* Adds the CPUs of the list to `cpus`; "" has none. The text is cut to pieces. -EINVAL: this is no list, or has a
 * number from NSB_CPUS_MAX on; then some may have been added. */
int nsb_cpu_list_add(char *text, nsb_cpus cpus);

/* Whether all CPUs of `list` are among those of `there`: 1, 0; -EINVAL: one of the two is no list; -ENOMEM. */
int nsb_cpu_list_within(const char *list, const char *there);

#endif
