/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_OPTIONS_H
#define NSB_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/command.h"

/* The arguments of an option that may be given several times; the strings are argv's. The caller frees `items`. */
typedef struct option_list {
	char **items;
	size_t n;
} option_list;

/* One option of a subcommand: exactly one of the three is set. */
typedef struct option_row {
	const char *name;
	const char **value; /* takes an argument, which is stored here */
	bool *flag;	    /* set to true */
	option_list *list;  /* takes an argument, which is added here */
} option_row;

/*
 * Reads the options, checks the number of operands and that root asks.
 * 0: go on, with the operands in argv[*ret_first .. argc-1]. 1: nothing more is to be done, and the exit status is in
 * *ret_first; whatever was wrong has been said. Source: getopt_long(3).
 */
int options_parse(const command *self, int argc, char **argv, const option_row *rows, size_t n_rows, int max_operands,
		  int *ret_first);

/* The same, whoever asks. */
int options_parse_anybody(const command *self, int argc, char **argv, const option_row *rows, size_t n_rows,
			  int max_operands, int *ret_first);

/* Prints the subcommand's usage line after a sentence: COMMAND_USAGE. */
int options_usage(const command *self, const char *sentence);

#endif
