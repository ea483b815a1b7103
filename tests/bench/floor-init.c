/* SPDX-License-Identifier: BSD-3-Clause */
/* PID 1 of floor.c: says that it runs, and reaps until it is killed. Linked as nsbox-init is. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	if (write(3, "r", 1) != 1)
		return 1;
	close(3);
	for (;;)
		if (wait(NULL) < 0 && errno == ECHILD)
			pause();
}
