/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * push HOW TEXT: pushes TEXT and a newline into the input of its terminal, for whoever reads it next. HOW: sti, sti64 (the number
 * has bits that the kernel does not look at), linux (TIOCLINUX pastes what is selected; on virtual consoles only). Prints
 * "HOW ERRNO".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long push(const char *how, const char *byte)
{
	char paste = 3; /* TIOCL_PASTESEL */

	if (strcmp(how, "linux") == 0)
		return syscall(SYS_ioctl, 0, 0x541cUL, &paste);
	return syscall(SYS_ioctl, 0, strcmp(how, "sti64") == 0 ? 0x100005412UL : 0x5412UL, byte);
}

int main(int argc, char **argv)
{
	long r = 0;

	if (argc != 3)
		return 2;
	for (const char *at = argv[2]; r == 0 && *at != '\0'; at++)
		r = push(argv[1], at);
	if (r == 0)
		r = push(argv[1], "\n");
	printf("%s %s\n", argv[1], r < 0 ? strerrorname_np(errno) : "OK");
	return 0;
}
