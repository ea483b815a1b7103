/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/options.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "common/string-util.h"

#define OPTIONS_MAX 8 /* of one subcommand, --help included */

enum { FIRST_ROW = 256 }; /* beyond any character: there are no short options */

int options_usage(const command *self, const char *sentence)
{
	if (sentence != NULL)
		fprintf(stderr, "nsboxctl: %s\n", sentence);
	fprintf(stderr, "usage: nsboxctl %s%s%s\n", self->name, self->arguments[0] != '\0' ? " " : "", self->arguments);
	return COMMAND_USAGE;
}

static int done(int *ret, int status)
{
	*ret = status;
	return 1;
}

static void fill(const option_row *rows, size_t n_rows, struct option *ret)
{
	for (size_t i = 0; i < n_rows && i < OPTIONS_MAX - 1; i++)
		ret[i] = (struct option){ .name = rows[i].name,
					  .has_arg = rows[i].flag == NULL ? required_argument : no_argument,
					  .val = FIRST_ROW + (int)i };
	ret[n_rows] = (struct option){ .name = "help", .val = 'h' };
}

/* False without memory. */
static bool take(const option_row *row, char *argument)
{
	char **more;

	if (row->flag != NULL)
		*row->flag = true;
	else if (row->value != NULL)
		*row->value = argument;
	if (row->list == NULL)
		return true;
	more = nsb_grow(row->list->items, row->list->n, sizeof(*more));
	if (more == NULL)
		return false;
	row->list->items = more;
	more[row->list->n++] = argument;
	return true;
}

int options_parse_anybody(const command *self, int argc, char **argv, const option_row *rows, size_t n_rows,
			  int max_operands, int *ret_first)
{
	struct option options[OPTIONS_MAX + 1] = { 0 };
	int found;

	fill(rows, n_rows, options);
	while ((found = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const option_row *row;

		if (found == 'h') {
			printf("usage: nsboxctl %s %s\n%s.\n", self->name, self->arguments, self->help);
			return done(ret_first, COMMAND_OK);
		}
		if (found < FIRST_ROW)
			return done(ret_first, options_usage(self, NULL));
		row = &rows[found - FIRST_ROW];
		if (!take(row, optarg))
			return done(ret_first, options_usage(self, "no memory"));
	}
	if (max_operands >= 0 && argc - optind > max_operands)
		return done(ret_first, options_usage(self, "too many arguments"));
	*ret_first = optind;
	return 0;
}

int options_parse(const command *self, int argc, char **argv, const option_row *rows, size_t n_rows, int max_operands,
		  int *ret_first)
{
	int r = options_parse_anybody(self, argc, argv, rows, n_rows, max_operands, ret_first);

	if (r != 0)
		return r;
	if (geteuid() != 0) {
		fprintf(stderr, "nsboxctl: only root may do this: boxes and their configuration are root's\n");
		return done(ret_first, COMMAND_PROBLEM);
	}
	return 0;
}
