/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/account-look-up.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"

#define GROUPS_MAX    65536		 /* NGROUPS_MAX of the kernel */
#define LINE_MAX_SIZE (64 * 1024 * 1024) /* bytes of one entry of the name service */

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

/* *ret_found is NULL where there is no such user; what it points to lives in *ret_buffer, which the caller frees. */
static int find_user(const char *name, struct passwd *entry, char **ret_buffer, struct passwd **ret_found)
{
	for (size_t size = 4096;; size *= 4) {
		char *more = realloc(*ret_buffer, size);
		int r;

		if (more == NULL)
			return ENOMEM;
		*ret_buffer = more;
		r = getpwnam_r(name, entry, more, size, ret_found);
		if (r != ERANGE || size >= LINE_MAX_SIZE)
			return r;
	}
}

int account_look_up(nsb_session *session, nsb_error *error)
{
	NSB_FREE char *buffer = NULL;
	struct passwd entry, *found = NULL;
	int r = find_user(session->user, &entry, &buffer, &found);

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
