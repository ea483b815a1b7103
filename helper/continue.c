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
 * A child with our memory and our stack overwrites what is below the frame of the function that made it: nothing that we
 * need, if that is our own function, which we never leave. syscall(2) of the C library would return into what was its
 * frame. So the instruction stands here, for the machines that are known; the others copy the memory.
 */
#if defined(__x86_64__) && !defined(__ILP32__)
#define AS_VFORK (CLONE_VM | CLONE_VFORK)

static inline __attribute__((always_inline)) long make_child(const struct clone_args *args)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args))
			 : "rcx", "r11", "memory");
	return r;
}
#elif defined(__aarch64__)
#define AS_VFORK (CLONE_VM | CLONE_VFORK)

static inline __attribute__((always_inline)) long make_child(const struct clone_args *args)
{
	register long number __asm__("x8") = SYS_clone3;
	register long first __asm__("x0") = (long)args;
	register long second __asm__("x1") = sizeof(*args);

	__asm__ volatile("svc #0" : "+r"(first) : "r"(number), "r"(second) : "memory");
	return first;
}
#else
#define AS_VFORK 0

static long make_child(const struct clone_args *args)
{
	long r = syscall(SYS_clone3, args, sizeof(*args));

	return r < 0 ? -errno : r;
}
#endif

__attribute__((noinline)) int continue_in(int group, int (*rest)(void *), void *argument, nsb_error *error)
{
	const struct clone_args args = { .flags = CLONE_INTO_CGROUP | AS_VFORK,
					 .exit_signal = SIGCHLD,
					 .cgroup = (uint64_t)group };
	long pid = make_child(&args);

	if (pid == 0) {
		close(group);
		exit(rest(argument));
	}
	if (pid > 0)
		_exit(0);
	return nsb_error_set(error, (int)-pid, "cannot continue in the cgroup of the monitors: %s",
			     strerror((int)-pid));
}
