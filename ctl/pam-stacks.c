/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/pam-stacks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/service-table.h"

#define DIRECTORY "/etc/pam.d"
#define MODULE "pam_nsbox.so"
#define INCLUDES_MAX 8 /* deep */

/* Where our module stands in a stack, with what it includes. */
typedef struct stack {
	bool account, session;
	bool opens, closes;
} stack;

static void look_at_file(const char *name, const char *only, stack *found, int depth);

/* "session [success=ok default=die] pam_nsbox.so open": the words behind the module, or NULL. */
static char *behind_module(char *line)
{
	char *at = strstr(line, MODULE);

	return at != NULL && (at[strlen(MODULE)] == '\0' || strchr(" \t", at[strlen(MODULE)]) != NULL) ? at + strlen(MODULE)
												      : NULL;
}

static void look_at_module(const char *type, char *words, stack *found)
{
	bool open = strstr(words, " open") != NULL, close = strstr(words, " close") != NULL;

	if (strcmp(type, "account") == 0) {
		found->account = true;
	} else if (strcmp(type, "session") == 0) {
		found->session = true;
		found->opens |= open || !close;
		found->closes |= close || !open;
	}
}

static void look_at_line(char *line, const char *only, stack *found, int depth)
{
	char type[16] = "", control[64] = "", file[128] = "";
	char *words;

	line[strcspn(line, "#")] = '\0';
	if (sscanf(line, " @include %127s", file) == 1) {
		look_at_file(file, only, found, depth + 1);
		return;
	}
	if (sscanf(line, " %15s %63s %127s", type, control, file) < 3)
		return;
	memmove(type, type + (type[0] == '-'), strlen(type + (type[0] == '-')) + 1);
	if (only != NULL && strcmp(type, only) != 0)
		return;
	words = behind_module(line);
	if (words != NULL)
		look_at_module(type, words, found);
	else if (strcmp(control, "include") == 0 || strcmp(control, "substack") == 0)
		look_at_file(file, type, found, depth + 1);
}

/* `only`: the type of the lines that count, or NULL for all. */
static void look_at_file(const char *name, const char *only, stack *found, int depth)
{
	NSB_CLOSE int directory = open(DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int fd = directory < 0 || depth > INCLUDES_MAX
				   ? -1
				   : openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[16384], *save = NULL;

	if (fd < 0 || nsb_read_text(fd, text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		look_at_line(line, only, found, depth);
}

/* What can be told from the lines of one service. */
static size_t judge(const char *service, const stack *found)
{
	bool caller = nsb_service_traits(service) & NSB_SERVICE_CALLER;
	bool early = strcmp(service, "sshd") == 0 || strcmp(service, "login") == 0;
	const struct {
		bool holds;
		const char *sentence;
	} rows[] = {
		{ found->session && !found->account && early,
		  "the account line is missing: a user who cannot be boxed is turned away too late (ssh -N stays connected)" },
		{ found->account && !found->session, "the session line is missing: nobody is boxed" },
		{ found->account && caller,
		  "the account line asks about the caller here, not about the user whose session it will be" },
		{ found->session && !found->opens, "no session line opens the box: the one with \"open\" is missing" },
		{ found->session && !found->closes, "no session line leaves the box: the one with \"close\" is missing" },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].holds)
			continue;
		fprintf(stderr, DIRECTORY "/%s: warning: %s\n", service, rows[i].sentence);
		n++;
	}
	return n;
}

size_t pam_stacks_warn(void)
{
	DIR *directory = opendir(DIRECTORY);
	const struct dirent *entry;
	bool any = false;
	size_t n = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		stack found = { 0 };

		if (entry->d_name[0] == '.' || strncmp(entry->d_name, "common-", strlen("common-")) == 0)
			continue; /* Debian's common-* are parts of stacks */
		look_at_file(entry->d_name, NULL, &found, 0);
		any |= found.session;
		n += judge(entry->d_name, &found);
	}
	if (directory != NULL)
		closedir(directory);
	if (!any) {
		fprintf(stderr, DIRECTORY ": warning: no service names " MODULE " in session: nobody is boxed\n");
		n++;
	}
	return n;
}
