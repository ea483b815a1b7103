/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/config-checks.h"
#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "ctl/mountinfo.h"
#include "helper/mount-types.h"
#include "helper/new-mount-api.h"
#include "helper/userns-make.h"

#define TRIAL_MAP "0 2000000000 65536\n" /* for trying: nothing gets these ids */

typedef struct listener {
	lacks_tell *tell;
	void *argument;
} listener;

static void say(const listener *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const listener *l, const char *format, ...)
{
	char words[NSB_WORDS_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	l->tell(l->argument, words);
}

/* ---- check ---- */

/* "name:first:count", subuid(5). The first line that lies over the pool is enough. */
static void look_at_file(const listener *l, const char *path, uint32_t first, uint32_t last)
{
	FILE *file = fopen(path, "re");
	NSB_FREE char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (file != NULL && !found && getline(&line, &room, file) > 0) {
		uint64_t from, count;
		char name[128];

		if (sscanf(line, "%127[^:]:%" SCNu64 ":%" SCNu64, name, &from, &count) != 3 || count == 0 ||
		    from > last || (from < first && count <= first - from))
			continue;
		say(l,
		    "subid_pool %u-%u lies over a range that %s gives to %s (%" PRIu64 " ids from %" PRIu64
		    "): what has those "
		    "ids outside may signal root of a box: choose another pool",
		    first, last, path, name, count, from);
		found = true;
	}
	if (file != NULL)
		fclose(file);
}

static void look_at_accounts(const listener *l, const samples *accounts, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < accounts->n; i++) {
		const nsb_session *session = &accounts->sessions[i];

		if (session->uid < first || session->uid > last)
			continue;
		say(l, "subid_pool %u-%u has the uid of %s (%u) in it: choose another pool", first, last, session->user,
		    session->uid);
		return;
	}
}

void ids_of_profile(const nsb_settings *settings, const samples *accounts, lacks_tell *tell, void *argument)
{
	static const char *const files[] = { "/etc/subuid", "/etc/subgid" };
	const listener l = { tell, argument };
	uint32_t first, last;

	if (settings->user_namespace != NSB_USER_NAMESPACE_KEEP_ID)
		return;
	for (size_t i = 0; i < accounts->n; i++)
		if (accounts->sessions[i].uid == 0 && samples_is_for(settings, &accounts->sessions[i]))
			say(&l, "%s could not log in: user_namespace = keep-id refuses uid 0: write !%s in users",
			    accounts->sessions[i].user, accounts->sessions[i].user);
	if (nsb_parse_subid_pool(settings->subid_pool, &first, &last, NULL) != 0)
		return;
	look_at_accounts(&l, accounts, first, last);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		look_at_file(&l, files[i], first, last);
}

/* ---- explain ---- */

/* Whether this kernel maps the file system that is mounted there; the mount that lies on top of another one counts. */
static bool can_be_mapped(const char *point, int user)
{
	NSB_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int fd = nsb_path_open(root, point, NSB_PATH_NO_SYMLINKS, NULL, NULL, NULL);
	NSB_CLOSE int mount = fd < 0 ? -1 : sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	return mount < 0 || userns_map_mount(mount, user, 0) != -EINVAL;
}

static void look_at_mounts(const listener *l, const mount_list *mounts, const char *tree, int user)
{
	struct utsname kernel;

	if (uname(&kernel) < 0)
		kernel.release[0] = '\0';
	for (size_t i = 0; i < mounts->n; i++) {
		NSB_FREE char *point = mountinfo_decode(mounts->rows[i].point);
		const char *type = mounts->rows[i].type;

		if (point == NULL || !nsb_path_below(point, tree) || strcmp(point, tree) == 0 ||
		    mount_type_is_kernel(type) || can_be_mapped(point, user))
			continue;
		say(l, "%s is left out of the box: it is %s, whose owners Linux %s cannot show as those of the box",
		    point, type, kernel.release);
	}
}

void ids_left_out(const nsb_plan *plan, lacks_tell *tell, void *argument)
{
	const listener l = { tell, argument };
	nsb_process self = { .pid = getpid(), .start = nsb_process_start(getpid()) };
	NSB_CLOSE int user = -1;
	const userns_wish wish = { .uids = TRIAL_MAP, .gids = TRIAL_MAP, .ret_user = &user };
	mount_list mounts = { 0 };

	if (plan->user_namespace != NSB_USER_NAMESPACE_KEEP_ID || geteuid() != 0 || userns_new(&wish, NULL) < 0)
		return;
	if (mountinfo_read(&self, &mounts) == 0)
		for (size_t i = 0; i < plan->n_steps; i++) {
			const nsb_step *step = &plan->steps[i];

			if ((step->flags & NSB_STEP_IDMAP) && (step->flags & NSB_STEP_RECURSIVE))
				look_at_mounts(&l, &mounts, step->src, user);
		}
	mountinfo_done(&mounts);
}
