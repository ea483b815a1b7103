/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/continue.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Parent and child have one memory, one stack in it too. That is safe if the parent never touches memory again: between
 * its two system calls, clone3 and exit_group, are only registers. So both stand here, for the machines that are known;
 * on others the child gets a copy. (When the parent ends, the kernel writes 0 where set_tid_address(2) said: in musl a
 * lock of threads, which we have none of, in glibc the parent's own number.) Returns what clone3 does, but only in the
 * child (0) or if there is none (-errno).
 */
#if defined(__x86_64__) && !defined(__ILP32__)
#define SHARED CLONE_VM

static inline __attribute__((always_inline)) long be_child(const struct clone_args *args)
{
	long r = SYS_clone3;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jle 1f\n\t"
			 "xor %%edi, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n"
			 "1:"
			 : "+a"(r), "+D"(args)
			 : "S"(sizeof(*args)), [exit] "i"(SYS_exit_group)
			 : "rcx", "r11", "cc", "memory");
	return r;
}
#elif defined(__aarch64__)
#define SHARED CLONE_VM

static inline __attribute__((always_inline)) long be_child(const struct clone_args *args)
{
	register long number __asm__("x8") = SYS_clone3;
	register long first __asm__("x0") = (long)args;
	register long second __asm__("x1") = sizeof(*args);

	__asm__ volatile("svc #0\n\t"
			 "cmp x0, #0\n\t"
			 "b.le 1f\n\t"
			 "mov x0, #0\n\t"
			 "mov x8, %[exit]\n\t"
			 "svc #0\n"
			 "1:"
			 : "+r"(first), "+r"(number)
			 : "r"(second), [exit] "i"(SYS_exit_group)
			 : "cc", "memory");
	return first;
}
#else
#define SHARED 0

static long be_child(const struct clone_args *args)
{
	long r = syscall(SYS_clone3, args, sizeof(*args));

	if (r > 0)
		_exit(0);
	return r < 0 ? -errno : 0;
}
#endif

__attribute__((noinline)) int continue_in(int group, int (*rest)(void *), void *argument, nsb_error *error)
{
	const struct clone_args args = { .flags = CLONE_INTO_CGROUP | SHARED,
					 .exit_signal = SIGCHLD,
					 .cgroup = (uint64_t)group };
	long r = be_child(&args);

	if (r == 0) {
		close(group);
		exit(rest(argument));
	}
	return nsb_error_set(error, (int)-r, "cannot continue in the cgroup of the monitors: %s", strerror((int)-r));
}
