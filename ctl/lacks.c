/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lacks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "ctl/elf.h"
#include "ctl/profile-plan.h"
#include "ctl/sshd-config.h"
#include "helper/tree.h"

#define SHELLS_MAX 64 /* different ones */

typedef struct tree {
	int fd;
	const char *name;
	lacks_tell *tell;
	void *argument;
} tree;

static void say(const tree *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const tree *t, const char *format, ...)
{
	char words[NSB_WORDS_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	t->tell(t->argument, words);
}

static bool has(const tree *t, const char *path)
{
	NSB_CLOSE int fd = nsb_path_open(t->fd, path, 0, NULL, NULL, NULL);

	return fd >= 0;
}

/* --- what every root should have --- */

static void look_at_files(const tree *t)
{
	static const struct {
		const char *path, *consequence;
	} rows[] = {
		{ "/etc/passwd", "users and root have no names in there" },
		{ "/etc/group", "groups have no names in there" },
		{ "/etc/nsswitch.conf", "names are looked up as its C library sees fit" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!has(t, rows[i].path))
			say(t, "the root %s has no %s: %s", t->name, rows[i].path, rows[i].consequence);
}

/* The loader that the program at `path` asks for: as elf_interpreter(), -ENOENT if the tree has no such program. */
static int loader_of(const tree *t, const char *path, char *buffer, size_t size)
{
	NSB_CLOSE int place = nsb_path_open(t->fd, path, 0, NULL, NULL, NULL);
	NSB_CLOSE int fd = -1;
	struct stat st;
	char proc[64];

	if (place < 0)
		return place;
	if (fstat(place, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", place);
	fd = open(proc, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : elf_interpreter(fd, buffer, size);
}

static void look_at_loader(const tree *t, const char *shell)
{
	char loader[PATH_MAX];

	if (loader_of(t, shell, loader, sizeof(loader)) == 1 && !has(t, loader))
		say(t, "the root %s has %s, but not %s, which that needs to run: install the C library there", t->name,
		    shell, loader);
}

/* Static programs (busybox) do without: who has a loader has programs that ask terminfo(5). */
static void look_at_terminals(const tree *t)
{
	char loader[PATH_MAX];

	if (loader_of(t, "/bin/sh", loader, sizeof(loader)) != 1)
		return;
	if (!has(t, "/usr/share/terminfo") && !has(t, "/lib/terminfo") && !has(t, "/usr/lib/terminfo") &&
	    !has(t, "/etc/terminfo"))
		say(t,
		    "the root %s has no terminfo: editors and pagers do not know the terminal (Debian: ncurses-base)",
		    t->name);
}

/* --- sftp --- */

/* "Subsystem sftp /usr/lib/openssh/sftp-server -f AUTH": a copy of the path. Source: sshd_config(5). */
static void take_subsystem(void *argument, const sshd_option *option)
{
	char **ret = argument;
	const char *path;

	if (*ret != NULL || strcasecmp(option->keyword, "Subsystem") != 0 || strncmp(option->value, "sftp", 4) != 0)
		return;
	path = option->value + 4 + strspn(option->value + 4, " \t");
	if (path > option->value + 4 && path[0] == '/')
		*ret = strndup(path, strcspn(path, " \t"));
}

/* The external program that sshd runs for sftp; NULL: none, or sshd does it itself. */
static char *sftp_server(void)
{
	char *found = NULL;

	(void)sshd_config_walk(SSHD_CONFIG, take_subsystem, &found);
	return found;
}

static void look_at_sftp(const tree *t)
{
	NSB_FREE char *server = sftp_server();

	if (server != NULL && !has(t, server))
		say(t,
		    "the root %s has no %s, which sshd_config names: sftp and scp fail; \"Subsystem sftp "
		    "internal-sftp\" needs "
		    "no program",
		    t->name, server);
}

/* --- shells --- */

/* Who has it may not log in anyway. */
static bool is_no_shell(const char *shell)
{
	const char *slash = strrchr(shell, '/');
	const char *name = slash != NULL ? slash + 1 : shell;

	return shell[0] != '/' || strcmp(name, "nologin") == 0 || strcmp(name, "false") == 0 ||
	       strcmp(name, "sync") == 0;
}

typedef struct shell_users {
	const char *shell, *first;
	size_t more;
} shell_users;

/* False: there are too many shells to look at. */
static bool count_shell(shell_users *list, size_t *n, const nsb_session *session)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(list[i].shell, session->shell) != 0)
			continue;
		list[i].more++;
		return true;
	}
	if (*n == SHELLS_MAX)
		return false;
	list[(*n)++] = (shell_users){ .shell = session->shell, .first = session->user };
	return true;
}

static void look_at_shells(const tree *t, const nsb_settings *settings, const samples *accounts,
			   const nsb_session *tried)
{
	shell_users list[SHELLS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < accounts->n; i++) {
		const nsb_session *session = &accounts->sessions[i];

		if (!samples_is_for(settings, session) || is_no_shell(session->shell))
			continue;
		if (!count_shell(list, &n, session))
			break;
	}
	for (size_t i = 0; i < n; i++) {
		char more[64] = "";

		if (has(t, list[i].shell)) {
			look_at_loader(t, list[i].shell);
			continue;
		}
		if (tried != NULL && strcmp(tried->shell, list[i].shell) == 0)
			continue;
		if (list[i].more > 0)
			snprintf(more, sizeof(more), " and %zu more", list[i].more);
		say(t, "the root %s has no %s, the shell of %s%s: their logins are refused", t->name, list[i].shell,
		    list[i].first, more);
	}
}

/* --- all of it --- */

/* A directory, or an image. */
static int open_tree_of(const char *root)
{
	const nsb_plan plan = { .root = (char *)root, .root_kind = NSB_ROOT_TREE };
	nsb_error ignored = { 0 };
	bool image;

	return tree_open(&plan, &image, &ignored);
}

static void look(const tree *t, bool sshd)
{
	look_at_files(t);
	look_at_terminals(t);
	if (sshd)
		look_at_sftp(t);
}

void lacks_of_tree(const char *root, bool sshd, lacks_tell *tell, void *argument)
{
	NSB_CLOSE int fd = open_tree_of(root);
	const tree t = { .fd = fd, .name = root, .tell = tell, .argument = argument };

	if (fd < 0)
		return;
	look(&t, sshd);
	look_at_loader(&t, "/bin/sh");
}

void lacks_of_profile(const nsb_settings *settings, const samples *accounts, const nsb_session *tried, lacks_tell *tell,
		      void *argument)
{
	NSB_CLOSE int fd =
		settings->root[0] != '/' || strchr(settings->root, '%') != NULL ? -1 : open_tree_of(settings->root);
	const tree t = { .fd = fd, .name = settings->root, .tell = tell, .argument = argument };

	if (fd < 0)
		return;
	look(&t, profile_is_for_service(settings, "sshd"));
	look_at_shells(&t, settings, accounts, tried);
}
