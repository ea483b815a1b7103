/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/log.h"
#include "helper/times.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef struct begin {
	nsb_stage stage;
	int64_t us; /* CLOCK_MONOTONIC */
} begin;

typedef struct begins {
	unsigned n;
	begin stages[NSB_STAGE_MAX];
} begins;

static begins own, *kept = &own;

void times_share(void)
{
	void *shared = mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return;
	memcpy(shared, &own, sizeof(own));
	kept = shared;
}

void times_enter(nsb_stage stage)
{
	struct timespec now;
	unsigned n = kept->n;

	/* one may be entered twice, to prepare it and to run its steps */
	if (n == NSB_STAGE_MAX || (n > 0 && kept->stages[n - 1].stage == stage))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	kept->stages[n] = (begin){ stage, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 };
	kept->n = n + 1;
}

void times_tell(const char *login)
{
	char text[512] = "";
	size_t used = 0;

	for (unsigned i = 0; i + 1 < kept->n && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %lld", i > 0 ? ", " : "",
					 nsb_stage_name((int)kept->stages[i].stage),
					 (long long)(kept->stages[i + 1].us - kept->stages[i].us));
	nsb_log(LOG_DEBUG, "nsbox %s: times in us: %s", login, text);
}
