/* SPDX-License-Identifier: BSD-3-Clause */
/* The subcommands of nsboxctl: one row each in the table of nsboxctl.c, one file each. */
#ifndef NSB_CTL_COMMAND_H
#define NSB_CTL_COMMAND_H

/* Exit statuses. run, enter and pamtest pass on what their command gave. */
enum {
	COMMAND_OK = 0,
	COMMAND_PROBLEM = 1,
	COMMAND_USAGE = 2,
	COMMAND_NOT_EXECUTABLE = 126, /* as the shell has it */
	COMMAND_NOT_FOUND = 127,
	COMMAND_SIGNALLED = 128, /* + the signal's number */
};

typedef struct command {
	const char *name, *arguments, *help;
	int (*run)(const struct command *self, int argc, char **argv);
} command;

/* argv[0] is the program's name; each returns an exit status. */
int command_check(const command *self, int argc, char **argv);
int command_doctor(const command *self, int argc, char **argv);
int command_enter(const command *self, int argc, char **argv);
int command_explain(const command *self, int argc, char **argv);
int command_freeze(const command *self, int argc, char **argv);
int command_gc(const command *self, int argc, char **argv);
int command_kill(const command *self, int argc, char **argv);
int command_list(const command *self, int argc, char **argv);
int command_mkroot(const command *self, int argc, char **argv);
int command_pamtest(const command *self, int argc, char **argv);
int command_run(const command *self, int argc, char **argv);
int command_show(const command *self, int argc, char **argv);
int command_thaw(const command *self, int argc, char **argv);
int command_top(const command *self, int argc, char **argv);

#endif
