/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * no-syscall NAME[=ERROR][,NAME...] COMMAND [ARG...]: runs COMMAND on a kernel that does not have these system calls: each
 * fails with ENOSYS, or with the error that is named, in COMMAND and in all that it starts.
 */
#define _GNU_SOURCE
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

#define CALL(name)                                                                                                     \
	{                                                                                                              \
#name, SYS_##name                                                                                      \
	}
#define CALLS_MAX 8

static const struct {
	const char *name;
	unsigned number;
} calls[] = {
	CALL(clone3),	     CALL(open_tree),  CALL(move_mount),
	CALL(fsopen),	     CALL(fsconfig),   CALL(fsmount),
	CALL(mount_setattr), CALL(pidfd_open), CALL(pidfd_send_signal),
	CALL(close_range),   CALL(openat2),    CALL(statx),
	CALL(setns),	     CALL(execveat),   CALL(unshare),
	CALL(pivot_root),    CALL(faccessat2), CALL(getrandom),
	CALL(signalfd4),     CALL(seccomp),    CALL(keyctl),
};

#define ERROR(name)                                                                                                    \
	{                                                                                                              \
#name, name                                                                                            \
	}

static const struct {
	const char *name;
	unsigned number;
} errors[] = {
	ERROR(ENOSYS), ERROR(EPERM), ERROR(EACCES), ERROR(EDQUOT), ERROR(ENOMEM),
};

/* A call, and how it fails. */
typedef struct rule {
	unsigned number, error;
} rule;

/* "keyctl" or "keyctl=EPERM". 0; -1: unknown. */
static int parse(char *word, rule *ret)
{
	char *name = strsep(&word, "=");

	*ret = (rule){ 0, word == NULL ? ENOSYS : 0 };
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]) && word != NULL; i++)
		if (strcmp(errors[i].name, word) == 0)
			ret->error = errors[i].number;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0) {
			ret->number = calls[i].number;
			return ret->error != 0 ? 0 : -1;
		}
	return -1;
}

/* "if the call is N: its error", once for each, then "allow". A child of another architecture would see other numbers; there
 * is none in the tests. */
static int forbid(const rule *rules, size_t n)
{
	struct sock_filter code[1 + 2 * CALLS_MAX + 1] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { .filter = code };

	for (size_t i = 0; i < n; i++) {
		code[1 + 2 * i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rules[i].number, 0, 1);
		code[2 + 2 * i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | rules[i].error);
	}
	code[1 + 2 * n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)(2 + 2 * n);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program); /* with CAP_SYS_ADMIN: su stays setuid */
}

int main(int argc, char **argv)
{
	rule rules[CALLS_MAX];
	size_t n = 0;
	char *save = NULL;

	if (argc < 3) {
		fputs("usage: no-syscall NAME[=ERROR][,NAME...] COMMAND [ARG...]\n", stderr);
		return 2;
	}
	for (char *word = strtok_r(argv[1], ",", &save); word != NULL; word = strtok_r(NULL, ",", &save)) {
		if (n == CALLS_MAX || parse(word, &rules[n]) < 0) {
			fprintf(stderr, "no-syscall: %s: unknown, or too many\n", word);
			return 2;
		}
		n++;
	}
	if (forbid(rules, n) < 0) {
		perror("no-syscall: seccomp");
		return 2;
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "no-syscall: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
