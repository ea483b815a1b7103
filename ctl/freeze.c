/* SPDX-License-Identifier: BSD-3-Clause */
/* nsboxctl freeze and thaw: the helper does it, and says what is wrong. */
#include "common/registry.h"
#include "ctl/ask.h"
#include "ctl/boxes.h"
#include "ctl/command.h"
#include "ctl/options.h"
#include "ctl/run-helper.h"
#include "ctl/tell.h"

static int change(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(box_item_done))) box_item box = { 0 };
	nsb_error error = { 0 };
	char ignored[32];
	int first, status;

	if (options_parse(self, argc, argv, NULL, 0, 1, &first) != 0)
		return first;
	if (first == argc)
		return options_usage(self, "the box's id is missing");
	if (ask_outside(&error) < 0 || boxes_find(argv[first], &box, &error) < 0)
		return tell_error(&error);
	status = run_helper((char *[]){ (char *)"nsbox-helper", (char *)self->name, box.entry.id, NULL }, ignored,
			    sizeof(ignored), &error);
	if (status < 0)
		return tell_error(&error);
	return status == 0 ? COMMAND_OK : COMMAND_PROBLEM;
}

int command_freeze(const command *self, int argc, char **argv)
{
	return change(self, argc, argv);
}

int command_thaw(const command *self, int argc, char **argv)
{
	return change(self, argc, argv);
}
