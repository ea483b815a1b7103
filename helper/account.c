/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/account.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/string-util.h"

#define GROUPS_MAX    65536		 /* NGROUPS_MAX of the kernel */
#define LINE_MAX_SIZE (64 * 1024 * 1024) /* bytes of one entry of the name service */
#define PACKED_MAX    4096 /* bytes of a packed account: with the longest other strings it fits into a request */

/* The name of a group, NULL if it has none. A name service that fails is an error, not a group without a name: `users =
 * @group` would match nobody then, and the session would run without a box. */
static int group_name(gid_t gid, char **ret)
{
	size_t size = 4096; /* grown: a line names all members */

	for (;;) {
		NSB_FREE char *buffer = malloc(size);
		struct group group, *found = NULL;
		int r;

		if (buffer == NULL)
			return -ENOMEM;
		r = getgrgid_r(gid, &group, buffer, size, &found);
		if (r == ERANGE && size < LINE_MAX_SIZE) {
			size *= 4;
			continue;
		}
		if (found == NULL && r != 0 && r != ENOENT && r != ESRCH)
			return -r;
		*ret = found != NULL ? strdup(group.gr_name) : NULL;
		return found != NULL && *ret == NULL ? -ENOMEM : 0;
	}
}

static int look_up_groups(nsb_session *s)
{
	NSB_FREE gid_t *gids = NULL;
	int room = 64, n;

	do {
		void *more = realloc(gids, (size_t)room * sizeof(*gids));

		if (more == NULL)
			return -ENOMEM;
		gids = more;
		n = room;
	} while (getgrouplist(s->user, s->gid, gids, &n) < 0 && (room = n > room ? n : room * 2) <= GROUPS_MAX);
	if (room > GROUPS_MAX)
		return -E2BIG;
	s->groups = calloc((size_t)n, sizeof(*s->groups));
	if (s->groups == NULL)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		int r = group_name(gids[i], &s->groups[i].name);

		if (r < 0)
			return r;
		s->groups[i].gid = gids[i];
		s->n_groups++;
	}
	return 0;
}

int account_look_up(nsb_session *session, nsb_error *error)
{
	struct passwd entry, *found = NULL;
	char buffer[65536];
	int r = getpwnam_r(session->user, &entry, buffer, sizeof(buffer), &found);

	if (found == NULL && (r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM))
		return nsb_error_set(error, ENOENT, "the name service does not know the user %s", session->user);
	if (found == NULL)
		return nsb_error_set(error, r, "cannot look up the user %s: %s", session->user, strerror(r));
	session->uid = entry.pw_uid;
	session->gid = entry.pw_gid;
	session->gecos = strdup(entry.pw_gecos != NULL ? entry.pw_gecos : "");
	session->home = strdup(entry.pw_dir);
	session->shell = strdup(entry.pw_shell[0] != '\0' ? entry.pw_shell : "/bin/sh");
	if (session->gecos == NULL || session->home == NULL || session->shell == NULL)
		return -ENOMEM;
	nsb_make_printable(session->gecos);
	r = look_up_groups(session);
	if (r < 0)
		return nsb_error_set(error, r, "cannot look up the groups of %s: %s", session->user, strerror(-r));
	return 0;
}

/* The order of a packed account. Behind these one string for each group: "GID", or "GID NAME". */
enum { USER, UID, GID, HOME, SHELL, GECOS, GROUPS };
#define GECOS_MARK ':' /* stands before it: lists of another version have something else there */

static char *group_text(const nsb_group *group)
{
	char *text;

	if (asprintf(&text, "%u%s%s", group->gid, group->name != NULL ? " " : "",
		     group->name != NULL ? group->name : "") < 0)
		return NULL;
	return text;
}

static char *number_text(unsigned number)
{
	char *text;

	return asprintf(&text, "%u", number) < 0 ? NULL : text;
}

char **account_pack(const nsb_session *session, size_t *ret_n)
{
	size_t n = GROUPS + session->n_groups, size = 0;
	char **list = n <= NSB_LIST_MAX ? calloc(n, sizeof(*list)) : NULL;

	*ret_n = 0;
	if (list == NULL)
		return NULL;
	list[USER] = strdup(session->user);
	list[UID] = number_text(session->uid);
	list[GID] = number_text(session->gid);
	list[HOME] = strdup(session->home);
	list[SHELL] = strdup(session->shell);
	list[GECOS] = nsb_format("%c%s", GECOS_MARK, session->gecos);
	for (size_t i = 0; i < session->n_groups; i++)
		list[GROUPS + i] = group_text(&session->groups[i]);
	for (size_t i = 0; i < n; i++)
		size += list[i] != NULL ? strlen(list[i]) + sizeof(uint64_t) : PACKED_MAX + 1;
	if (size > PACKED_MAX) {
		nsb_list_free(list, n);
		return NULL;
	}
	*ret_n = n;
	return list;
}

/* A number at the start of `text`. `*ret_end`: what follows. */
static bool read_id(const char *text, unsigned *ret, const char **ret_end)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	*ret = (unsigned)value;
	*ret_end = end;
	return errno == 0 && value < UINT32_MAX; /* (uid_t)-1 is no id, setresuid(2) */
}

static int unpack_group(const char *text, nsb_group *ret)
{
	const char *rest;

	ret->name = NULL;
	if (!read_id(text, &ret->gid, &rest) || (*rest != '\0' && (*rest != ' ' || rest[1] == '\0')))
		return -EINVAL;
	if (*rest == '\0')
		return 0;
	ret->name = strdup(rest + 1);
	return ret->name == NULL ? -ENOMEM : 0;
}

int account_unpack(nsb_session *session, char *const *list, size_t n)
{
	const char *rest;
	int r = 0;

	if (n <= GROUPS || list[SHELL][0] == '\0' || list[GECOS][0] != GECOS_MARK ||
	    !read_id(list[UID], &session->uid, &rest) || *rest != '\0' || !read_id(list[GID], &session->gid, &rest) ||
	    *rest != '\0')
		return -EINVAL;
	session->gecos = strdup(list[GECOS] + 1);
	session->home = strdup(list[HOME]);
	session->shell = strdup(list[SHELL]);
	session->groups = calloc(n - GROUPS, sizeof(*session->groups));
	if (session->gecos == NULL || session->home == NULL || session->shell == NULL || session->groups == NULL)
		return -ENOMEM;
	for (size_t i = GROUPS; r == 0 && i < n; i++)
		r = unpack_group(list[i], &session->groups[session->n_groups++]);
	return r;
}
