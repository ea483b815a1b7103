/* SPDX-License-Identifier: BSD-3-Clause */
/* The logins of boxes: one file each, so that a login comes and goes without anybody else's file being written. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/registry-internal.h"
#include "common/registry-text.h"
#include "common/registry.h"

#define DIRECTORY "members"

static int open_members(int boxes, const char *id)
{
	char path[2 * NSB_ID_LENGTH + sizeof(DIRECTORY)];
	int fd;

	if (!nsb_id_valid(id))
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/" DIRECTORY, id);
	fd = openat(boxes, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int make_members(int boxes, const char *id)
{
	NSB_CLOSE int dir = openat(boxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0 || (mkdirat(dir, DIRECTORY, 0700) < 0 && errno != EEXIST))
		return -errno;
	return open_members(boxes, id);
}

int nsb_registry_add_member(int boxes, const char *id, const nsb_member *member, nsb_error *error)
{
	NSB_FREE char *text = NULL;
	NSB_CLOSE int members = make_members(boxes, id);
	size_t size;
	int r = members < 0 ? members : nsb_member_format(member, &text, &size);

	if (r == 0)
		r = nsb_registry_replace(members, member->session, text, size);
	return r < 0 ? nsb_error_set(error, r, "cannot write the login %s to %s/boxes/%s: %s", member->session,
				     NSB_RUNDIR, id, strerror(-r))
		     : 0;
}

static int read_member(int members, const char *session, nsb_member *ret)
{
	char text[NSB_ENTRY_TEXT_MAX];
	ssize_t n = nsb_read_text_at(members, session, text, sizeof(text));
	int r = n < 0 ? (int)n : nsb_member_parse(text, (size_t)n, ret);

	/* two names for one login would be two logins to whoever counts */
	return r == 0 && strcmp(ret->session, session) != 0 ? -EBADMSG : r;
}

int nsb_registry_read_member(int boxes, const char *id, const char *session, nsb_member *ret)
{
	NSB_CLOSE int members = open_members(boxes, id);

	if (!nsb_id_valid(session))
		return -EINVAL;
	return members < 0 ? members : read_member(members, session, ret);
}

int nsb_registry_remove_member(int boxes, const char *id, const char *session)
{
	NSB_CLOSE int members = open_members(boxes, id);

	if (!nsb_id_valid(session))
		return -EINVAL;
	if (members < 0)
		return members == -ENOENT ? 0 : members;
	return unlinkat(members, session, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* SESSION.new: left by a helper that was killed. */
static bool is_new_file(const char *name)
{
	char session[NSB_ID_LENGTH + 1] = "";

	if (strlen(name) != NSB_ID_LENGTH + strlen(".new") || strcmp(name + NSB_ID_LENGTH, ".new") != 0)
		return false;
	memcpy(session, name, NSB_ID_LENGTH);
	return nsb_id_valid(session);
}

int nsb_registry_remove_members(int dir)
{
	NSB_CLOSE int members = openat(dir, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list;
	const struct dirent *file;
	int r = 0;

	if (members < 0)
		return errno == ENOENT ? 0 : -errno;
	list = fdopendir(members);
	if (list == NULL)
		return -errno;
	nsb_steal_fd(&members);
	while (r == 0 && (file = readdir(list)) != NULL)
		if ((nsb_id_valid(file->d_name) || is_new_file(file->d_name)) &&
		    unlinkat(dirfd(list), file->d_name, 0) < 0 && errno != ENOENT)
			r = -errno;
	closedir(list);
	return r == 0 && unlinkat(dir, DIRECTORY, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : r;
}

static int older_first(const void *a, const void *b)
{
	const nsb_member *one = a, *other = b;

	if (one->started != other->started)
		return one->started < other->started ? -1 : 1;
	if (one->process.start != other->process.start) /* in the same second */
		return one->process.start < other->process.start ? -1 : 1;
	return strcmp(one->session, other->session);
}

/* Version 1 knows one login, in the entry itself. */
static int old_member(const nsb_entry *entry, nsb_member **ret, size_t *ret_n)
{
	nsb_member *member = calloc(1, sizeof(*member));

	if (member == NULL)
		return -ENOMEM;
	memcpy(member->session, entry->id, sizeof(member->session));
	memcpy(member->service, entry->service, sizeof(member->service));
	memcpy(member->tty, entry->tty, sizeof(member->tty));
	memcpy(member->rhost, entry->rhost, sizeof(member->rhost));
	memcpy(member->ut_id, entry->ut_id, sizeof(member->ut_id));
	member->started = entry->started;
	member->process = entry->members[0];
	*ret = member;
	*ret_n = entry->n_members > 0;
	return 0;
}

int nsb_registry_members(int boxes, const nsb_entry *entry, nsb_member **ret, size_t *ret_n)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	NSB_FREE nsb_member *found = NULL;
	NSB_CLOSE int members = -1;
	size_t n_ids = 0, n = 0;
	int r;

	*ret = NULL;
	*ret_n = 0;
	if (entry->version == 1)
		return old_member(entry, ret, ret_n);
	members = open_members(boxes, entry->id);
	if (members < 0)
		return members == -ENOENT ? 0 : members;
	r = nsb_registry_list(members, &ids, &n_ids);
	if (r < 0)
		return r;
	found = calloc(n_ids + 1, sizeof(*found));
	if (found == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n_ids; i++)
		if (read_member(members, ids[i], &found[n]) == 0)
			n++;
	qsort(found, n, sizeof(*found), older_first);
	*ret = nsb_steal_pointer(&found);
	*ret_n = n;
	return 0;
}

/* ---- how many sessions a user has ---- */

/* One byte of a file that is for nothing else. */
static int lock_byte(int boxes, off_t byte, int64_t deadline, int *ret)
{
	NSB_CLOSE int fd = openat(boxes, "../users", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct flock place = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fd < 0)
		return -errno;
	while (fcntl(fd, F_OFD_SETLK, &place) < 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return -errno;
		if (nsb_now() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){ .tv_nsec = 2 * 1000 * 1000 }, NULL);
	}
	*ret = nsb_steal_fd(&fd);
	return 0;
}

int nsb_registry_lock_user(int boxes, uid_t uid, int64_t deadline, int *ret)
{
	/* each user has one: they do not wait for each other */
	return lock_byte(boxes, (off_t)uid, deadline, ret);
}

int nsb_registry_lock_pool(int boxes, nsb_pool pool, int64_t deadline, int *ret)
{
	/* behind those of the users */
	return lock_byte(boxes, ((off_t)1 << 32) + (off_t)pool, deadline, ret);
}

/* Without reading their files. */
static size_t count_members(int boxes, const nsb_entry *entry)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	NSB_CLOSE int members = -1;
	size_t n = 0;

	if (entry->version == 1)
		return 1;
	members = open_members(boxes, entry->id);
	return members >= 0 && nsb_registry_list(members, &ids, &n) == 0 ? n : 0;
}

int nsb_registry_count(int boxes, uid_t uid, size_t *ret)
{
	NSB_FREE char(*ids)[NSB_ID_LENGTH + 8] = NULL;
	NSB_FREE nsb_entry *entry = malloc(sizeof(*entry));
	size_t n = 0, found = 0;
	int r = entry == NULL ? -ENOMEM : nsb_registry_list(boxes, &ids, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (ids[i][0] != '.' && nsb_registry_read(boxes, ids[i], entry) == 0 && entry->uid == uid &&
		    strcmp(entry->state, NSB_STATE_DYING) != 0 && nsb_registry_holder(boxes, ids[i]) > 0)
			found += count_members(boxes, entry);
	*ret = found;
	return 0;
}
