/* SPDX-License-Identifier: BSD-3-Clause */
/* Each sshd of this host: the one that is installed, and those that run with another file. And what is no sshd but does
 * the same without PAM. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/doctor.h"
#include "ctl/pam-stacks.h"
#include "ctl/processes.h"
#include "ctl/sshd-config.h"

#define SERVERS_MAX 32

typedef struct server {
	pid_t pid; /* 0: installed; whether it runs does not matter */
	char *config;
	char *service; /* what it is called, which PAM knows it by */
	char *options; /* all its arguments */
} server;

typedef struct servers {
	server items[SERVERS_MAX];
	size_t n;
} servers;

static void servers_done(servers *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->items[i].config);
		free(list->items[i].service);
		free(list->items[i].options);
	}
}

static void add_server(servers *list, pid_t pid, const char *config, const char *service, const char *options)
{
	server one = { .pid = pid, .config = strdup(config), .service = strdup(service), .options = strdup(options) };

	if (list->n == SERVERS_MAX || one.config == NULL || one.service == NULL || one.options == NULL) {
		free(one.config);
		free(one.service);
		free(one.options);
		return;
	}
	list->items[list->n++] = one;
}

/* What stands behind an option: "-f FILE", "-fFILE"; a copy, NULL without. */
static char *option_value(const char *arguments, const char *option)
{
	size_t length = strlen(option);

	for (const char *at = arguments; *(at += strspn(at, " ")) != '\0'; at += strcspn(at, " ")) {
		const char *value = at + length;

		if (strncmp(at, option, length) != 0)
			continue;
		value += strspn(value, " ");
		return *value != '\0' ? strndup(value, strcspn(value, " ")) : NULL;
	}
	return NULL;
}

/* "sshd: /usr/sbin/sshd -D -f FILE [listener] 0 of 10-100 startups", or the plain arguments of an older one; sessions are
 * "sshd: alice [priv]". Only root's: anybody may be called so. */
static void take_process(void *argument, const process_row *process)
{
	servers *list = argument;
	const char *end = strstr(process->arguments, " [listener]");
	const char *begin = nsb_after_prefix(process->arguments, process->name);
	NSB_FREE char *words = NULL, *config = NULL, *program = NULL;
	const char *name;

	if (process->uid != 0 || !process->outside)
		return;
	/* the title begins with the program's name, of which the kernel keeps 15 characters */
	begin = begin != NULL ? strstr(begin, ": ") : NULL;
	if (end != NULL && begin != NULL && begin < end && strchr(process->arguments, ' ') == begin + 1)
		words = strndup(begin + 2, (size_t)(end - begin) - 2);
	else if (strcmp(process->name, "sshd") == 0 && process->arguments[0] == '/')
		words = strdup(process->arguments);
	program = words != NULL ? strndup(words, strcspn(words, " ")) : NULL;
	if (program == NULL)
		return;
	name = strrchr(program, '/') != NULL ? strrchr(program, '/') + 1 : program;
	config = option_value(words, "-f");
	add_server(list, process->pid, config != NULL ? config : SSHD_CONFIG, name, words);
}

static void find_servers(servers *list)
{
	if (access(SSHD_CONFIG, F_OK) == 0 && access("/usr/sbin/sshd", F_OK) == 0)
		add_server(list, 0, SSHD_CONFIG, "sshd", "");
	(void)processes_each(take_process, list);
}

/* --- one option --- */

typedef struct sought {
	const char *keyword;
	char *value, *where; /* the first one outside Match blocks, or the first one at all */
	bool match_too;
} sought;

static void sought_done(sought *s)
{
	free(s->value);
	free(s->where);
}

static void take_option(void *argument, const sshd_option *option)
{
	sought *s = argument;

	if (s->value != NULL || strcasecmp(option->keyword, s->keyword) != 0 || (option->match && !s->match_too))
		return;
	s->value = strdup(option->value);
	s->where = nsb_format("%s:%u", option->file, option->line);
}

/* What holds for this server. `ret->value` NULL: nothing says it. Errors of sshd_config_walk(). */
static int seek(const server *one, sought *ret)
{
	NSB_FREE char *blank = nsb_format("-o %s", ret->keyword), *joined = nsb_format("-o%s", ret->keyword);
	const char *forms[] = { blank, joined };

	/* the command line comes before the file */
	for (size_t i = 0; i < 2; i++) {
		const char *at = forms[i] != NULL ? strcasestr(one->options, forms[i]) : NULL;

		if (at == NULL || strchr("= ", at[strlen(forms[i])]) == NULL || at[strlen(forms[i])] == '\0')
			continue;
		at += strlen(forms[i]) + 1;
		ret->value = strndup(at, strcspn(at, " "));
		ret->where = nsb_format("process %d", (int)one->pid);
		return 0;
	}
	return sshd_config_walk(one->config, take_option, ret);
}

static char *name_of(const server *one)
{
	return one->pid == 0 ? strdup("sshd") : nsb_format("the sshd with process number %d", (int)one->pid);
}

static bool boxes_anybody(const doctor *d)
{
	return d->config == NULL || nsb_config_n_profiles(d->config) > 0;
}

/* --- the checks --- */

typedef void server_look(doctor *d, const server *one);

static void each_server(doctor *d, server_look *look)
{
	servers list = { 0 };

	find_servers(&list);
	for (size_t i = 0; i < list.n; i++) {
		bool again = false;

		/* the one that is installed runs as well; several processes may have one file */
		for (size_t k = 0; k < i; k++)
			again |= strcmp(list.items[k].config, list.items[i].config) == 0 &&
				 strcmp(list.items[k].service, list.items[i].service) == 0 &&
				 strstr(list.items[i].options, "-o") == NULL;
		if (!again)
			look(d, &list.items[i]);
	}
	servers_done(&list);
}

static void look_at_pam(doctor *d, const server *one)
{
	__attribute__((cleanup(sought_done))) sought pam = { .keyword = "UsePAM" };
	NSB_FREE char *name = name_of(one);
	int r = seek(one, &pam);

	if (name == NULL || (pam.value != NULL && strcasecmp(pam.value, "yes") == 0))
		return;
	if (r == -ENOENT && pam.value == NULL) {
		doctor_find_new(d, FINDING_UNSEEN, one->config,
				nsb_format("%s was started with this file, which is gone", name),
				"start it again with a file that is there");
		return;
	}
	if (r < 0)
		doctor_unseen(d, one->config, r);
	if (r < 0 && pam.value == NULL)
		return;
	doctor_find_new(
		d, boxes_anybody(d) ? FINDING_PROBLEM : FINDING_NOTE, pam.value != NULL ? pam.where : one->config,
		pam.value != NULL
			? nsb_format("%s does not ask PAM (UsePAM %s): nobody who comes by it is boxed", name,
				     pam.value)
			: nsb_format("%s does not ask PAM (no line says UsePAM yes): nobody who comes by it is boxed",
				     name),
		"write \"UsePAM yes\" there, before any Match, and reload sshd; or end that server");
}

static void check_pam(doctor *d)
{
	each_server(d, look_at_pam);
}

/* An sshd under another name has another stack. */
static void look_at_service(doctor *d, const server *one)
{
	__attribute__((cleanup(pam_stack_done))) pam_stack stack = { 0 };
	NSB_FREE char *name = name_of(one), *where = nsb_format("/etc/pam.d/%s", one->service);
	int r;

	if (strcmp(one->service, "sshd") == 0)
		return; /* among the stacks */
	r = pam_stack_load(&pam_standard_places, one->service, &stack);
	if ((r < 0 && r != -ENOENT) || pam_stacks_opener(&stack) != NULL)
		return;
	doctor_find_new(d, boxes_anybody(d) ? FINDING_PROBLEM : FINDING_NOTE, where,
			nsb_format("%s has the PAM service %s, whose session lines do not name " PAM_NSBOX
				   ": nobody who comes by it is boxed",
				   name, one->service),
			"make that file like /etc/pam.d/sshd, with its lines of " PAM_NSBOX);
}

static void check_service(doctor *d)
{
	each_server(d, look_at_service);
}

static const struct {
	const char *keyword, *bad;
	finding_severity severity;
	const char *what, *remedy;
} risks[] = {
	{ "PermitUserEnvironment", "yes", FINDING_NOTE,
	  "users set variables of the login in ~/.ssh/environment: a shell that is meant to be restricted is not",
	  "write \"PermitUserEnvironment no\" there" },
	{ "UseLogin", "yes", FINDING_WARNING,
	  "login(1) opens a second PAM session within that of sshd: the box is made twice, or by the other stack",
	  "write \"UseLogin no\" there" },
	{ "UsePrivilegeSeparation", "no", FINDING_WARNING,
	  "sshd answers to strangers as root, and joins boxes in one process with that", "remove that line" },
};

static void look_at_risks(doctor *d, const server *one)
{
	for (size_t i = 0; i < sizeof(risks) / sizeof(risks[0]); i++) {
		__attribute__((cleanup(sought_done)))
		sought option = { .keyword = risks[i].keyword, .match_too = true };

		(void)seek(one, &option); /* what cannot be read is told by use-pam */
		if (option.value != NULL && strcasecmp(option.value, risks[i].bad) == 0)
			doctor_find_new(d, risks[i].severity, option.where,
					nsb_format("%s %s: %s", risks[i].keyword, option.value, risks[i].what),
					risks[i].remedy);
	}
}

static void check_risks(doctor *d)
{
	each_server(d, look_at_risks);
}

/* --- the same without PAM --- */

static const struct {
	const char *name, *program;
} others[] = {
	{ "dropbear", "/usr/sbin/dropbear" },
	{ "tinysshd", "/usr/sbin/tinysshd" },
};

typedef struct running {
	const char *name;
	pid_t pid;
} running;

static void take_running(void *argument, const process_row *process)
{
	running *r = argument;

	if (process->uid == 0 && process->outside && strcmp(process->name, r->name) == 0)
		r->pid = process->pid;
}

static void check_others(doctor *d)
{
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		running r = { .name = others[i].name };
		NSB_FREE char *remedy = NULL;

		(void)processes_each(take_running, &r);
		if (r.pid == 0 && access(others[i].program, X_OK) < 0)
			continue;
		remedy = nsb_format("remove the package of %s, or switch its service off, and let OpenSSH do that",
				    r.name);
		if (r.pid != 0)
			doctor_find_new(
				d, boxes_anybody(d) ? FINDING_PROBLEM : FINDING_NOTE, others[i].program,
				nsb_format(
					"%s runs (process %d) and has no PAM sessions: nobody who comes by it is boxed",
					r.name, (int)r.pid),
				remedy);
		else
			doctor_find_new(d, FINDING_NOTE, others[i].program,
					nsb_format("%s is installed; where it runs, it has no PAM sessions: nobody who "
						   "comes by it "
						   "is boxed",
						   r.name),
					remedy);
	}
}

static const doctor_check checks[] = {
	{ "use-pam", check_pam, NULL },
	{ "pam-service", check_service, NULL },
	{ "options", check_risks, NULL },
	{ "other-servers", check_others, NULL },
};
const doctor_subject doctor_sshd = { "sshd", checks, sizeof(checks) / sizeof(checks[0]) };
