/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/fault.h"

#ifdef NSB_FAULT_INJECTION
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"

/* The directory is opened while the host's tree is in sight; the builder loses sight of it later on. */
static int fault_directory = -1;

static int directory(void)
{
	if (fault_directory < 0)
		fault_directory = open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fault_directory;
}

int fault_at_step(size_t number)
{
	char text[64];
	size_t wanted;

	if (nsb_read_text_at(directory(), "nsbox-fault", text, sizeof(text)) < 0 ||
	    sscanf(text, "fail %zu", &wanted) != 1)
		return 0;
	return wanted == number ? -EIO : 0;
}

int fault_at_request(void)
{
	static size_t number;
	char text[64];
	size_t wanted, this = number++;

	if (nsb_read_text_at(directory(), "nsbox-fault", text, sizeof(text)) < 0 ||
	    sscanf(text, "request %zu", &wanted) != 1)
		return 0;
	return wanted == this ? -EIO : 0;
}

static void pause_at(nsb_stage stage)
{
	char text[64], wanted[32];
	NSB_CLOSE int reached = -1;

	if (nsb_read_text_at(directory(), "nsbox-fault", text, sizeof(text)) < 0 ||
	    sscanf(text, "pause %31s", wanted) != 1 || strcmp(wanted, nsb_stage_name(stage)) != 0)
		return;
	reached = openat(directory(), "nsbox-fault.reached", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	dprintf(reached, "%s %d\n", nsb_stage_name(stage), (int)getpid());
	for (int i = 0; i < 2000 && faccessat(directory(), "nsbox-fault", F_OK, 0) == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
}

void fault_at_stage(nsb_stage stage)
{
	pause_at(stage);
	/* this stage closes all descriptors */
	if (stage == NSB_STAGE_LOCK_DOWN)
		fault_directory = nsb_close(fault_directory);
}
#else
typedef int fault_nothing; /* ISO C wants a declaration */
#endif
