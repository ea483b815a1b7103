/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl pamtest: users of the copy. The programs of shadow make them, before the stacks under test are in place. The
 * password goes through none of them: chpasswd(8) would ask the stack, and a command line can be read by everybody.
 */
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <shadow.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/pamtest.h"

#define SHADOW_FILE	"/etc/shadow"
#define ACCOUNT_MAX	32 /* useradd(8) */
#define PASSWORD_MAX	256
#define SECONDS_PER_DAY (24 * 60 * 60)

static bool is_account(const char *name)
{
	return nsb_is_plain_name(name, ACCOUNT_MAX) && name[0] != '-' && name[strspn(name, "0123456789")] != '\0';
}

/* Byte by byte: what follows is the command's. NULL without one that fits; the caller frees. */
static char *read_line(void)
{
	char line[PASSWORD_MAX];
	size_t n = 0;

	while (n < sizeof(line) && read(STDIN_FILENO, line + n, 1) == 1 && line[n] != '\n')
		n++;
	return n > 0 && n < sizeof(line) ? strndup(line, n) : NULL;
}

static int check_groups(const char *groups, nsb_error *error)
{
	NSB_FREE char *copy = strdup(groups);
	char *save = NULL;

	if (copy == NULL)
		return -ENOMEM;
	for (char *name = strtok_r(copy, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save))
		if (!is_account(name))
			return nsb_error_set(error, EINVAL, "--user: \"%.64s\" is no name of a group", name);
	return 0;
}

/* NAME[:PASSWORD][:GROUP,...] into new strings; an empty part is none. */
static int split(const char *word, pamtest_user *ret, nsb_error *error)
{
	const char *password = strchr(word, ':'), *groups = password != NULL ? strchr(password + 1, ':') : NULL;

	ret->name = strndup(word, password != NULL ? (size_t)(password - word) : strlen(word));
	if (ret->name == NULL)
		return -ENOMEM;
	if (!is_account(ret->name))
		return nsb_error_set(error, EINVAL, "--user: \"%.64s\" is no name of a user", ret->name);
	if (groups != NULL && strchr(groups + 1, ':') != NULL)
		return nsb_error_set(error, EINVAL,
				     "--user %s: write NAME[:PASSWORD][:GROUP,...], without another \":\"", ret->name);
	if (password != NULL && password[1] != '\0' && password[1] != ':') {
		ret->password = strndup(password + 1, strcspn(password + 1, ":"));
		if (ret->password == NULL)
			return -ENOMEM;
	}
	if (groups != NULL && groups[1] != '\0') {
		ret->groups = strdup(groups + 1);
		return ret->groups == NULL ? -ENOMEM : check_groups(ret->groups, error);
	}
	return 0;
}

int pamtest_user_parse(char *word, pamtest_user *ret, nsb_error *error)
{
	int r = split(word, ret, error);
	char *shown = strchr(word, ':');

	if (shown != NULL)
		memset(shown + 1, 'x', strcspn(shown + 1, ":"));
	if (r < 0 || ret->password == NULL || strcmp(ret->password, "-") != 0)
		return r;
	free(ret->password);
	ret->password = read_line();
	if (ret->password == NULL)
		return nsb_error_set(error, EINVAL,
				     "--user %s:-: the next line of standard input is to be the password, of 1 to %d "
				     "characters",
				     ret->name, PASSWORD_MAX - 1);
	return 0;
}

void pamtest_user_done(pamtest_user *user)
{
	if (user->password != NULL)
		explicit_bzero(user->password, strlen(user->password));
	free(user->name);
	free(user->password);
	free(user->groups);
	*user = (pamtest_user){ 0 };
}

/* ---- in the copy ---- */

/* As crypt(5) has it: SHA-512, which every libcrypt knows. NULL with errno; the caller frees. */
static char *hash(const char *password)
{
	static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	NSB_FREE struct crypt_data *data = calloc(1, sizeof(*data));
	unsigned char random[16];
	char salt[3 + sizeof(random) + 1] = "$6$";
	const char *hashed;

	if (data == NULL || getrandom(random, sizeof(random), 0) != sizeof(random))
		return NULL;
	for (size_t i = 0; i < sizeof(random); i++)
		salt[3 + i] = digits[random[i] % 64];
	hashed = crypt_r(password, salt, data);
	return hashed == NULL || hashed[0] == '*' ? NULL : strdup(hashed);
}

/* All lines of `in`, that of the user with this password. Whether there was one. */
static bool copy_lines(FILE *in, FILE *out, const char *name, char *password)
{
	struct spwd *entry;
	bool found = false;

	while ((entry = fgetspent(in)) != NULL) {
		if (strcmp(entry->sp_namp, name) == 0) {
			found = true;
			entry->sp_pwdp = password;
			entry->sp_lstchg = time(NULL) / SECONDS_PER_DAY; /* not one that is too old */
		}
		if (putspent(entry, out) != 0)
			return false;
	}
	return found;
}

/* A new file in the place of the old one, empty until it has that one's owner and mode. */
static int set_password(const char *name, char *password, nsb_error *error)
{
	FILE *in = fopen(SHADOW_FILE, "re");
	FILE *out = fopen(SHADOW_FILE ".nsbox", "wxe");
	struct stat st;
	bool good = in != NULL && out != NULL && fstat(fileno(in), &st) == 0 &&
		    fchown(fileno(out), st.st_uid, st.st_gid) == 0 && fchmod(fileno(out), st.st_mode & 07777) == 0 &&
		    copy_lines(in, out, name, password);

	if (in != NULL)
		fclose(in);
	if (out != NULL && fclose(out) != 0)
		good = false;
	if (good && rename(SHADOW_FILE ".nsbox", SHADOW_FILE) == 0)
		return 0;
	return nsb_error_set(error, EIO,
			     "--user %s: no password can be set: there is no " SHADOW_FILE
			     " in the copy that has a line for the user and can be written",
			     name);
}

/* Whether /etc/passwd or /etc/group of the copy has a line for the name. Not asked of name services, which may know the
 * host's accounts only. */
static bool has_line(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	NSB_FREE char *line = NULL;
	size_t room = 0, length = strlen(name);
	bool found = false;

	while (file != NULL && !found && getline(&line, &room, file) > 0)
		found = strncmp(line, name, length) == 0 && line[length] == ':';
	if (file != NULL)
		fclose(file);
	return found;
}

static int run(const pamtest_user *user, char *const argv[], nsb_error *error)
{
	int r = pamtest_run_program(argv, -1, -1, error);

	return r > 0 ? nsb_error_set(error, EIO, "--user %s: %s failed in the copy (status %d)", user->name, argv[0], r)
		     : r;
}

static int make_groups(const pamtest_user *user, nsb_error *error)
{
	NSB_FREE char *copy = strdup(user->groups);
	char *save = NULL;
	int r = copy == NULL ? -ENOMEM : 0;

	for (char *name = r == 0 ? strtok_r(copy, ",", &save) : NULL; name != NULL && r == 0;
	     name = strtok_r(NULL, ",", &save))
		if (!has_line("/etc/group", name))
			r = run(user, (char *[]){ (char *)"groupadd", name, NULL }, error);
	return r;
}

int pamtest_make_user(const pamtest_user *user, nsb_error *error)
{
	bool there = has_line("/etc/passwd", user->name);
	char *groups[] = { (char *)"usermod", (char *)"-a", (char *)"-G", user->groups, user->name, NULL };
	/* a group of the user's name may be there without the user */
	char *plain[] = { (char *)"useradd", (char *)"-m", user->name, NULL };
	char *grouped[] = { (char *)"useradd", (char *)"-m", (char *)"-g", user->name, user->name, NULL };
	NSB_FREE char *hashed = user->password != NULL ? hash(user->password) : NULL;
	int r = 0;

	if (user->password != NULL && hashed == NULL)
		return nsb_error_set(error, EIO, "--user %s: crypt(3) makes no hash of the password", user->name);
	if (user->groups != NULL)
		r = make_groups(user, error);
	if (r == 0 && !there)
		r = run(user, has_line("/etc/group", user->name) ? grouped : plain, error);
	if (r == 0 && user->groups != NULL)
		r = run(user, groups, error);
	return r == 0 && hashed != NULL ? set_password(user->name, hashed, error) : r;
}
