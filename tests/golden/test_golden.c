/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Golden plans: tests/golden/cases/NAME.conf (nsbox.conf) and NAME.session (facts) must give NAME.plan. The plan is pure,
 * so the very same text comes out on every machine; a change of a default, or of a row of the view, shows in the diff.
 *
 *   UPDATE=1 make check TESTS=test_golden	rewrites the plans: look at `git diff` before you commit
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/config.h"
#include "common/namespace-table.h"
#include "common/plan.h"
#include "common/profile.h"
#include "common/string-util.h"

#define CASES_MAX 128
#define GROUPS_MAX 8

static const char *directory(void)
{
	static char path[4096];
	const char *srcdir = getenv("srcdir"); /* set by automake's test driver */

	snprintf(path, sizeof(path), "%s/tests/golden/cases", srcdir != NULL ? srcdir : ".");
	return path;
}

/* The text of a file, NULL if it does not exist. The caller frees. */
static char *read_file(const char *name, const char *suffix)
{
	char *path = nsb_format("%s/%s%s", directory(), name, suffix);
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t n;

	free(path);
	if (file == NULL)
		return NULL;
	text = calloc(1, 65536);
	n = fread(text, 1, 65535, file);
	assert_true(n < 65535);
	fclose(file);
	return text;
}

static void write_file(const char *name, const char *suffix, const char *text)
{
	char *path = nsb_format("%s/%s%s", directory(), name, suffix);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
	free(path);
}

/* --- facts --- */

typedef struct facts {
	nsb_session session;
	nsb_group groups[GROUPS_MAX];
	const char *force;
} facts;

static void set_number(unsigned *field, const char *value)
{
	uint64_t number;

	assert_int_equal(nsb_parse_u64(value, UINT32_MAX, &number), 0);
	*field = (unsigned)number;
}

/* "3001 students", or "3001" for a group without a name. */
static void add_group(facts *f, char *value)
{
	char *blank = strchr(value, ' ');

	assert_true(f->session.n_groups < GROUPS_MAX);
	if (blank != NULL)
		*blank++ = '\0';
	set_number(&f->groups[f->session.n_groups].gid, value);
	f->groups[f->session.n_groups++].name = blank;
}

static void set_fact(facts *f, const char *key, char *value)
{
	const struct {
		const char *key;
		char **field;
	} texts[] = {
		{ "user", &f->session.user },	{ "service", &f->session.service },	  { "tty", &f->session.tty },
		{ "rhost", &f->session.rhost }, { "krb5ccname", &f->session.krb5ccname }, { "home", &f->session.home },	  { "gecos", &f->session.gecos },
		{ "shell", &f->session.shell }, { "host_name", &f->session.host_name },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(key, texts[i].key) == 0) {
			*texts[i].field = value;
			return;
		}
	if (strcmp(key, "uid") == 0)
		set_number(&f->session.uid, value);
	else if (strcmp(key, "gid") == 0)
		set_number(&f->session.gid, value);
	else if (strcmp(key, "group") == 0)
		add_group(f, value);
	else if (strcmp(key, "force") == 0)
		f->force = value;
	else
		fail_msg("unknown fact: %s", key);
}

/* Facts that a case does not name are alice's, by ssh. */
static void parse_facts(char *text, facts *f)
{
	char *save = NULL;

	*f = (facts){ .session = { .user = (char *)"alice",
				   .service = (char *)"sshd",
				   .tty = (char *)"ssh",
				   .rhost = (char *)"192.0.2.7",
				   .krb5ccname = (char *)"",
				   .app_pid = 4711,
				   .uid = 2001,
				   .gid = 2001,
				   .home = (char *)"/home/alice",
				   .shell = (char *)"/bin/bash",
				   .login = "k3j5h7g9fx",
				   .id = "k3j5h7g9fx",
				   .host_name = (char *)"lab1" } };
	f->session.groups = f->groups;
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		char *equals = strchr(line, '=');

		if (line[0] == '#')
			continue;
		assert_non_null(equals);
		*equals = '\0';
		set_fact(f, line, equals + 1);
	}
}

/* --- the text of a plan --- */

static void print_plan(FILE *out, const nsb_plan *plan)
{
	char *privileges, *network;

	fputs("namespaces", out);
	for (size_t i = 0; i < nsb_n_namespaces; i++)
		if (plan->namespaces & (uint64_t)nsb_namespaces[i].flag)
			fprintf(out, " %s", nsb_namespaces[i].key);
	fprintf(out, "\nroot %s%s\nterminal %s\nhostname %s\nstop_timeout %lld\n%s", plan->root,
		plan->root_kind == NSB_ROOT_HOST ? " (host)" : "", plan->terminal != NULL ? plan->terminal : "-", plan->hostname,
		(long long)plan->stop_timeout, plan->record ? "record\n" : "");
	if (plan->share)
		fprintf(out, "share: terminals %s, linger %lld\n", plan->terminals,
			plan->linger == NSB_INFINITY ? -1 : (long long)plan->linger);
	if (plan->runtime_max != NSB_INFINITY)
		fprintf(out, "runtime_max %lld\n", (long long)plan->runtime_max);
	if (plan->cgroup_manager != NSB_CGROUP_MANAGER_AUTO)
		fprintf(out, "cgroup_manager %d\n", plan->cgroup_manager);
	for (size_t i = 0; i < plan->n_steps; i++) {
		char *text = nsb_plan_step_text(&plan->steps[i]);

		assert_non_null(text);
		assert_null(strchr(text, '\n'));
		fprintf(out, "%s", text);
		if (plan->steps[i].origin.file != NULL)
			fprintf(out, "  (line %u)", plan->steps[i].origin.line);
		fputc('\n', out);
		free(text);
	}
	for (size_t i = 0; i < plan->n_environment; i++)
		fprintf(out, "environment %s\n", plan->environment[i]);
	privileges = nsb_plan_privileges_text(plan);
	assert_non_null(privileges);
	fputs(privileges, out);
	free(privileges);
	network = nsb_plan_network_text(plan);
	assert_non_null(network);
	fputs(network, out);
	free(network);
	for (size_t i = 0; i < plan->n_unprotected; i++)
		fprintf(out, "unprotected: %s\n", plan->unprotected[i]);
}

static void print_choice(FILE *out, const nsb_choice *choice)
{
	for (size_t i = 0; i < choice->n_verdicts; i++)
		fprintf(out, "profile %s: %s\n", choice->verdicts[i].profile->name, choice->verdicts[i].why);
	if (choice->profile == NULL)
		fputs("no profile\n", out);
}

static void print_profile(FILE *out, const nsb_config *config, const nsb_section *profile, const nsb_session *session)
{
	nsb_settings settings = { 0 };
	nsb_error error = { 0 };
	nsb_plan plan;

	assert_int_equal(nsb_config_settings(config, profile, &settings, &error), 0);
	if (nsb_plan_make(session, &settings, &plan, &error) == 0) {
		print_plan(out, &plan);
		nsb_plan_done(&plan);
	} else {
		fprintf(out, "refused: %s\n", error.words);
	}
	nsb_settings_done(&settings);
}

/* The caller frees. */
static char *make_text(const char *conf, const facts *f)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_choice choice = { 0 };
	nsb_error error = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(nsb_config_parse("nsbox.conf", conf, strlen(conf), &config, &problems), 0);
	assert_int_equal(nsb_config_finish(config, &problems), 0);
	for (size_t i = 0; i < problems.n; i++)
		print_error("%s\n", problems.lines[i]);
	assert_int_equal(problems.n, 0);
	assert_int_equal(nsb_profile_choose(config, &f->session, f->force, &choice, &error), 0);
	print_choice(out, &choice);
	if (choice.profile != NULL)
		print_profile(out, config, choice.profile, &f->session);
	nsb_choice_done(&choice);
	nsb_problems_done(&problems);
	nsb_config_free(config);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* --- comparing --- */

static void compare(const char *name, const char *wanted, const char *got)
{
	unsigned line = 1;

	while (*wanted != '\0' || *got != '\0') {
		size_t a = strcspn(wanted, "\n"), b = strcspn(got, "\n");

		if (a != b || memcmp(wanted, got, a) != 0) {
			print_error("%s.plan:%u\n wanted: %.*s\n got:    %.*s\n", name, line, (int)a, wanted, (int)b, got);
			fail();
		}
		wanted += a + (wanted[a] == '\n');
		got += b + (got[b] == '\n');
		line++;
	}
}

static void golden(void **state)
{
	const char *name = *state;
	char *conf = read_file(name, ".conf"), *session = read_file(name, ".session"), *wanted = read_file(name, ".plan");
	char *got;
	facts f;

	assert_non_null(conf);
	assert_non_null(session);
	parse_facts(session, &f);
	got = make_text(conf, &f);
	if (getenv("UPDATE") != NULL)
		write_file(name, ".plan", got);
	else if (wanted == NULL)
		fail_msg("there is no %s.plan: UPDATE=1 makes it", name);
	else
		compare(name, wanted, got);
	free(got);
	free(wanted);
	free(session);
	free(conf);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX];
	DIR *dir = opendir(directory());
	const struct dirent *entry;
	size_t n = 0;
	int r;

	if (dir == NULL) {
		fprintf(stderr, "%s: %s\n", directory(), strerror(errno));
		return 1;
	}
	while ((entry = readdir(dir)) != NULL && n < CASES_MAX) {
		const char *dot = strrchr(entry->d_name, '.');
		char *name;

		if (dot == NULL || strcmp(dot, ".conf") != 0)
			continue;
		name = strndup(entry->d_name, (size_t)(dot - entry->d_name));
		tests[n++] = (struct CMUnitTest){ name, golden, NULL, NULL, name };
	}
	closedir(dir);
	qsort(tests, n, sizeof(tests[0]), by_name);
	r = n == 0 || n == CASES_MAX ? 1 : _cmocka_run_group_tests("golden", tests, n, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		free((char *)tests[i].name);
	return r;
}
