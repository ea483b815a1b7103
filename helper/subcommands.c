/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/subcommands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/registry.h"
#include "helper/delegate.h"
#include "helper/freeze.h"
#include "helper/network-leases.h"
#include "helper/notice.h"
#include "helper/renew.h"
#include "helper/teardown.h"

#define RENEW_MAX 10 /* seconds */

static int tell(const nsb_error *error)
{
	fprintf(stderr, "nsbox-helper: %s\n", error->words);
	return 1;
}

/* By the monitor, with its life pipe and the pidfd of PID 1. */
static int end(char **arguments)
{
	return teardown_end(arguments[0], atoi(arguments[1]), atoi(arguments[2]));
}

/* By the monitor, whose application did not say that it has joined. */
static int unjoined(char **arguments)
{
	NSB_CLOSE int boxes = nsb_registry_open(false, NULL);
	nsb_entry entry;

	if (boxes >= 0 && nsb_id_valid(arguments[0]) && nsb_registry_read(boxes, arguments[0], &entry) == 0)
		nsb_log(LOG_ERR, "box %s of %s was taken back: the application did not join", entry.id, entry.user);
	return end(arguments);
}

/* By the guard. */
static int end_for_guard(char **arguments)
{
	return teardown_end(arguments[0], -1, -1);
}

/* The monitor waits for its child, but not for utmp, which may be locked, nor for a file system: what may take long goes
 * on in a child of that. It holds nothing of the monitor's: whoever holds the life pipe keeps the guard back when the
 * monitor is killed. -1 in that child; else the exit status for the monitor. */
static int go_on_alone(void)
{
	pid_t child = fork();

	if (child != 0)
		return child < 0;
	syscall(SYS_close_range, 3, ~0u, 0);
	return -1;
}

/* By the monitor. */
static int renew(char **arguments)
{
	int r = nsb_id_valid(arguments[0]) ? go_on_alone() : 2;

	if (r >= 0)
		return r;
	alarm(RENEW_MAX);
	return renew_box(arguments[0]);
}

/* By the monitor. */
static int leave(char **arguments)
{
	int r = nsb_id_valid(arguments[0]) && nsb_id_valid(arguments[1]) ? go_on_alone() : 2;

	if (r >= 0)
		return r;
	teardown_member(arguments[0], arguments[1]);
	return 0;
}

static int notice(char **arguments)
{
	return notice_tell(arguments[0], arguments[1]);
}

static int collect_garbage(char **arguments)
{
	nsb_error error = { 0 };
	NSB_CLOSE int boxes = nsb_registry_open(false, &error);

	(void)arguments;
	if (boxes < 0 && boxes != -ENOENT)
		return tell(&error);
	if (boxes >= 0)
		leases_sweep(boxes);
	printf("%zu\n", boxes < 0 ? 0 : teardown_sweep(boxes, 0, NSB_TEARDOWN_PATIENCE) + freeze_sweep(boxes));
	return 0;
}

static int freeze(char **arguments)
{
	return freeze_run(arguments[0], true);
}

static int thaw(char **arguments)
{
	return freeze_run(arguments[0], false);
}

static int delegate(char **arguments)
{
	nsb_error error = { 0 };

	(void)arguments;
	delegate_become_holder(&error);
	return tell(&error);
}

static const struct {
	const char *name;
	int n; /* arguments */
	int (*run)(char **arguments);
} subcommands[] = {
	{ "end", 3, end },	     { "unjoined", 3, unjoined },  { "end", 1, end_for_guard },
	{ "notice", 2, notice },     { "gc", 0, collect_garbage }, { "leave", 2, leave },
	{ "renew", 1, renew },	     { "freeze", 1, freeze },	   { "thaw", 1, thaw },
	{ "delegate", 0, delegate },
};

int subcommand_run(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (argc - 2 == subcommands[i].n && strcmp(argv[1], subcommands[i].name) == 0)
			return subcommands[i].run(argv + 2);
	return -1;
}
