/* SPDX-License-Identifier: BSD-3-Clause */
/* sshd_config(5), as far as one must know which file says what: keywords and values, Include followed, Match told. */
#ifndef NSB_CTL_SSHD_CONFIG_H
#define NSB_CTL_SSHD_CONFIG_H

#include <stdbool.h>

#define SSHD_CONFIG "/etc/ssh/sshd_config"

typedef struct sshd_option {
	const char *keyword, *value; /* without the quotes around all of it */
	const char *file;
	unsigned line;
	bool match; /* it is in a block that begins with Match */
} sshd_option;

typedef void sshd_take(void *argument, const sshd_option *option);

/* Calls `take` for each line that says something, in sshd's order: of most keywords the first one counts. 0; -errno of
 * the first file that could not be read, when all others have been. */
int sshd_config_walk(const char *file, sshd_take *take, void *argument);

/* Splits one line in place: false if it says nothing. */
bool sshd_config_split(char *line, const char **ret_keyword, const char **ret_value);

#endif
