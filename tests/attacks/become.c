/* SPDX-License-Identifier: BSD-3-Clause */
/* become COMMAND...: set-user-ID root, it is sudo without a configuration: what a user gets who finds a hole in such a program.
 * Without the right to it, COMMAND runs as who it is. */
#include <grp.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		perror("become");
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
