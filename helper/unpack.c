/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may be in an archive that becomes a root, and what becomes of it:
 *
 *   files, directories, symbolic links	as the archive has them: numeric owner, mode with set-uid, time
 *   ACLs				left out: names of users that another host had; the mode's middle digit is then
 *					what the ACL gives to the group (the library sees to that), not the mask
 *   hard links				to what is in the archive
 *   security.capability		if the file system takes it; no other attribute: "trusted.overlay..." and its
 *					like speak to the kernel
 *   device nodes, FIFOs, sockets	left out and counted: a box has a /dev of its own
 *   absolute names, "..", names that	the whole archive is refused: nobody makes such an image by accident
 *   lead through a symbolic link
 */
#include "helper/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/fd-util.h"

#define CAPABILITY   "security.capability"
#define BLOCK	     65536
#define DEPTH_MAX    128  /* whoever removes the tree holds a descriptor for each level */
#define MEMBER_COSTS 1024 /* an inode and a name are not free either */

static struct archive *reader, *writer;

typedef struct unpacking {
	uint64_t used, max;
	unpack_count *count;
	nsb_error *error;
} unpacking;

void unpack_escape(const char *text, char *buffer, size_t size)
{
	size_t used = 0;

	for (const unsigned char *at = (const unsigned char *)text; *at != '\0' && used + 5 <= size; at++)
		used += (size_t)snprintf(buffer + used, size - used, *at >= 0x20 && *at < 0x7f ? "%c" : "\\x%02x", *at);
	buffer[used] = '\0';
}

/* --- the library --- */

/* A library that was built without the decoder says ARCHIVE_WARN and would start a program instead. */
static bool decodes(int (*add)(struct archive *))
{
	struct archive *probe = archive_read_new();
	bool found = probe != NULL && add(probe) == ARCHIVE_OK;

	archive_read_free(probe);
	return found;
}

int unpack_begin(nsb_error *error)
{
	static int (*const filters[])(struct archive *) = { archive_read_support_filter_gzip,
							    archive_read_support_filter_xz,
							    archive_read_support_filter_zstd };

	reader = archive_read_new();
	writer = archive_write_disk_new();
	if (reader == NULL || writer == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (decodes(filters[i]))
			filters[i](reader);
	if (archive_read_support_format_tar(reader) != ARCHIVE_OK)
		return nsb_error_set(error, ENOSYS, "libarchive cannot read tar: %s", archive_error_string(reader));
	/* without a lookup of names: the numbers of the archive count */
	if (archive_write_disk_set_options(writer, ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
							   ARCHIVE_EXTRACT_SECURE_SYMLINKS |
							   ARCHIVE_EXTRACT_SECURE_NODOTDOT |
							   ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS) != ARCHIVE_OK)
		return nsb_error_set(error, ENOSYS, "libarchive cannot write safely: %s", archive_error_string(writer));
	return 0;
}

void unpack_end(void)
{
	archive_read_free(reader);
	archive_write_free(writer);
	reader = writer = NULL;
}

/* --- one member --- */

/* Why nothing may have this name; NULL if it may. */
static const char *objection(const char *name)
{
	unsigned depth = 0;

	if (name == NULL)
		return "a name that is no text";
	if (name[0] == '/')
		return "an absolute name";
	if (strlen(name) >= PATH_MAX)
		return "too long a name";
	while (*name != '\0') {
		size_t length = strcspn(name, "/");

		if (length == 2 && strncmp(name, "..", 2) == 0)
			return "\"..\" in its name";
		if (++depth > DEPTH_MAX)
			return "a name of too many directories";
		name += length + strspn(name + length, "/");
	}
	return depth == 0 ? "no name" : NULL;
}

static int refuse(const unpacking *u, int err, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static int refuse(const unpacking *u, int err, const char *name, const char *format, ...)
{
	char escaped[300], words[400];
	va_list args;

	unpack_escape(name != NULL ? name : "?", escaped, sizeof(escaped));
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	return nsb_error_set(u->error, err, "the member %s %s", escaped, words);
}

static int check_names(const unpacking *u, struct archive_entry *member)
{
	const char *name = archive_entry_pathname(member), *target = archive_entry_hardlink(member), *why;

	why = objection(name);
	if (why != NULL)
		return refuse(u, EPERM, name, "has %s: no archive with such a member is unpacked", why);
	why = target == NULL ? NULL : objection(target);
	if (why != NULL)
		return refuse(u, EPERM, name, "is a hard link to something that has %s: no such archive is unpacked",
			      why);
	return 0;
}

/* An id that does not fit would become another one, 2^32 root's; and chown(2) takes the last one for "as it is". */
static int check_owner(const unpacking *u, struct archive_entry *member)
{
	int64_t uid = archive_entry_uid(member), gid = archive_entry_gid(member);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return refuse(u, EPERM, archive_entry_pathname(member), "has an owner that is no user of any system");
	return 0;
}

/* Whether it is one that is not made. */
static bool left_out(struct archive_entry *member, unpack_count *count)
{
	if (archive_entry_hardlink(member) != NULL)
		return false;
	switch (archive_entry_filetype(member)) {
	case AE_IFCHR:
	case AE_IFBLK:
		count->devices++;
		return true;
	case AE_IFIFO:
	case AE_IFSOCK:
		count->channels++;
		return true;
	default:
		return false;
	}
}

static int add_cost(unpacking *u, uint64_t bytes)
{
	u->used += bytes;
	if (u->used > u->max)
		return nsb_error_set(
			u->error, EFBIG,
			"the archive holds more than --max-size allows (%llu bytes, with 1 KiB for each member)",
			(unsigned long long)u->max);
	return 0;
}

/* What the library says of one of its two ends. */
static int failed(const unpacking *u, struct archive *end, struct archive_entry *member, int fallback)
{
	const char *name = member == NULL ? NULL : archive_entry_pathname(member), *words = archive_error_string(end);
	int err = end == writer && archive_errno(end) > 0 ? archive_errno(end) : fallback;
	char escaped[300] = "no reason given";

	if (words != NULL)
		unpack_escape(words, escaped, sizeof(escaped));
	if (err == ENOSPC || err == EDQUOT)
		return nsb_error_set(u->error, err, "the file system is full (%s): the tree does not fit",
				     strerror(err));
	if (end == writer)
		return refuse(u, err, name, "cannot be made: %s", escaped);
	return nsb_error_set(u->error, err, "the archive cannot be read: %s", escaped);
}

static int copy_data(unpacking *u, struct archive_entry *member)
{
	const void *data;
	size_t size;
	int64_t offset;

	for (;;) {
		int r = archive_read_data_block(reader, &data, &size, &offset);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return failed(u, reader, member, EBADMSG);
		r = add_cost(u, size);
		if (r < 0)
			return r;
		if (archive_write_data_block(writer, data, size, offset) < ARCHIVE_OK)
			return failed(u, writer, member, EIO);
	}
}

/* The capability leaves the entry, so that the library does not fail by it where the file system takes none. */
typedef struct capability {
	unsigned char value[64];
	size_t size; /* 0: none */
} capability;

static void take_attributes(struct archive_entry *member, capability *ret)
{
	const char *name;
	const void *value;
	size_t size;

	ret->size = 0;
	archive_entry_xattr_reset(member);
	while (archive_entry_xattr_next(member, &name, &value, &size) == ARCHIVE_OK)
		if (strcmp(name, CAPABILITY) == 0 && size <= sizeof(ret->value)) {
			memcpy(ret->value, value, size);
			ret->size = size;
		}
	archive_entry_xattr_clear(member);
}

/* After the owner: a change of owner takes capabilities away (capabilities(7)). */
static void give_capability(const unpacking *u, struct archive_entry *member, const capability *what)
{
	NSB_CLOSE int fd = -1;
	struct stat st;

	if (what->size == 0)
		return;
	fd = open(archive_entry_pathname(member), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    fsetxattr(fd, CAPABILITY, what->value, what->size, 0) < 0)
		u->count->lost++;
	else
		u->count->privileged++;
}

static int unpack_member(unpacking *u, struct archive_entry *member)
{
	capability given;
	int r = check_names(u, member);

	if (r == 0)
		r = check_owner(u, member);
	if (r == 0)
		r = add_cost(u, MEMBER_COSTS);
	if (r < 0 || left_out(member, u->count))
		return r;
	take_attributes(member, &given);
	if (archive_write_header(writer, member) != ARCHIVE_OK)
		return failed(u, writer, member, EIO);
	r = copy_data(u, member);
	if (r < 0)
		return r;
	if (archive_write_finish_entry(writer) != ARCHIVE_OK)
		return failed(u, writer, member, EIO);
	u->count->members++;
	if (archive_entry_hardlink(member) == NULL && archive_entry_filetype(member) == AE_IFREG &&
	    (archive_entry_perm(member) & (S_ISUID | S_ISGID)))
		u->count->privileged++;
	give_capability(u, member, &given);
	return 0;
}

/* --- all of them --- */

/* The library takes an archive that was cut between two members for a whole one. A whole one has at least a block of
 * zeros behind the last member (pax(1), "ustar Interchange Format"): reading on must have taken some bytes. */
static int check_end(const unpacking *u, int64_t before)
{
	if (u->count->members + u->count->devices + u->count->channels == 0)
		return nsb_error_set(u->error, ENODATA, "the archive holds nothing");
	if (archive_filter_bytes(reader, 0) == before)
		return nsb_error_set(u->error, ENODATA, "the archive is cut off: its end mark is missing");
	return 0;
}

/* Whoever writes into a pipe is not to die of padding that nobody reads: "pipefail" would call that a failure. */
static void drain(int fd)
{
	static char rest[BLOCK];
	ssize_t n;

	do
		n = read(fd, rest, sizeof(rest));
	while (n > 0 || (n < 0 && errno == EINTR));
}

int unpack_all(int fd, uint64_t max, unpack_count *ret, nsb_error *error)
{
	unpacking u = { .max = max, .count = ret, .error = error };
	struct archive_entry *member;
	int64_t before = 0;
	int r, found;

	if (archive_read_open_fd(reader, fd, BLOCK) != ARCHIVE_OK)
		return nsb_error_set(error, EBADMSG, "this is no tar archive (plain, gzip, xz or zstd): %s",
				     archive_error_string(reader));
	while ((found = archive_read_next_header(reader, &member)) == ARCHIVE_OK) {
		r = unpack_member(&u, member);
		if (r < 0)
			return r;
		/* of a member that was left out, too: so that what is read next is the next header */
		if (archive_read_data_skip(reader) != ARCHIVE_OK)
			return failed(&u, reader, NULL, EBADMSG);
		before = archive_filter_bytes(reader, 0);
	}
	if (found != ARCHIVE_EOF)
		return failed(&u, reader, NULL, EBADMSG);
	r = check_end(&u, before);
	if (r < 0)
		return r;
	if (archive_write_close(writer) != ARCHIVE_OK) /* times and modes of directories */
		return failed(&u, writer, NULL, EIO);
	drain(fd);
	return 0;
}
