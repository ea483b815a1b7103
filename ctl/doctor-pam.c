/* SPDX-License-Identifier: BSD-3-Clause */
/* The stacks of all services: what their own lines tell (pam-stacks.c, pam-order.c), what they should name and do not, and
 * whether what they name is there and root's alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/service-table.h"
#include "common/string-util.h"
#include "ctl/doctor.h"
#include "ctl/pam-stacks.h"
#include "ctl/profile-plan.h"

#define MODULE_LINES                                                                                                   \
	"write \"session required " PAM_NSBOX " close\" as the first and \"session required " PAM_NSBOX                \
	" open\" as the last of its session lines (pam_nsbox(8) has examples)"

/* All stacks, read once. */
typedef struct stacks {
	pam_services services;
	pam_stack *items; /* in the same order; one that could not be read has no lines */
} stacks;

static void stacks_done(stacks *all)
{
	for (size_t i = 0; all->items != NULL && i < all->services.n; i++)
		pam_stack_done(&all->items[i]);
	free(all->items);
	pam_services_done(&all->services);
}

static void load_stacks(doctor *d, stacks *ret)
{
	int r = pam_services_list(&pam_standard_places, &ret->services);

	if (r < 0)
		doctor_unseen(d, pam_standard_places.directories[0], r);
	ret->items = calloc(ret->services.n + 1, sizeof(*ret->items));
	if (ret->items == NULL) {
		d->failed = true;
		return;
	}
	for (size_t i = 0; i < ret->services.n; i++)
		if (pam_stack_load(&pam_standard_places, ret->services.names[i], &ret->items[i]) < 0)
			d->failed = true;
}

static const pam_stack *find_stack(const stacks *all, const char *service)
{
	for (size_t i = 0; all->items != NULL && i < all->services.n; i++)
		if (strcmp(all->services.names[i], service) == 0)
			return &all->items[i];
	return NULL;
}

static char *place_of(const pam_stack *stack, const char *service)
{
	return stack->n_files > 0 ? strdup(stack->files[0]) : strdup(service);
}

/* --- files that cannot be read, or that others write --- */

static void look_at_error(doctor *d, const pam_stack *stack)
{
	if (stack->error == 0 || stack->error_where == NULL || stack->error_file == NULL)
		return;
	if (stack->error == -EACCES)
		doctor_unseen(d, stack->error_where, stack->error);
	else
		doctor_find_new(d, FINDING_WARNING, stack->error_where,
				nsb_format("%s cannot be read as libpam does (%s): it refuses logins by this service",
					   stack->error_file, strerror(-stack->error)),
				"mend that line or file");
}

static void look_at_readable(doctor *d, const stacks *all)
{
	for (size_t i = 0; i < all->services.n; i++)
		look_at_error(d, &all->items[i]);
}

static void look_at_owner(doctor *d, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && !nsb_stat_trusted(&st))
		doctor_find(d, FINDING_PROBLEM, path, "others than root can change this file, and by that who is boxed",
			    "chown root:root and chmod go-w that file");
}

static bool is_first(const stacks *all, size_t stack, size_t file)
{
	for (size_t i = 0; i <= stack; i++)
		for (size_t k = 0; k < (i == stack ? file : all->items[i].n_files); k++)
			if (strcmp(all->items[i].files[k], all->items[stack].files[file]) == 0)
				return false;
	return true;
}

static void look_at_owners(doctor *d, const stacks *all)
{
	for (size_t i = 0; i < all->services.n; i++)
		for (size_t k = 0; k < all->items[i].n_files; k++)
			if (is_first(all, i, k))
				look_at_owner(d, all->items[i].files[k]);
}

/* --- the rules of one stack --- */

static void take_finding(void *argument, const char *service, const pam_line *at, finding_severity severity,
			 const char *sentence, const char *remedy)
{
	doctor *d = argument;
	NSB_FREE char *where = at != NULL ? nsb_format("%s:%u", at->file, at->line) : nsb_format("service %s", service);
	/* a line of a file that others include stands for several services */
	NSB_FREE char *own = nsb_format("/%s", service), *what = NULL;

	if (own == NULL)
		return;
	what = at != NULL && strstr(at->file, own) == NULL ? nsb_format("service %s: %s", service, sentence)
							   : strdup(sentence);
	doctor_find(d, severity, where, what, remedy);
}

static void apply_rules(doctor *d, const stacks *all)
{
	for (size_t i = 0; i < pam_n_rules; i++) {
		doctor_begin(d, pam_rules[i].name);
		for (size_t k = 0; k < all->services.n; k++)
			if ((nsb_service_traits(all->services.names[k]) & NSB_SERVICE_NEVER) == 0)
				(void)pam_rules[i].judge(all->services.names[k], &all->items[k], take_finding, d);
		doctor_end(d);
	}
}

/* --- services without our lines --- */

static const struct {
	const char *service;
	finding_severity severity;
	const char *consequence;
} doors[] = {
	{ "sshd", FINDING_PROBLEM, "nobody who comes by ssh is boxed" },
	{ "login", FINDING_PROBLEM, "nobody who logs in on a terminal is boxed" },
	{ "remote", FINDING_PROBLEM, "nobody who comes by login -h (telnet) is boxed" },
	{ "vsftpd", FINDING_WARNING, "file transfers see the whole host" },
	{ "proftpd", FINDING_WARNING, "file transfers see the whole host" },
	{ "cockpit", FINDING_WARNING, "its shells and tools run outside" },
	{ "su", FINDING_NOTE, "who becomes a user by it outside any box is not boxed (within a box it stays there)" },
	{ "su-l", FINDING_NOTE, "who becomes a user by it outside any box is not boxed (within a box it stays there)" },
	{ "sudo", FINDING_NOTE, "who becomes a user by it outside any box is not boxed (within a box it stays there)" },
	{ "sudo-i", FINDING_NOTE,
	  "who becomes a user by it outside any box is not boxed (within a box it stays there)" },
};

typedef struct wanted {
	const char *service;
	const nsb_section *by;	  /* the first profile that is for the service */
	const nsb_section *named; /* the first that names it */
} wanted;

static void take_wish(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	wanted *w = argument;

	if (settings->users.n == 0 || !profile_is_for_service(settings, w->service))
		return;
	w->by = w->by != NULL ? w->by : profile;
	for (size_t i = 0; i < settings->services.n && w->named == NULL; i++)
		if (strcmp(settings->services.items[i], w->service) == 0)
			w->named = profile;
}

static void look_at_missing(doctor *d, const char *service, const pam_stack *stack)
{
	wanted w = { .service = service };
	NSB_FREE char *where = place_of(stack, service);

	if (pam_stacks_opener(stack) != NULL || stack->error == -EACCES ||
	    (nsb_service_traits(service) & NSB_SERVICE_NEVER))
		return;
	profiles_each(d->config, take_wish, &w);
	if (w.named != NULL) {
		doctor_find_new(
			d, FINDING_PROBLEM, where,
			nsb_format("profile %s names the service %s, whose session lines do not open a box: nobody who "
				   "comes by it is boxed",
				   w.named->name, service),
			MODULE_LINES);
		return;
	}
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]) && w.by != NULL; i++)
		if (strcmp(doors[i].service, service) == 0)
			doctor_find_new(d, doors[i].severity, where,
					nsb_format("no session line names " PAM_NSBOX
						   ", and profile %s is for this service, too: %s",
						   w.by->name, doors[i].consequence),
					MODULE_LINES);
}

/* A name in `services` that no file has. */
typedef struct naming {
	doctor *d;
	const stacks *all;
} naming;

static void look_at_names(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	const naming *n = argument;

	for (size_t i = 0; i < settings->services.n; i++) {
		const char *word = settings->services.items[i];
		NSB_FREE char *where = doctor_origin(settings->services.origins[i]);

		if (strpbrk(word, "!*?[") != NULL || strcmp(word, "nsboxctl") == 0)
			continue;
		if (nsb_service_traits(word) & NSB_SERVICE_NEVER)
			doctor_find_new(n->d, FINDING_WARNING, where,
					nsb_format("profile %s names the service %s, whose sessions are never boxed",
						   profile->name, word),
					"remove that word; SECURITY.md says why graphical logins are left alone");
		else if (find_stack(n->all, word) == NULL)
			doctor_find_new(n->d, FINDING_WARNING, where,
					nsb_format("profile %s names the service %s, which has no file in /etc/pam.d",
						   profile->name, word),
					"mend the name, or install what is called so");
	}
}

static void look_for_missing(doctor *d, const stacks *all)
{
	for (size_t i = 0; i < all->services.n; i++)
		look_at_missing(d, all->services.names[i], &all->items[i]);
}

static void look_at_service_names(doctor *d, const stacks *all)
{
	naming n = { .d = d, .all = all };

	profiles_each(d->config, look_at_names, &n);
}

/* --- words behind the module --- */

static bool is_known(const char *word)
{
	static const char *const known[] = { "open", "close", "debug" }; /* facts_words() */

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(word, known[i]) == 0)
			return true;
	return nsb_after_prefix(word, "profile=") != NULL || nsb_after_prefix(word, "conf=") != NULL;
}

/* profile=NAME must be in the file that conf= names, or in the configuration. */
static void look_at_profile_word(doctor *d, const pam_line *line, const char *where)
{
	__attribute__((cleanup(nsb_problems_done))) nsb_problems problems = { 0 };
	const char *conf = pam_line_value(line, "conf"), *profile = pam_line_value(line, "profile");
	const nsb_config *config = d->config;
	nsb_config *other = NULL;
	nsb_error error = { 0 };

	if (conf != NULL && nsb_config_load(conf, &other, &problems, &error) < 0) {
		doctor_find_new(d, error.err == EACCES ? FINDING_UNSEEN : FINDING_PROBLEM, where,
				nsb_format("conf=%s cannot be taken: %s", conf, error.words),
				"mend that file, or the word");
		return;
	}
	config = conf != NULL ? other : config;
	if (config != NULL && profile != NULL && nsb_config_find(config, profile) == NULL)
		doctor_find_new(d, FINDING_PROBLEM, where,
				nsb_format("profile=%s: there is no profile of that name: logins are refused", profile),
				"write the profile, or mend the word");
	nsb_config_free(other);
}

static void look_at_words(doctor *d, const pam_line *line)
{
	NSB_FREE char *where = nsb_format("%s:%u", line->file, line->line);

	for (size_t i = 0; i < line->n_words; i++)
		if (!is_known(line->words[i]))
			doctor_find_new(d, FINDING_PROBLEM, where,
					nsb_format("%s does not know the word \"%s\": logins are refused", PAM_NSBOX,
						   line->words[i]),
					"pam_nsbox(8) has the words: open, close, profile=, conf=, debug");
	look_at_profile_word(d, line, where);
}

/* Each line once, though several services include it. */
static bool is_own(const stacks *all, size_t stack, const pam_line *line)
{
	for (size_t i = 0; i < stack; i++)
		for (size_t k = 0; k < all->items[i].n; k++)
			if (all->items[i].lines[k].line == line->line &&
			    strcmp(all->items[i].lines[k].file, line->file) == 0)
				return false;
	return true;
}

static void each_line(doctor *d, const stacks *all, void (*look)(doctor *d, const pam_line *line))
{
	for (size_t i = 0; i < all->services.n; i++)
		for (size_t k = 0; k < all->items[i].n; k++)
			if (pam_line_is(&all->items[i].lines[k], PAM_NSBOX) && is_own(all, i, &all->items[i].lines[k]))
				look(d, &all->items[i].lines[k]);
}

static void look_at_all_words(doctor *d, const stacks *all)
{
	each_line(d, all, look_at_words);
}

/* --- what is installed --- */

static void look_at_program(doctor *d, const char *path, bool module)
{
	NSB_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	nsb_error error = { 0 };
	NSB_CLOSE int fd = nsb_path_open(host, path, NSB_PATH_TRUSTED, NULL, NULL, &error);
	struct stat st;

	if (fd == -EACCES) {
		doctor_unseen(d, path, fd);
		return;
	}
	if (fd == -ENOENT) {
		doctor_find_new(d, FINDING_PROBLEM, path,
				nsb_format("it is missing: %s", module ? "services that name it refuse everybody"
								       : "everybody who is to be boxed is refused"),
				"install nsbox again");
		return;
	}
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !nsb_stat_trusted(&st))
		doctor_find(d, FINDING_PROBLEM, path,
			    "others than root can change it, or a directory that it is in, and by that become root",
			    "install nsbox again into a place of root's");
}

static void look_at_module_path(doctor *d, const pam_line *line)
{
	if (line->module[0] == '/' && strcmp(line->module, NSB_PAMDIR "/" PAM_NSBOX) != 0)
		look_at_program(d, line->module, true);
}

static void look_at_installation(doctor *d, const stacks *all)
{
	static const char *const programs[] = { NSB_LIBEXECDIR "/nsbox-helper", NSB_LIBEXECDIR "/nsbox-init",
						NSB_LIBEXECDIR "/nsbox-monitor" };

	look_at_program(d, NSB_PAMDIR "/" PAM_NSBOX, true);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		look_at_program(d, programs[i], false);
	each_line(d, all, look_at_module_path);
}

/* --- all of them --- */

static const struct {
	const char *name;
	void (*look)(doctor *d, const stacks *all);
} rows[] = {
	{ "readable", look_at_readable },      { "owners", look_at_owners },
	{ "missing", look_for_missing },       { "services", look_at_service_names },
	{ "module-words", look_at_all_words }, { "installation", look_at_installation },
};

static void look_at_stacks(doctor *d)
{
	__attribute__((cleanup(stacks_done))) stacks all = { 0 };

	doctor_begin(d, "list");
	load_stacks(d, &all);
	doctor_end(d);
	if (all.items == NULL)
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		doctor_begin(d, rows[i].name);
		rows[i].look(d, &all);
		doctor_end(d);
	}
	apply_rules(d, &all);
}

static const doctor_check checks[] = { { NULL, look_at_stacks, NULL } };
const doctor_subject doctor_pam = { "pam", checks, sizeof(checks) / sizeof(checks[0]) };
