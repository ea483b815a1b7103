/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl gc: what a login does for some old entries, for all of them. The helper does it; its one line is the number. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/run-helper.h"
#include "ctl/tell.h"

static int collect(uint64_t *ret, nsb_error *error)
{
	char *const arguments[] = { (char *)"nsbox-helper", (char *)"gc", NULL };
	char text[32];
	int status = run_helper(arguments, text, sizeof(text), error);

	if (status < 0)
		return status;
	if (status != 0 || nsb_parse_u64(text, UINT64_MAX, ret) < 0)
		return nsb_error_set(error, EIO, "nsbox-helper could not clean (see its lines above and in syslog)");
	return 0;
}

int command_gc(const command *self, int argc, char **argv)
{
	nsb_error error = { 0 };
	uint64_t n;
	int first;

	if (options_parse(self, argc, argv, NULL, 0, 0, &first) != 0)
		return first;
	if (ask_outside(&error) < 0 || collect(&n, &error) < 0)
		return tell_error(&error);
	if (n == 0)
		printf("nothing to clean\n");
	else
		printf("%ju box%s cleaned\n", (uintmax_t)n, n == 1 ? "" : "es");
	return COMMAND_OK;
}
