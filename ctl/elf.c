/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/elf.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#define HEADERS_MAX 64 /* real programs have about a dozen */

static int read_at(int fd, void *to, size_t size, off_t offset)
{
	ssize_t n = pread(fd, to, size, offset);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENOEXEC;
}

static int read_name(int fd, const ElfW(Phdr) * header, char *buffer, size_t size)
{
	int r;

	if (header->p_filesz < 2 || header->p_filesz > size)
		return -ENOEXEC;
	r = read_at(fd, buffer, header->p_filesz, (off_t)header->p_offset);
	if (r < 0)
		return r;
	return buffer[0] == '/' && buffer[header->p_filesz - 1] == '\0' ? 1 : -ENOEXEC;
}

int elf_interpreter(int fd, char *buffer, size_t size)
{
	ElfW(Ehdr) elf;
	ElfW(Phdr) header;
	int r = read_at(fd, &elf, sizeof(elf), 0);

	if (r < 0)
		return r;
	if (memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_phentsize != sizeof(header) || elf.e_phnum > HEADERS_MAX)
		return -ENOEXEC;
	for (unsigned i = 0; i < elf.e_phnum; i++) {
		r = read_at(fd, &header, sizeof(header), (off_t)(elf.e_phoff + i * sizeof(header)));
		if (r < 0)
			return r;
		if (header.p_type == PT_INTERP)
			return read_name(fd, &header, buffer, size);
	}
	return 0;
}
