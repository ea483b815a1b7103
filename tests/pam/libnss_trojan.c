/* SPDX-License-Identifier: BSD-3-Clause */
/* What an attacker puts in the place of a name service's library: it leaves a file that says who ran it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static void __attribute__((constructor)) run(void)
{
	char name[17] = "";
	int fd = open("/tmp/trojan", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	prctl(PR_GET_NAME, name);
	if (fd >= 0)
		dprintf(fd, "%s %d\n", name, (int)geteuid());
	close(fd);
}
