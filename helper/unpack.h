/* SPDX-License-Identifier: BSD-3-Clause */
/* The members of a tar archive of a stranger's, put below the working directory. */
#ifndef NSB_HELPER_UNPACK_H
#define NSB_HELPER_UNPACK_H

#include <stdint.h>

#include "common/error.h"

typedef struct unpack_count {
	uint64_t members;    /* that were made */
	uint64_t devices;    /* left out: device nodes ... */
	uint64_t channels;   /* ... FIFOs and sockets */
	uint64_t privileged; /* programs that are set-uid, set-gid or have capabilities */
	uint64_t lost;	     /* files whose capabilities this file system does not take */
} unpack_count;

/* Opens what the library needs of the host, so that afterwards the root may be another one. The caller calls
 * unpack_end(), also after an error. Source: archive_read(3), archive_write_disk(3). */
int unpack_begin(nsb_error *error);
void unpack_end(void);

/*
 * Reads the archive (tar; plain, gzip, xz or zstd) from `fd` to its end. Whatever leads out of the working directory
 * refuses all of it: -EPERM. `max`: bytes of data, a KiB for each member added; -EFBIG beyond.
 * Other errors: -EBADMSG no such archive, or damaged; -ENODATA it ends too early or holds nothing; what writing gave.
 * What was made until then stays: the caller removes it.
 */
int unpack_all(int fd, uint64_t max, unpack_count *ret, nsb_error *error);

/* A text of at most `size` - 1 bytes in which everything but printable ASCII is \xNN: names are the stranger's. */
void unpack_escape(const char *text, char *buffer, size_t size);

#endif
