/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of refused system calls, and the part of a filter that knows which numbers are calls: run by an interpreter
 * of the few instructions that it has. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/error.h"
#include "helper/known-calls.h"
#include "helper/syscall-table.h"

#define BEHIND 0xffffffffu /* the program goes on */

static bool names_call(const nsb_denied *row, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strstr(row->calls, name); at != NULL; at = strstr(at + 1, name))
		if ((at == row->calls || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}

/* A call that is refused whatever its arguments are must not stand anywhere else. */
static void stands_once(const char *name, size_t here)
{
	for (size_t i = 0; i < nsb_n_denied_calls; i++) {
		const nsb_denied *other = &nsb_denied_calls[i];

		if (i != here && names_call(other, name) &&
		    (other->compare[0].kind == NSB_COMPARE_NOTHING ||
		     nsb_denied_calls[here].compare[0].kind == NSB_COMPARE_NOTHING))
			fail_msg("%s stands twice", name);
	}
}

static void calls(void **state)
{
	(void)state;
	for (size_t i = 0; i < nsb_n_denied_calls; i++) {
		char *names = strdup(nsb_denied_calls[i].calls), *save = NULL;
		size_t n = 0;

		for (char *name = strtok_r(names, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save), n++) {
			if (seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR)
				fail_msg("libseccomp does not know %s", name);
			stands_once(name, i);
		}
		assert_true(n > 0);
		free(names);
	}
}

static void compares(void **state)
{
	(void)state;
	for (size_t i = 0; i < nsb_n_denied_calls; i++) {
		const nsb_denied *row = &nsb_denied_calls[i];

		assert_true(row->why[0] != '\0' && row->why[strlen(row->why) - 1] != '.');
		assert_true(row->error == 0 || nsb_errno_name(row->error)[0] == 'E');
		/* a second one without a first would be no condition at all */
		assert_true(row->compare[0].kind != NSB_COMPARE_NOTHING || row->compare[1].kind == NSB_COMPARE_NOTHING);
		for (size_t j = 0; j < NSB_COMPARES_MAX; j++) {
			const nsb_compare *compare = &row->compare[j];
			bool values = compare->kind != NSB_COMPARE_NOTHING && compare->kind != NSB_COMPARE_GIVEN;

			assert_true(compare->argument < 6 && compare->n <= NSB_VALUES_MAX &&
				    values == (compare->n > 0));
			for (size_t k = 0; k < compare->n && compare->mask != 0; k++)
				assert_int_equal(compare->values[k] & ~compare->mask, 0);
		}
		/* success without effect is for what must not be told, and never for a whole call */
		assert_true(row->error != 0 || row->compare[0].kind != NSB_COMPARE_NOTHING);
	}
}

static uint32_t run(const nsb_program *program, uint32_t arch, uint32_t number)
{
	uint32_t a = 0;

	for (size_t at = 0; at < program->n;) {
		const struct sock_filter *now = &program->code[at++];

		switch (now->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = now->k == offsetof(struct seccomp_data, nr) ? number : arch;
			break;
		case BPF_JMP | BPF_JA:
			at += now->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += a == now->k ? now->jt : now->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			at += a > now->k ? now->jt : now->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			at += a >= now->k ? now->jt : now->jf;
			break;
		case BPF_RET | BPF_K:
			return now->k;
		default:
			fail_msg("instruction %#x", now->code);
		}
	}
	return BEHIND;
}

/* Every number up to 8200 and around the borders, for some architectures by themselves and for two together. */
static void known(void **state)
{
	static const uint32_t sets[][3] = { { SCMP_ARCH_X86_64, SCMP_ARCH_X86, 0 },
					    { SCMP_ARCH_AARCH64, SCMP_ARCH_ARM, 0 },
					    { SCMP_ARCH_RISCV64, 0, 0 },
					    { SCMP_ARCH_S390X, SCMP_ARCH_S390, 0 },
					    { SCMP_ARCH_MIPS, 0, 0 },
					    { SCMP_ARCH_MIPS64N32, 0, 0 } };
	static nsb_program program;
	const uint32_t none = SECCOMP_RET_ERRNO | ENOSYS;

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		program.n = 0;
		assert_int_equal(known_calls_append(&program, sets[i]), 0);
		for (size_t j = 0; sets[i][j] != 0; j++) {
			size_t found = 0;

			for (uint32_t number = 0; number < 8200; number++) {
				char *name = seccomp_syscall_resolve_num_arch(sets[i][j], (int)number);

				if (run(&program, sets[i][j], number) != (name != NULL ? BEHIND : none))
					fail_msg("number %u of %#x (%s)", number, sets[i][j],
						 name != NULL ? name : "none");
				found += name != NULL;
				free(name);
			}
			assert_true(found > 250);
			assert_int_equal(run(&program, sets[i][j], 0xffffffff), none);
			assert_int_equal(run(&program, sets[i][j], 0x40000000), none); /* x32 */
			assert_int_equal(run(&program, sets[i][j], 0x40000001), none);
		}
		assert_int_equal(run(&program, AUDIT_ARCH_ALPHA, 1), SECCOMP_RET_KILL_PROCESS);
		assert_int_equal(run(&program, 0, 1), SECCOMP_RET_KILL_PROCESS);
	}
	program.n = 0;
	assert_int_equal(known_calls_append(&program, sets[1]), 0);
	assert_int_equal(run(&program, SCMP_ARCH_ARM, 0xf0005), BEHIND); /* set_tls, without which no program starts */
	assert_int_equal(run(&program, SCMP_ARCH_ARM, 0xf0100), none);
}

static void too_long(void **state)
{
	static nsb_program program;
	const uint32_t arches[] = { SCMP_ARCH_X86_64, 0 };
	size_t size;

	(void)state;
	assert_int_equal(known_calls_append(&program, arches), 0);
	size = program.n;
	for (size_t room = 0; room < size; room++) {
		program.n = NSB_PROGRAM_MAX - room;
		assert_int_equal(known_calls_append(&program, arches), -E2BIG);
	}
	program.n = NSB_PROGRAM_MAX - size;
	assert_int_equal(known_calls_append(&program, arches), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(calls), cmocka_unit_test(compares),
					    cmocka_unit_test(known), cmocka_unit_test(too_long) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
