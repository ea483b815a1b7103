/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In a tree that root of a box may have written, a library of a name service is code that this process, root of the host, would
 * run after the join (CVE-2019-14271 was this). The C library keeps the nsswitch.conf of before, because "/" is another directory
 * now (nss_database_check_reload_and_get), but loads a module at its first question.
 */
#include "pam_nsbox/name-services.h"

#include <features.h>
#ifdef __GLIBC__
#include <dlfcn.h>
#include <fcntl.h>
#include <iconv.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"

#define CONF		"/etc/nsswitch.conf"
#define CONF_MAX	16384
#define NAME_MAX_LENGTH 64
#define NAMES		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

/* No dlclose(3): it is to stay. */
static void load_module(const char *name, size_t length)
{
	char library[NAME_MAX_LENGTH + sizeof("libnss_.so.2")];

	if (length == 0 || length > NAME_MAX_LENGTH)
		return;
	snprintf(library, sizeof(library), "libnss_%.*s.so.2", (int)length, name);
	(void)dlopen(library, RTLD_NOW);
}

/* "DATABASE: SERVICE [STATUS=ACTION] SERVICE", without its comment. */
static void load_line(char *line)
{
	char *at;

	line[strcspn(line, "#")] = '\0';
	at = strchr(line, ':');
	for (at = at != NULL ? at + 1 : line + strlen(line); *at != '\0';) {
		size_t length = strspn(at, NAMES);

		load_module(at, length);
		at += length > 0 ? length : *at == '[' ? strcspn(at, "]") : 1;
	}
}

/* To and from what it shows messages in; others it asks for by name when they come. */
static void load_converter(void)
{
	const char *set = nl_langinfo(CODESET);

	if (strcmp(set, "UTF-8") == 0 || strcmp(set, "ANSI_X3.4-1968") == 0)
		return; /* built in */
	(void)iconv_open("UTF-8", set);
	(void)iconv_open(set, "UTF-8");
}

void name_services_load(void)
{
	static bool loaded;
	NSB_FREE char *text = loaded ? NULL : malloc(CONF_MAX);
	char *save = NULL;

	if (text == NULL || nsb_read_text_at(AT_FDCWD, CONF, text, CONF_MAX) < 0)
		return;
	loaded = true;
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		load_line(line);
	load_converter();
}
#else
void name_services_load(void)
{
}
#endif
