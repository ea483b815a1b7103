/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes system calls by number, and by each entry of the kernel: lines "ENTRY NUMBER [ARGUMENT...]" on standard input, ENTRY
 * being 64, x32 or 86 (int 0x80); for each a line with what came back, a negative errno if it failed. A call is made in a
 * process of its own, so that a filter that kills shows as "killed".
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define X32 0x40000000L

static long raw64(long number, const uint64_t *a)
{
	long result;
	register uint64_t r10 __asm__("r10") = a[3];
	register uint64_t r8 __asm__("r8") = a[4];
	register uint64_t r9 __asm__("r9") = a[5];

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static long raw86(long number, const uint64_t *a)
{
	int32_t result;

	__asm__ volatile("push %%rbp\n\tmov %6, %%ebp\n\tint $0x80\n\tpop %%rbp"
			 : "=a"(result)
			 : "a"((int)number), "b"((uint32_t)a[0]), "c"((uint32_t)a[1]), "d"((uint32_t)a[2]),
			   "S"((uint32_t)a[3]), "m"(*(const uint32_t *)&a[5]), "D"((uint32_t)a[4])
			 : "r8", "r9", "r10", "r11", "memory");
	return result;
}

static long make(const char *entry, long number, const uint64_t *arguments)
{
	if (strcmp(entry, "86") == 0)
		return raw86(number, arguments);
	return raw64(strcmp(entry, "x32") == 0 ? number | X32 : number, arguments);
}

/* What a fork of it says through the pipe; clone(2) may have made two, of which one is silent. */
static void attempt(const char *entry, long number, const uint64_t *arguments)
{
	int ends[2], status;
	long result;
	pid_t child;

	if (pipe(ends) < 0 || (child = fork()) < 0)
		exit(1);
	if (child == 0) {
		pid_t self = getpid();

		result = make(entry, number, arguments);
		if (syscall(SYS_getpid) == self)
			exit(write(ends[1], &result, sizeof(result)) != sizeof(result));
		_exit(0);
	}
	close(ends[1]);
	waitpid(child, &status, 0);
	if (read(ends[0], &result, sizeof(result)) == sizeof(result))
		printf("%ld\n", result);
	else
		printf("killed by %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	close(ends[0]);
}

int main(void)
{
	char line[512];

	setvbuf(stdout, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		uint64_t arguments[6] = { 0 };
		char *save, *entry = strtok_r(line, " \n", &save), *word = strtok_r(NULL, " \n", &save);
		long number = word != NULL ? strtol(word, NULL, 0) : 0;

		for (int i = 0; i < 6 && (word = strtok_r(NULL, " \n", &save)) != NULL; i++)
			arguments[i] = strtoull(word, NULL, 0);
		attempt(entry, number, arguments);
	}
	return 0;
}
