/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/utmp-record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "helper/utmp-file.h"

#define ID_SIZE	  4
#define LINE	  "nsbox/" /* and the login's id */
#define SIZE	  ((off_t)sizeof(utmp_file_record))
#define CHUNK	  32 /* records read at a time */
#define LOOKED_AT (16384 * SIZE)
#define NEXT_LOOK 2 /* ms until a lock is tried again */

/* Records are found by ut_id, so it must belong to one login only. A character set of 64: 16 million ids. */
static void make_id(char id[ID_SIZE + 1], uint64_t seed)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (int i = 0; i < ID_SIZE; i++, seed /= 64)
		id[i] = letters[seed % 64];
	id[ID_SIZE] = '\0';
}

static bool has_id(const utmp_file_record *record, const char *id)
{
	return strncmp(record->id, id, ID_SIZE) == 0;
}

static bool is_taken(const utmp_file_record *record, const char *id)
{
	return record->type != UTMP_EMPTY && has_id(record, id);
}

/* A record that pututxline(3) would replace by one with this id. */
static bool is_same(const utmp_file_record *record, const char *id)
{
	return record->type >= UTMP_INIT && record->type <= UTMP_DEAD && has_id(record, id);
}

/* A login of ours that is over. Ids are new each time: without using its place the file would grow by a record a login. */
static bool is_free(const utmp_file_record *record, const char *id)
{
	(void)id;
	return record->type == UTMP_DEAD && strncmp(record->line, LINE, strlen(LINE)) == 0;
}

/* Where the first record is of which `fits` says so; without one *ret_end, where the last whole one ends, and -ENOENT. */
static off_t find(int fd, bool (*fits)(const utmp_file_record *record, const char *id), const char *id, off_t *ret_end)
{
	utmp_file_record records[CHUNK];
	off_t at = 0;
	ssize_t n;

	/* whoever may write to it (group utmp) may have made it as long as he likes */
	while ((n = pread(fd, records, sizeof(records), at)) >= SIZE && at < LOOKED_AT)
		for (ssize_t i = 0; i < n / SIZE; i++, at += SIZE)
			if (fits(&records[i], id))
				return at;
	*ret_end = at;
	return n < 0 ? -errno : at >= LOOKED_AT ? -EFBIG : -ENOENT;
}

/* Whoever is written meanwhile has chosen another id: no lock is needed to look. */
static bool id_taken(int fd, const char *id)
{
	off_t end;

	return find(fd, is_taken, id, &end) >= 0;
}

/* ut_addr_v6 holds the address in network order, where the remote host is one. */
static void fill_address(utmp_file_record *record, const char *rhost)
{
	if (inet_pton(AF_INET, rhost, record->address) != 1)
		inet_pton(AF_INET6, rhost, record->address);
}

static void fill(utmp_file_record *record, const nsb_member *member)
{
	struct timespec now;

	memset(record, 0, sizeof(*record));
	record->pid = member->process.pid;
	snprintf(record->line, sizeof(record->line), LINE "%s", member->session);
	memcpy(record->id, member->ut_id, ID_SIZE);
	clock_gettime(CLOCK_REALTIME, &now);
	record->seconds = (NSB_UTMP_TIME)now.tv_sec;
	record->microseconds = (NSB_UTMP_TIME)(now.tv_nsec / 1000);
}

/* The lock that the C library takes, too. Everybody who can read the files can hold a read lock on them for ever, so it is
 * tried, not waited for: a lock that is waited for has no deadline. It goes with the descriptor. */
static int lock(int fd, int64_t deadline)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return -errno;
		if (nsb_now() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){ .tv_nsec = NEXT_LOOK * 1000L * 1000L }, NULL);
	}
	return 0;
}

/* `added`: at the end of the file. Half a record there would shift all that follow. */
static int put(int fd, off_t at, const utmp_file_record *record, bool added)
{
	ssize_t n = pwrite(fd, record, sizeof(*record), at);
	int r = n < 0 ? -errno : n == SIZE ? 0 : -ENOSPC;

	if (added && n > 0 && r < 0 && ftruncate(fd, at) < 0)
		return -errno;
	return r;
}

/* In the place of what has the id; the record of a login that has none in the place of one that is over, or at the end. */
static int write_utmp(const utmp_file_record *record, int64_t deadline)
{
	NSB_CLOSE int fd = open(NSB_UTMP_FILE, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	off_t at, end = 0;
	int r = fd < 0 ? -errno : lock(fd, deadline);

	if (r < 0)
		return r;
	at = find(fd, is_same, record->id, &end);
	if (at == -ENOENT && record->type == UTMP_DEAD)
		return 0;
	if (at == -ENOENT)
		at = find(fd, is_free, NULL, &end);
	if (at == -ENOENT)
		return put(fd, end, record, true);
	return at < 0 ? (int)at : put(fd, at, record, false);
}

/* At the end, over what may be there of half a record. No file: none is wanted, utmp(5). */
static int write_wtmp(const utmp_file_record *record, int64_t deadline)
{
	NSB_CLOSE int fd = open(NSB_WTMP_FILE, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r = fd >= 0 ? lock(fd, deadline) : errno == ENOENT ? 0 : -errno;

	if (fd < 0 || r < 0)
		return r;
	return fstat(fd, &st) < 0 ? -errno : put(fd, st.st_size - st.st_size % SIZE, record, true);
}

static int write_record(const utmp_file_record *record, int patience)
{
	int64_t deadline = nsb_now() + patience;
	int r = write_utmp(record, deadline);

	return r == 0 ? write_wtmp(record, deadline) : r;
}

void utmp_record_choose(nsb_member *member)
{
	uint64_t seed = (uint64_t)member->process.pid * 2654435761u + (uint64_t)time(NULL);
	NSB_CLOSE int fd = open(NSB_UTMP_FILE, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	member->ut_id[0] = '\0';
	if (fd < 0)
		return;
	do
		make_id(member->ut_id, seed++);
	while (id_taken(fd, member->ut_id));
}

int utmp_record_open(const nsb_member *member, const char *user)
{
	utmp_file_record record;

	if (member->ut_id[0] == '\0')
		return 0;
	fill(&record, member);
	record.type = UTMP_USER;
	/* names longer than the field are cut, as login(1) does; utmp(5) has no room for more */
	memcpy(record.user, user, strnlen(user, sizeof(record.user)));
	memcpy(record.host, member->rhost, strnlen(member->rhost, sizeof(record.host)));
	fill_address(&record, member->rhost);
	return write_record(&record, UTMP_PATIENCE);
}

int utmp_record_close(const nsb_member *member, int patience)
{
	utmp_file_record record;

	if (member->ut_id[0] == '\0')
		return 0;
	fill(&record, member);
	record.type = UTMP_DEAD;
	return write_record(&record, patience);
}
