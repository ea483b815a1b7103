/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/account.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/string-util.h"

#define PACKED_MAX 4096 /* bytes of a packed account: with the longest other strings it fits into a request */

/* The order of a packed account. Behind these one string for each group: "GID", or "GID NAME". */
enum { USER, UID, GID, HOME, SHELL, GECOS, GROUPS };
#define GECOS_MARK ':' /* stands before it: lists of another version have something else there */

static char *group_text(const nsb_group *group)
{
	return group->name != NULL ? nsb_format("%u %s", group->gid, group->name) : nsb_format("%u", group->gid);
}

char **account_list(const nsb_session *session, size_t *ret_n)
{
	size_t n = GROUPS + session->n_groups;
	char **list = calloc(n, sizeof(*list));
	bool whole = true;

	*ret_n = 0;
	if (list == NULL)
		return NULL;
	list[USER] = strdup(session->user);
	list[UID] = nsb_format("%u", session->uid);
	list[GID] = nsb_format("%u", session->gid);
	list[HOME] = strdup(session->home);
	list[SHELL] = strdup(session->shell);
	list[GECOS] = nsb_format("%c%s", GECOS_MARK, session->gecos);
	for (size_t i = 0; i < session->n_groups; i++)
		list[GROUPS + i] = group_text(&session->groups[i]);
	for (size_t i = 0; i < n; i++)
		whole &= list[i] != NULL;
	if (!whole) {
		nsb_list_free(list, n);
		return NULL;
	}
	*ret_n = n;
	return list;
}

char **account_pack(const nsb_session *session, size_t *ret_n)
{
	size_t n = 0, size = 0;
	char **list = GROUPS + session->n_groups <= NSB_LIST_MAX ? account_list(session, &n) : NULL;

	*ret_n = 0;
	for (size_t i = 0; i < n; i++)
		size += strlen(list[i]) + sizeof(uint64_t);
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
