/* SPDX-License-Identifier: BSD-3-Clause */
/* What an administrator does by hand: look at the configuration and at boxes, make one, enter one, clean up. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command.h"

static const command commands[] = {
	{ "check", "[FILE]", "Look for mistakes in the configuration", command_check },
	{ "doctor", "[--json]", "Look for what weakens boxes on this host: kernel, PAM, ways around them, profiles",
	  command_doctor },
	{ "explain", "--user USER --service SERVICE [--tty TTY] [--from ADDRESS] [--profile PROFILE] [--conf FILE]",
	  "Tell which profile a login gets and why, and what its box would be", command_explain },
	{ "run", "--user USER [--profile PROFILE] [--conf FILE] [-- COMMAND [ARGUMENT...]]",
	  "Run a command, or the login shell, in a box without a login", command_run },
	{ "enter", "ID [--root] [-- COMMAND [ARGUMENT...]]",
	  "Run a command, or the login shell, in a box that exists", command_enter },
	{ "list", "[--json]", "List the boxes, and the sessions that were let in without one", command_list },
	{ "show", "ID [--json]", "Tell all about one box: its logins, mounts, limits, and the plan it was made by",
	  command_show },
	{ "top", "[--once] [--json]", "Show what each box uses of its limits, again and again", command_top },
	{ "freeze", "ID", "Stop all processes of a box, its login with them", command_freeze },
	{ "thaw", "ID", "Let a frozen box go on", command_thaw },
	{ "kill", "ID | --user USER [--now]", "End a box, or all boxes of a user, in order or at once", command_kill },
	{ "gc", "", "Clean what crashed boxes left behind", command_gc },
	{ "mkroot", "DIRECTORY (--from TAR | --debian [SUITE] [--mirror URL] [--include PACKAGE,...] | --busybox) [--max-size SIZE]",
	  "Make a root directory of a container's tar archive, of Debian's packages, or of busybox", command_mkroot },
	{ "pamtest", "[--pam-dir DIR] [--module FILE.so] [--user NAME[:PASSWORD][:GROUP,...]] [--file SOURCE:TARGET] [--network loopback|host] [--log FILE] [--keep] [-- COMMAND [ARGUMENT...]]",
	  "Run a command, or a shell, as root in a throw-away copy of this host, to try PAM stacks there",
	  command_pamtest },
};
static const size_t n_commands = sizeof(commands) / sizeof(commands[0]);

static void print_usage(FILE *out)
{
	fprintf(out, "usage: nsboxctl COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < n_commands; i++)
		fprintf(out, "  nsboxctl %s%s%s\n        %s.\n", commands[i].name,
			commands[i].arguments[0] != '\0' ? " " : "", commands[i].arguments, commands[i].help);
	fprintf(out, "  nsboxctl --help | --version\n\n"
		     "Exit status: 0 ok, 1 a problem was found, 2 wrong usage; run, enter and pamtest pass the command's on. See "
		     "nsboxctl(8).\n");
}

static const command *find(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int wrong_usage(const char *name)
{
	if (name != NULL)
		fprintf(stderr, "nsboxctl: there is no command \"%s\"\n", name);
	print_usage(stderr);
	return COMMAND_USAGE;
}

/* What is opened later must not become somebody's standard output. */
static int open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int run(const command *chosen, int argc, char **argv)
{
	int status;

	if (chosen == NULL)
		return wrong_usage(argv[1]);
	argv[1] = argv[0]; /* getopt_long(3) names it in its complaints */
	status = chosen->run(chosen, argc - 1, argv + 1);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "nsboxctl: cannot write all of the output: %s\n", strerror(errno));
		return status != COMMAND_OK ? status : COMMAND_PROBLEM;
	}
	return status;
}

int main(int argc, char **argv)
{
	if (open_standard_files() < 0)
		return COMMAND_PROBLEM;
	if (argc < 2)
		return wrong_usage(NULL);
	argv[0] = (char *)"nsboxctl";
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return COMMAND_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("nsboxctl %s\n", NSB_VERSION);
		return COMMAND_OK;
	}
	return run(find(argv[1]), argc, argv);
}
