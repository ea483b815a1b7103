/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * no-syscall NAME[,NAME...] COMMAND [ARG...]: runs COMMAND on a kernel that does not have these system calls: each fails
 * with ENOSYS, in COMMAND and in all that it starts.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALL(name) { #name, SYS_##name }
#define CALLS_MAX 8

static const struct {
	const char *name;
	unsigned number;
} calls[] = {
	CALL(clone3),	  CALL(open_tree),  CALL(move_mount),	     CALL(fsopen),     CALL(fsconfig), CALL(fsmount),
	CALL(mount_setattr), CALL(pidfd_open), CALL(pidfd_send_signal), CALL(close_range), CALL(openat2), CALL(statx),
	CALL(setns),	  CALL(execveat),   CALL(unshare),	     CALL(pivot_root), CALL(faccessat2), CALL(getrandom),
	CALL(signalfd4),
};

static long number_of(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	return -1;
}

/* "if the call is N: ENOSYS", once for each, then "allow". A child of another architecture would see other numbers; there
 * is none in the tests. */
static int forbid(const unsigned *numbers, size_t n)
{
	struct sock_filter code[1 + 2 * CALLS_MAX + 1] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { .filter = code };

	for (size_t i = 0; i < n; i++) {
		code[1 + 2 * i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1);
		code[2 + 2 * i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	}
	code[1 + 2 * n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)(2 + 2 * n);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program); /* with CAP_SYS_ADMIN: su stays setuid */
}

int main(int argc, char **argv)
{
	unsigned numbers[CALLS_MAX];
	size_t n = 0;
	char *save = NULL;

	if (argc < 3) {
		fputs("usage: no-syscall NAME[,NAME...] COMMAND [ARG...]\n", stderr);
		return 2;
	}
	for (const char *name = strtok_r(argv[1], ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
		long number = number_of(name);

		if (number < 0 || n == CALLS_MAX) {
			fprintf(stderr, "no-syscall: %s: unknown, or too many\n", name);
			return 2;
		}
		numbers[n++] = (unsigned)number;
	}
	if (forbid(numbers, n) < 0) {
		perror("no-syscall: seccomp");
		return 2;
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "no-syscall: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
