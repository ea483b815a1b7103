/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/check-names.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"

#define TEXT_MAX 65536 /* bytes of nsswitch.conf */

/* A source of passwd or group, and what it needs: a socket's path, or the network. */
static const struct {
	const char *source, *path;
	bool network;
} sources[] = {
	{ "sss", "/var/lib/sss/pipes", false },
	{ "ldap", "/run/nslcd", true }, /* libnss-ldapd asks nslcd; libnss-ldap has no daemon and asks the network */
	{ "winbind", "/run/samba/winbindd", false },
	{ "nis", NULL, true },
	{ "nisplus", NULL, true },
	{ "hesiod", NULL, true },
};

/* Whether the path is in sight in the box as it is planned: the last step that covers it decides. */
static bool in_sight(const nsb_plan *plan, const char *path)
{
	bool seen = plan->root_kind == NSB_ROOT_HOST;

	for (size_t i = 0; i < plan->n_steps; i++) {
		const nsb_step *step = &plan->steps[i];

		if (step->dst == NULL || !nsb_path_below(path, step->dst))
			continue;
		if (step->op == NSB_OP_BIND)
			seen = strcmp(step->src, step->dst) == 0;
		else if (step->op == NSB_OP_MOUNT || step->op == NSB_OP_MASK || step->op == NSB_OP_DETACH)
			seen = false;
	}
	return seen;
}

static int check_source(nsb_box *box, const char *database, const char *source)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		bool daemon;

		if (strcmp(sources[i].source, source) != 0)
			continue;
		daemon = sources[i].path != NULL && access(sources[i].path, F_OK) == 0;
		if (daemon && !in_sight(&box->plan, sources[i].path))
			return nsb_error_set(
				&box->error, EHOSTUNREACH,
				"nsswitch.conf names \"%s\" for %s, but profile %s hides %s: add bind_ro = %s", source,
				database, box->choice.profile->name, sources[i].path, sources[i].path);
		if (!daemon && sources[i].network &&
		    nsb_network_kind(box->settings.network, NULL) == NSB_NETWORK_LOOPBACK)
			return nsb_error_set(
				&box->error, EHOSTUNREACH,
				"nsswitch.conf names \"%s\" for %s, which asks the network, but profile %s "
				"has none: write network = veth (or host), or run a caching daemon",
				source, database, box->choice.profile->name);
	}
	return 0;
}

/* "passwd:  files sss [NOTFOUND=return] ldap" */
static int check_line(nsb_box *box, char *line)
{
	char *colon, *save = NULL;

	line[strcspn(line, "#")] = '\0';
	line += strspn(line, " \t");
	colon = strchr(line, ':');
	if (colon == NULL)
		return 0;
	*colon = '\0';
	line[strcspn(line, " \t")] = '\0';
	if (strcmp(line, "passwd") != 0 && strcmp(line, "group") != 0)
		return 0;
	for (char *word = strtok_r(colon + 1, " \t", &save); word != NULL; word = strtok_r(NULL, " \t", &save)) {
		int r = word[0] == '[' ? 0 : check_source(box, line, word);

		if (r < 0)
			return r;
	}
	return 0;
}

int check_names(nsb_box *box)
{
	NSB_CLOSE int path = box->tree < 0 ? -1 : nsb_path_open(box->tree, "/etc/nsswitch.conf", 0, NULL, NULL, NULL);
	NSB_CLOSE int fd = -1;
	NSB_FREE char *text = NULL;
	char proc[64], *save = NULL;
	int r = 0;

	if (box->settings.account_files == NSB_ACCOUNT_FILES_MINIMAL)
		return 0; /* the box's own asks nobody, and its files know the user */
	if (path < 0)
		return 0; /* a root without it uses files only */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || nsb_read_all(fd, TEXT_MAX, &text) < 0)
		return 0;
	for (char *line = strtok_r(text, "\n", &save); line != NULL && r == 0; line = strtok_r(NULL, "\n", &save))
		r = check_line(box, line);
	return r;
}
