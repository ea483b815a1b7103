/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A name service like nss-pam-ldapd: a library in every process that asks a daemon by its socket in /run. One question,
 * "passwd dave" or "uid 5001" or "group staff" or "gid 5100" or "initgroups dave"; one line as in /etc/passwd or
 * /etc/group, or gids, or nothing.
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum nss_status _nss_nsbtest_getpwnam_r(const char *name, struct passwd *ret, char *buffer, size_t size, int *err);
enum nss_status _nss_nsbtest_getpwuid_r(uid_t uid, struct passwd *ret, char *buffer, size_t size, int *err);
enum nss_status _nss_nsbtest_getgrnam_r(const char *name, struct group *ret, char *buffer, size_t size, int *err);
enum nss_status _nss_nsbtest_getgrgid_r(gid_t gid, struct group *ret, char *buffer, size_t size, int *err);
enum nss_status _nss_nsbtest_initgroups_dyn(const char *user, gid_t group, long *start, long *size, gid_t **groups, long limit,
					    int *err);

static enum nss_status ask(const char *question, char *buffer, size_t size, int *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/nslcd/socket" };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t used = 0;
	ssize_t n = -1;

	*err = ENOENT;
	if (sock < 0)
		return NSS_STATUS_UNAVAIL;
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    send(sock, question, strlen(question), MSG_NOSIGNAL) > 0)
		while (used + 1 < size && (n = read(sock, buffer + used, size - used - 1)) > 0)
			used += (size_t)n;
	if (n < 0)
		*err = errno;
	close(sock);
	if (n < 0)
		return NSS_STATUS_UNAVAIL;
	buffer[used] = '\0';
	return used > 0 ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND;
}

static enum nss_status ask_passwd(const char *question, struct passwd *ret, char *buffer, size_t size, int *err)
{
	enum nss_status status = ask(question, buffer, size, err);

	if (status != NSS_STATUS_SUCCESS)
		return status;
	ret->pw_name = strsep(&buffer, ":");
	ret->pw_passwd = strsep(&buffer, ":");
	ret->pw_uid = (uid_t)atoi(strsep(&buffer, ":"));
	ret->pw_gid = (gid_t)atoi(strsep(&buffer, ":"));
	ret->pw_gecos = strsep(&buffer, ":");
	ret->pw_dir = strsep(&buffer, ":");
	ret->pw_shell = strsep(&buffer, ":");
	return status;
}

static enum nss_status ask_group(const char *question, struct group *ret, char *buffer, size_t size, int *err)
{
	static char *nobody[] = { NULL };
	enum nss_status status = ask(question, buffer, size, err);

	if (status != NSS_STATUS_SUCCESS)
		return status;
	ret->gr_name = strsep(&buffer, ":");
	ret->gr_passwd = strsep(&buffer, ":");
	ret->gr_gid = (gid_t)atoi(strsep(&buffer, ":"));
	ret->gr_mem = nobody;
	return status;
}

enum nss_status _nss_nsbtest_getpwnam_r(const char *name, struct passwd *ret, char *buffer, size_t size, int *err)
{
	char question[300];

	snprintf(question, sizeof(question), "passwd %s\n", name);
	return ask_passwd(question, ret, buffer, size, err);
}

enum nss_status _nss_nsbtest_getpwuid_r(uid_t uid, struct passwd *ret, char *buffer, size_t size, int *err)
{
	char question[300];

	snprintf(question, sizeof(question), "uid %u\n", uid);
	return ask_passwd(question, ret, buffer, size, err);
}

enum nss_status _nss_nsbtest_getgrnam_r(const char *name, struct group *ret, char *buffer, size_t size, int *err)
{
	char question[300];

	snprintf(question, sizeof(question), "group %s\n", name);
	return ask_group(question, ret, buffer, size, err);
}

enum nss_status _nss_nsbtest_getgrgid_r(gid_t gid, struct group *ret, char *buffer, size_t size, int *err)
{
	char question[300];

	snprintf(question, sizeof(question), "gid %u\n", gid);
	return ask_group(question, ret, buffer, size, err);
}

enum nss_status _nss_nsbtest_initgroups_dyn(const char *user, gid_t group, long *start, long *size, gid_t **groups, long limit,
					    int *err)
{
	char question[300], answer[1000], *at = answer, *word;
	enum nss_status status;

	snprintf(question, sizeof(question), "initgroups %s\n", user);
	status = ask(question, answer, sizeof(answer), err);
	while (status == NSS_STATUS_SUCCESS && (word = strsep(&at, " ")) != NULL) {
		gid_t gid = (gid_t)atoi(word);

		if (gid == group || (limit > 0 && *start >= limit))
			continue;
		if (*start == *size) {
			gid_t *more = realloc(*groups, (size_t)*size * 2 * sizeof(**groups));

			if (more == NULL)
				return NSS_STATUS_TRYAGAIN;
			*groups = more;
			*size *= 2;
		}
		(*groups)[(*start)++] = gid;
	}
	return status;
}
