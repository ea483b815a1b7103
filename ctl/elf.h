/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef NSB_CTL_ELF_H
#define NSB_CTL_ELF_H

#include <stddef.h>

/* The loader that a program of this machine's kind asks for, into `buffer`. 1 if it asks for one, 0 if it is static;
 * -ENOEXEC if it is no such program (a script, another machine's), -errno. Source: elf(5). */
int elf_interpreter(int fd, char *buffer, size_t size);

#endif
