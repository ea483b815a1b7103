/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nsb_error_set(nsb_error *error, int err, const char *format, ...)
{
	va_list args;

	err = abs(err);
	if (error == NULL || error->words[0] != '\0')
		return -err;
	error->err = err;
	va_start(args, format);
	vsnprintf(error->words, sizeof(error->words), format, args);
	va_end(args);
	return -err;
}

const char *nsb_stage_name(int stage)
{
	static const char *const names[NSB_STAGE_MAX] = {
		[NSB_STAGE_LAUNCH] = "launch",	 [NSB_STAGE_LOCK_DOWN] = "lock_down",
		[NSB_STAGE_REQUEST] = "request", [NSB_STAGE_CONFIGURE] = "configure",
		[NSB_STAGE_PLAN] = "plan",	 [NSB_STAGE_CHECK] = "check",
		[NSB_STAGE_HOST] = "host",	 [NSB_STAGE_SPAWN] = "spawn",
		[NSB_STAGE_BUILD] = "build",	 [NSB_STAGE_ENCLOSE] = "enclose",
		[NSB_STAGE_PROVE] = "prove",	 [NSB_STAGE_EXEC] = "exec",
		[NSB_STAGE_ANSWER] = "answer",	 [NSB_STAGE_PUBLISH] = "publish",
		[NSB_STAGE_JOIN] = "join",	 [NSB_STAGE_COMMIT] = "commit",
	};

	if (stage < 0 || stage >= NSB_STAGE_MAX)
		return "unknown";
	return names[stage];
}
