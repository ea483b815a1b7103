/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsbox-seccomp default|strict [nested] [core]: writes the filter of a session's system calls to standard output, as
 * the array of struct sock_filter that seccomp(2) takes. Run by nsbox-helper, which keeps what it wrote (filter.c).
 * nsbox-seccomp list: the table in words.
 *
 *   nested  nested_namespaces = yes
 *   core    core = yes
 *
 * Exit status: 0; 1 with a sentence on standard error; 2: wrong usage.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fd-util.h"
#include "helper/known-calls.h"
#include "helper/syscall-table.h"

/* the complement of some numbers of 32 bits, in pieces that a mask describes */
#define PIECES_MAX (NSB_VALUES_MAX * 32)

typedef struct pieces {
	struct scmp_arg_cmp compare[PIECES_MAX];
	size_t n;
} pieces;

/* The first is the native one. A kernel of 64 bits runs the programs of these others as well. */
static const struct {
	uint32_t native, others[3];
} families[] = {
	{ SCMP_ARCH_X86_64, { SCMP_ARCH_X86 } },
	{ SCMP_ARCH_AARCH64, { SCMP_ARCH_ARM } },
	{ SCMP_ARCH_PPC64, { SCMP_ARCH_PPC } },
	{ SCMP_ARCH_S390X, { SCMP_ARCH_S390 } },
	{ SCMP_ARCH_MIPS64, { SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64N32 } },
	{ SCMP_ARCH_MIPSEL64, { SCMP_ARCH_MIPSEL, SCMP_ARCH_MIPSEL64N32 } },
	{ SCMP_ARCH_PARISC64, { SCMP_ARCH_PARISC } },
};

static void find_arches(uint32_t *arches)
{
	size_t n = 0;

	arches[n++] = seccomp_arch_native();
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (size_t j = 0; j < 3 && families[i].native == arches[0]; j++)
			if (families[i].others[j] != 0)
				arches[n++] = families[i].others[j];
	arches[n] = 0;
}

static void add_piece(pieces *all, unsigned argument, uint32_t mask, uint32_t value)
{
	all->compare[all->n++] = SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value);
}

/* All numbers that begin with the `bits` uppermost bits of `start` and are not among the values: as one piece if no
 * value is, else in two halves. */
static void add_others(pieces *all, const nsb_compare *compare, uint32_t start, unsigned bits)
{
	uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
	bool clear = true;

	for (size_t i = 0; i < compare->n; i++)
		clear &= (compare->values[i] & mask) != start;
	if (clear) {
		add_piece(all, compare->argument, mask, start);
	} else if (bits < 32) {
		add_others(all, compare, start, bits + 1);
		add_others(all, compare, start | UINT32_C(1) << (31 - bits), bits + 1);
	}
}

/* One comparison of the table as comparisons of libseccomp, of which one must hold. */
static void split(const nsb_compare *compare, pieces *all)
{
	uint32_t mask = compare->mask != 0 ? compare->mask : UINT32_MAX;

	all->n = 0;
	if (compare->kind == NSB_COMPARE_IS_NOT)
		add_others(all, compare, 0, 0);
	for (size_t i = 0; i < compare->n && compare->kind == NSB_COMPARE_IS; i++)
		add_piece(all, compare->argument, mask, compare->values[i]);
	for (unsigned bit = 0; bit < 32 && compare->kind == NSB_COMPARE_HAS; bit++)
		for (size_t i = 0; i < compare->n; i++)
			if (compare->values[i] & UINT32_C(1) << bit)
				add_piece(all, compare->argument, UINT32_C(1) << bit, UINT32_C(1) << bit);
	if (compare->kind == NSB_COMPARE_GIVEN)
		all->compare[all->n++] = SCMP_CMP64(compare->argument, SCMP_CMP_NE, 0, 0);
}

static int add_rule(scmp_filter_ctx filter, const char *name, const nsb_denied *row, unsigned n,
		    const struct scmp_arg_cmp *compare, nsb_error *error)
{
	int call = seccomp_syscall_resolve_name(name), r;

	if (call == __NR_SCMP_ERROR)
		return nsb_error_set(error, ENOENT, "libseccomp does not know the system call %s", name);
	/* on architectures that do not have the call, and have not got it by another number either, nothing is added */
	r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)row->error), call, n, compare);
	return r < 0 ? nsb_error_set(error, r, "libseccomp takes no rule about %s: %s", name, strerror(-r)) : 0;
}

static int add_call(scmp_filter_ctx filter, const char *name, const nsb_denied *row, nsb_error *error)
{
	static pieces first, second; /* large */
	struct scmp_arg_cmp both[NSB_COMPARES_MAX];
	int r = 0;

	split(&row->compare[0], &first);
	split(&row->compare[1], &second);
	if (first.n == 0)
		return add_rule(filter, name, row, 0, NULL, error);
	for (size_t i = 0; r == 0 && i < first.n; i++) {
		both[0] = first.compare[i];
		if (second.n == 0)
			r = add_rule(filter, name, row, 1, both, error);
		for (size_t j = 0; r == 0 && j < second.n; j++) {
			both[1] = second.compare[j];
			r = add_rule(filter, name, row, 2, both, error);
		}
	}
	return r;
}

static int add_row(scmp_filter_ctx filter, const nsb_denied *row, nsb_error *error)
{
	NSB_FREE char *names = strdup(row->calls);
	char *save = NULL;
	int r = names == NULL ? -ENOMEM : 0;

	for (char *name = r == 0 ? strtok_r(names, " ", &save) : NULL; r == 0 && name != NULL;
	     name = strtok_r(NULL, " ", &save))
		r = add_call(filter, name, row, error);
	return r;
}

static int build(scmp_filter_ctx filter, const uint32_t *arches, unsigned without, nsb_error *error)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree of numbers */
	for (size_t i = 1; r == 0 && arches[i] != 0; i++)
		r = seccomp_arch_add(filter, arches[i]);
	if (r < 0)
		return nsb_error_set(error, r, "libseccomp cannot prepare a filter: %s", strerror(-r));
	/* glibc of s390 makes every socket by socketcall(2), of which a filter sees only which of its calls it is */
	if (arches[0] == SCMP_ARCH_S390X || arches[0] == SCMP_ARCH_S390)
		without |= NSB_DENIED_SOCKETCALL;
	for (size_t i = 0; r == 0 && i < nsb_n_denied_calls; i++)
		if ((nsb_denied_calls[i].flags & without) == 0)
			r = add_row(filter, &nsb_denied_calls[i], error);
	return r;
}

/* libseccomp writes to descriptors only. */
static int take(scmp_filter_ctx filter, nsb_program *program, nsb_error *error)
{
	NSB_CLOSE int fd = memfd_create("filter", MFD_CLOEXEC);
	size_t room = (NSB_PROGRAM_MAX - program->n) * sizeof(program->code[0]);
	off_t size;
	int r = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);

	if (r < 0)
		return nsb_error_set(error, r, "libseccomp cannot write the filter: %s", strerror(-r));
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || (size_t)size % sizeof(program->code[0]) != 0 || (size_t)size > room)
		return nsb_error_set(error, E2BIG, "the filter has %lld bytes: the kernel takes %d instructions",
				     (long long)size, NSB_PROGRAM_MAX);
	if (pread(fd, &program->code[program->n], (size_t)size, 0) != size)
		return nsb_error_set(error, EIO, "cannot read the filter of libseccomp");
	program->n += (size_t)size / sizeof(program->code[0]);
	return 0;
}

static int write_filter(unsigned without, nsb_error *error)
{
	static nsb_program program; /* large */
	uint32_t arches[5];
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (filter == NULL)
		return nsb_error_set(error, ENOMEM, "libseccomp cannot begin a filter");
	find_arches(arches);
	r = build(filter, arches, without, error);
	if (r == 0)
		r = known_calls_append(&program, arches);
	if (r == 0)
		r = take(filter, &program, error);
	seccomp_release(filter);
	if (r == 0)
		r = nsb_write_all(STDOUT_FILENO, program.code, program.n * sizeof(program.code[0]));
	return r < 0 ? nsb_error_set(error, r, "cannot make the filter: %s", strerror(-r)) : 0;
}

/* Level, what the caller sees, calls, reason: with tabs between. Calls of which only some arguments are denied have
 * "(...)". */
static int list(void)
{
	for (size_t i = 0; i < nsb_n_denied_calls; i++) {
		const nsb_denied *row = &nsb_denied_calls[i];

		printf("%s%s%s\t%s\t%s%s\t%s\n", row->flags & NSB_DENIED_STRICT ? "strict" : "default",
		       row->flags & NSB_DENIED_UNLESS_NESTED ? " unless-nested" : "",
		       row->flags & NSB_DENIED_UNLESS_CORE ? " unless-core" : "",
		       row->error == 0 ? "success" : nsb_errno_name(row->error), row->calls,
		       row->compare[0].kind != NSB_COMPARE_NOTHING ? " (...)" : "", row->why);
	}
	return fflush(stdout) != 0;
}

/* The words as flags of rows that are left out. */
static int parse(int argc, char **argv, unsigned *ret)
{
	unsigned without = NSB_DENIED_STRICT;

	if (argc < 2 || (strcmp(argv[1], "default") != 0 && strcmp(argv[1], "strict") != 0))
		return -EINVAL;
	if (strcmp(argv[1], "strict") == 0)
		without = 0;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "nested") == 0)
			without |= NSB_DENIED_UNLESS_NESTED;
		else if (strcmp(argv[i], "core") == 0)
			without |= NSB_DENIED_UNLESS_CORE;
		else
			return -EINVAL;
	}
	*ret = without;
	return 0;
}

int main(int argc, char **argv)
{
	nsb_error error = { 0 };
	unsigned without;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list();
	if (parse(argc, argv, &without) < 0) {
		fprintf(stderr, "usage: nsbox-seccomp default|strict [nested] [core] | list\n");
		return 2;
	}
	if (write_filter(without, &error) == 0)
		return 0;
	fprintf(stderr, "%s\n", error.words);
	return 1;
}
