/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl check: the whole configuration at once. What is wrong in the files is a problem; what may go wrong at a login
 * on this host today (a tree that is not mounted yet, an account that is missing) is a warning.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/fd-util.h"
#include "common/plan.h"
#include "common/profile.h"
#include "common/string-util.h"
#include "ctl/command.h"
#include "ctl/ids.h"
#include "ctl/lacks.h"
#include "ctl/name-servers.h"
#include "ctl/options.h"
#include "ctl/pam-stacks.h"
#include "ctl/profile-plan.h"
#include "ctl/sample.h"
#include "ctl/tell.h"
#include "helper/check-limits.h"
#include "helper/check.h"
#include "helper/device-match.h"
#include "helper/filter.h"

#define STANDARD_FILE NSB_SYSCONFDIR "/security/nsbox.conf"

static void warn_at(nsb_origin at, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn_at(nsb_origin at, const char *format, ...)
{
	char words[NSB_WORDS_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	nsb_make_printable(words);
	if (at.file != NULL)
		fprintf(stderr, "%s:%u: ", at.file, at.line);
	fprintf(stderr, "warning: %s\n", words);
}

/* A plain name that nobody has is a slip of the pen more often than an account to come. */
static void warn_names(const nsb_list *users)
{
	for (size_t i = 0; i < users->n; i++) {
		const char *word = users->items[i] + (users->items[i][0] == '!');
		bool group = word[0] == '@';

		word += group;
		if (strpbrk(word, "*?[") != NULL || strspn(word, "0123456789-") == strlen(word))
			continue;
		if (group && getgrnam(word) == NULL)
			warn_at(users->origins[i], "users: there is no group %s on this host", word);
		if (!group && getpwnam(word) == NULL)
			warn_at(users->origins[i], "users: there is no user %s on this host", word);
	}
}

static int warn_block_device(void *data, const char *path, int fd, const struct stat *st)
{
	(void)fd;
	if (S_ISBLK(st->st_mode))
		warn_at(*(const nsb_origin *)data,
			"dev: %s is a raw disk: who may open it reads and writes past every file's permissions", path);
	return 0;
}

static void warn_devices(const nsb_list *dev)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < dev->n; i++) {
		nsb_error error = { 0 };

		if (device_match(host, dev->items[i], warn_block_device, &dev->origins[i], &error) < 0)
			warn_at(dev->origins[i], "dev: logins would be refused: %s", error.words);
	}
}

/* A limit or a filter that this host cannot hold is not a matter of today: the login is refused until the line or the host is
 * mended. Only root can tell. */
static int check_confined(const nsb_section *profile, const nsb_plan *plan)
{
	NSB_FREE nsb_cgroup_layout *layout = calloc(1, sizeof(*layout));
	nsb_error error = { 0 };
	int r = filter_check(plan, &error);

	if (r == 0)
		r = layout == NULL ? -ENOMEM : check_limits(plan, layout, &error);

	if (r >= 0 || r == -EACCES)
		return COMMAND_OK;
	nsb_make_printable(error.words);
	fprintf(stderr, "%s:%u: profile %s: logins are refused: %s\n", profile->at.file, profile->at.line,
		profile->name, error.words[0] != '\0' ? error.words : strerror(-r));
	return COMMAND_PROBLEM;
}

static void warn_lack(void *argument, const char *sentence)
{
	const nsb_section *profile = argument;

	warn_at(profile->at, "profile %s: %s", profile->name, sentence);
}

/* The box of one user, as far as it can be judged without making it. */
static int check_profile_box(const nsb_section *profile, const nsb_settings *settings, const nsb_session *session)
{
	__attribute__((cleanup(nsb_plan_done))) nsb_plan plan = { 0 };
	nsb_error error = { 0 };
	int r = nsb_plan_make(session, settings, &plan, &error);

	if (r == -EBADMSG) {
		fprintf(stderr, "%s:%u: profile %s: logins are refused: %s\n", profile->at.file, profile->at.line,
			profile->name, error.words);
		return COMMAND_PROBLEM;
	}
	if (r == 0)
		r = check_root(&plan, session->shell, &error);
	if (r < 0)
		warn_at(profile->at, "profile %s: a login of %s would be refused: %s", profile->name, session->user,
			error.words);
	name_servers_lacking(&plan, warn_lack, (void *)profile);
	return plan.n_steps > 0 ? check_confined(profile, &plan) : COMMAND_OK;
}

/* Nobody to try it on: the tree at least can be looked at, if its name depends on nobody. */
static void warn_tree(const nsb_section *profile, const nsb_settings *settings)
{
	const nsb_plan plan = { .root = settings->root, .root_kind = NSB_ROOT_TREE };
	nsb_error error = { 0 };

	if (settings->root[0] == '/' && settings->layers.n == 0 && strchr(settings->root, '%') == NULL &&
	    check_root(&plan, NULL, &error) < 0)
		warn_at(profile->at, "profile %s: logins would be refused: %s", profile->name, error.words);
}

/* Lines that an administrator would take for in force. */
static void warn_network(const nsb_section *profile, const nsb_settings *settings)
{
	const struct {
		const char *key;
		const nsb_list *list;
	} keys[] = { { "publish", &settings->publish }, { "allow", &settings->allow }, { "deny", &settings->deny } };
	nsb_network kind = nsb_network_kind(settings->network, NULL);

	if (kind == NSB_NETWORK_VETH || kind == NSB_NETWORK_BRIDGE)
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].list->n > 0)
			warn_at(keys[i].list->origins[0],
				"%s has no effect in profile %s: with network = %s boxes have no address of their own",
				keys[i].key, profile->name, settings->network);
}

static int check_profile(const nsb_config *config, const nsb_section *profile, samples *accounts)
{
	__attribute__((cleanup(nsb_settings_done))) nsb_settings settings = { 0 };
	const nsb_session *session;
	nsb_error error = { 0 };
	int status = COMMAND_OK;

	if (nsb_config_settings(config, profile, &settings, &error) < 0)
		return tell_error(&error);
	if (settings.users.n == 0 && profile_is_inherited(config, profile))
		return COMMAND_OK; /* its heirs are looked at */
	if (!settings.network_named)
		warn_at(profile->at, "profile %s does not name network: sessions will have no network", profile->name);
	warn_network(profile, &settings);
	warn_names(&settings.users);
	warn_devices(&settings.dev);
	session = samples_find(accounts, &settings);
	if (session != NULL)
		status = check_profile_box(profile, &settings, session);
	else
		warn_tree(profile, &settings);
	lacks_of_profile(&settings, accounts, session, warn_lack, (void *)profile);
	ids_of_profile(&settings, accounts, warn_lack, (void *)profile);
	return status;
}

static void warn_host(bool standard)
{
	nsb_error error = { 0 };

	if (check_kernel(&error) < 0)
		warn_at((nsb_origin){ 0 }, "%s", error.words);
	if (standard)
		pam_stacks_warn();
}

static int check_config(const nsb_config *config, const char *file)
{
	__attribute__((cleanup(samples_done))) samples accounts = { 0 };
	size_t n = nsb_config_n_profiles(config);
	int status = COMMAND_OK;

	warn_host(file == NULL);
	if (n > 0 && samples_collect(&accounts) < 0)
		return COMMAND_PROBLEM;
	for (size_t i = 0; i < n; i++) {
		int one = check_profile(config, nsb_config_profile(config, i), &accounts);

		status = one != COMMAND_OK ? one : status;
	}
	if (status == COMMAND_OK)
		printf("%s: ok, %zu profile%s\n", file != NULL ? file : STANDARD_FILE, n, n == 1 ? "" : "s");
	return status;
}

int command_check(const command *self, int argc, char **argv)
{
	__attribute__((cleanup(nsb_problems_done))) nsb_problems problems = { 0 };
	const char *file = NULL;
	nsb_config *config = NULL;
	nsb_error error = { 0 };
	int first, status;

	if (options_parse(self, argc, argv, NULL, 0, 1, &first) != 0)
		return first;
	if (first < argc)
		file = argv[first];
	if (nsb_config_load(file, &config, &problems, &error) < 0)
		return tell_problems(&problems, &error);
	status = check_config(config, file);
	nsb_config_free(config);
	return status;
}
