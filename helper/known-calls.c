/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libseccomp has one answer for every call without a rule. If that were ENOSYS, each allowed call would need a rule,
 * and one that is denied for some values of an argument a rule for each other value. So its part of the program allows,
 * and this one, in front of it, sorts out what is no call: numbers in a row are one comparison.
 */
#include "helper/known-calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>

/* Where numbers are looked for: all tables of Linux, MIPS's last one among them, and arm's private calls. Those of x32
 * (from 0x40000000 on) are left out on purpose: hardly a kernel has that entry switched on, nobody has programs for it,
 * and it is the same calls once more by other numbers. */
static const struct {
	uint32_t first, last;
} searched[] = { { 0, 8191 }, { 0xf0001, 0xf0006 } };

static int put(nsb_program *program, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	if (program->n >= NSB_PROGRAM_MAX)
		return -E2BIG;
	program->code[program->n++] = (struct sock_filter){ .code = code, .jt = yes, .jf = no, .k = k };
	return 0;
}

static bool is_known(uint32_t arch, uint32_t number)
{
	char *name = seccomp_syscall_resolve_num_arch(arch, (int)number);

	free(name);
	return name != NULL;
}

/* Numbers from `first` to `last` are calls; all below `first` that get here are none. The end of the program's part is
 * not known yet and may be far: what is a call goes there by a jump of its own, which has 32 bits. */
static int put_interval(nsb_program *program, uint32_t first, uint32_t last, size_t *jumps, size_t *n_jumps)
{
	int r = put(program, BPF_JMP | BPF_JGT | BPF_K, last, 3, 0);

	if (r == 0)
		r = put(program, BPF_JMP | BPF_JGE | BPF_K, first, 1, 0);
	if (r == 0)
		r = put(program, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
	if (r == 0) {
		jumps[(*n_jumps)++] = program->n;
		r = put(program, BPF_JMP | BPF_JA, 0, 0, 0);
	}
	return r;
}

static int put_known(nsb_program *program, uint32_t arch, size_t *jumps, size_t *n_jumps)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(searched) / sizeof(searched[0]); i++) {
		uint32_t number = searched[i].first;

		while (r == 0 && number <= searched[i].last) {
			uint32_t first = number;

			while (number <= searched[i].last && is_known(arch, number))
				number++;
			if (number > first)
				r = put_interval(program, first, number - 1, jumps, n_jumps);
			number++;
		}
	}
	return r == 0 ? put(program, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0) : r;
}

int known_calls_append(nsb_program *program, const uint32_t *arches)
{
	size_t jumps[NSB_PROGRAM_MAX], n_jumps = 0;
	int r = put(program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);

	for (size_t i = 0; r == 0 && arches[i] != 0; i++) {
		size_t other;

		/* the tokens are those of <linux/audit.h> */
		r = put(program, BPF_JMP | BPF_JEQ | BPF_K, arches[i], 1, 0);
		other = program->n;
		if (r == 0)
			r = put(program, BPF_JMP | BPF_JA, 0, 0, 0);
		if (r == 0)
			r = put(program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
		if (r == 0)
			r = put_known(program, arches[i], jumps, &n_jumps);
		if (r == 0)
			program->code[other].k = (uint32_t)(program->n - other - 1);
	}
	if (r == 0)
		r = put(program, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	for (size_t i = 0; r == 0 && i < n_jumps; i++)
		program->code[jumps[i]].k = (uint32_t)(program->n - jumps[i] - 1);
	return r;
}
