/* SPDX-License-Identifier: BSD-3-Clause */
/* What holds for every plan, whatever the profile; the plans themselves are in tests/golden. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/config.h"
#include "common/limit-table.h"
#include "common/plan.h"
#include "tests/unit/alloc-fail.h"

static nsb_group groups[] = { { 2001, (char *)"alice" }, { 3001, (char *)"students" } };

static const nsb_session alice = {
	.user = (char *)"alice",
	.service = (char *)"sshd",
	.tty = (char *)"ssh",
	.rhost = (char *)"192.0.2.7",
	.krb5ccname = (char *)"FILE:/tmp/krb5cc_2001",
	.uid = 2001,
	.gid = 2001,
	.home = (char *)"/home/alice",
	.shell = (char *)"/bin/sh",
	.groups = groups,
	.n_groups = 2,
	.login = "k3j5h7g9fx",
	.id = "k3j5h7g9fx",
	.host_name = (char *)"lab1",
};

/* Profiles whose plans take every way through the planner. */
static const char *const profiles[] = {
	"network = loopback\n",
	"network = host\nnamespaces = mount pid\nprivate_tmp = no\ndevpts = host\n",
	("root = /srv/root\nhostname = b-%u\ndomainname = d\ntmpfs = /a:noexec,size=1m /b\nbind = /c /d:/e\n"
	 "bind_ro = /f\nbind_optional = /g\nmask = /h /i\n"),
	"root = /srv/root\naccount_files = host\n",
	"account_files = minimal\n",
	"hostname = other\npids_max = infinity\nbind = /srv/%u/%U/%g/%G/%i:%h/x\n",
	("sessions_max = 3\nruntime_max = 1h\ncgroup_parent = a/b\nmemory_max = 12.5%\nmemory_high = 1G\nswap_max = 0\n"
	 "cpu_max = 150%\ncpu_weight = 7\ncpuset = 0-1\nio_weight = 9\nio_max = /dev/sda rbps=1\n"
	 "io_max = /dev/sdb wiops=2\nuser_pids_max = 9\nuser_memory_max = 1%\nuser_cpu_max = 50%\n"
	 "limits_optional = yes\n"),
	"home = tmpfs\nhome_size = 1G\ndev = /dev/fuse /dev/x*\nbind = /c:/proc/stat\nmask = /proc/version\ntmp_size = "
	"20%\n",
	"root = /srv/root\nhome = overlay\nsys = none\nproc_subset = pid\n",
	"home = none\nshm_size = 64M\nrun_size = 5%\n",
};
#define N_PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static const struct {
	const char *service, *tty;
} applications[] = { { "sshd", "ssh" }, { "su", "/dev/pts/3" }, { "login", "tty1" }, { "cron", "cron" }, { "x", "" } };
#define N_APPLICATIONS (sizeof(applications) / sizeof(applications[0]))

static void settings_of(const char *keys, nsb_settings *ret)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	char text[1024];
	int n = snprintf(text, sizeof(text), "[profile p]\nusers = *\n%s", keys);

	assert_int_equal(nsb_config_parse("c", text, (size_t)n, &config, &problems), 0);
	assert_int_equal(nsb_config_finish(config, &problems), 0);
	assert_int_equal(problems.n, 0);
	*ret = (nsb_settings){ 0 };
	assert_int_equal(nsb_config_settings(config, nsb_config_find(config, "p"), ret, NULL), 0);
	nsb_problems_done(&problems);
	/* origins name the file by the config's own memory */
	for (size_t i = 0; i < ret->bind.n; i++)
		ret->bind.origins[i].file = "c";
	for (size_t i = 0; i < ret->io_max.n; i++)
		ret->io_max.origins[i].file = "c";
	nsb_config_free(config);
}

static nsb_session session_of(size_t application)
{
	nsb_session session = alice;

	session.service = (char *)applications[application].service;
	session.tty = (char *)applications[application].tty;
	return session;
}

/* Calls check() for each plan of each profile and application. */
static void each_plan(void (*check)(const nsb_session *session, const nsb_settings *settings, const nsb_plan *plan))
{
	for (size_t p = 0; p < N_PROFILES; p++) {
		nsb_settings settings;

		settings_of(profiles[p], &settings);
		for (size_t a = 0; a < N_APPLICATIONS; a++) {
			nsb_session session = session_of(a);
			nsb_error error = { 0 };
			nsb_plan plan;

			assert_int_equal(nsb_plan_make(&session, &settings, &plan, &error), 0);
			check(&session, &settings, &plan);
			nsb_plan_done(&plan);
			assert_int_equal(plan.n_steps, 0);
		}
		nsb_settings_done(&settings);
	}
}

/* The caller frees. */
static char *text_of(const nsb_plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fprintf(out, "%llx %d %s %s %s %lld %lld %s %d\n", (unsigned long long)plan->namespaces,
		plan->root_kind == NSB_ROOT_HOST, plan->terminal != NULL ? plan->terminal : "-", plan->root,
		plan->cgroup_parent, (long long)plan->runtime_max, (long long)plan->stop_timeout, plan->hostname,
		plan->record);
	for (size_t i = 0; i < plan->n_steps; i++) {
		char *step = nsb_plan_step_text(&plan->steps[i]);

		fprintf(out, "%s %s\n", step, plan->steps[i].why);
		free(step);
	}
	for (size_t i = 0; i < plan->n_environment; i++)
		fprintf(out, "%s\n", plan->environment[i]);
	for (size_t i = 0; i < plan->n_unprotected; i++)
		fprintf(out, "%s\n", plan->unprotected[i]);
	fclose(out);
	return text;
}

/* Another directory, umask, environment, time zone: the same plan. */
static void check_pure(const nsb_session *session, const nsb_settings *settings, const nsb_plan *plan)
{
	char *first = text_of(plan), *second;
	mode_t mask = umask(0777);
	nsb_plan again;

	assert_int_equal(chdir("/proc"), 0);
	setenv("HOME", "/elsewhere", 1);
	setenv("KRB5CCNAME", "FILE:/tmp/other", 1);
	setenv("TZ", "Asia/Tokyo", 1);
	assert_int_equal(nsb_plan_make(session, settings, &again, NULL), 0);
	second = text_of(&again);
	umask(mask);
	assert_int_equal(chdir("/"), 0);
	assert_string_equal(first, second);
	nsb_plan_done(&again);
	free(first);
	free(second);
}

static void pure(void **state)
{
	(void)state;
	each_plan(check_pure);
}

static size_t count(const nsb_plan *plan, nsb_op op)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n_steps; i++)
		n += plan->steps[i].op == op;
	return n;
}

static size_t first(const nsb_plan *plan, nsb_op op)
{
	size_t i = 0;

	while (i < plan->n_steps && plan->steps[i].op != op)
		i++;
	assert_true(i < plan->n_steps);
	return i;
}

/* The frame of every plan: what must be there once, and in which order. */
static void check_frame(const nsb_session *session, const nsb_settings *settings, const nsb_plan *plan)
{
	static const nsb_op order[] = { NSB_OP_REGISTER,     NSB_OP_CGROUP, NSB_OP_SPAWN,  NSB_OP_ASSERT,
					NSB_OP_CGROUP_ENTER, NSB_OP_ROOT,   NSB_OP_PROC,   NSB_OP_PIVOT,
					NSB_OP_PROVE,	     NSB_OP_INIT,   NSB_OP_PUBLISH };

	(void)session;
	(void)settings;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		assert_int_equal(count(plan, order[i]), 1);
		if (i > 0)
			assert_true(first(plan, order[i - 1]) < first(plan, order[i]));
	}
	/* the namespace is asserted before anything else happens in it */
	assert_int_equal(plan->steps[first(plan, NSB_OP_SPAWN) + 1].op, NSB_OP_ASSERT);
	assert_int_equal(count(plan, NSB_OP_RECORD), plan->record);
	for (size_t i = 1; i < plan->n_steps; i++)
		assert_true(plan->steps[i].stage >= plan->steps[i - 1].stage);
	assert_true(plan->namespaces & CLONE_NEWNS);
	assert_true(plan->namespaces & CLONE_NEWPID);
	assert_false(plan->namespaces & CLONE_NEWUSER);
	assert_int_equal(count(plan, NSB_OP_LOOPBACK), (plan->namespaces & CLONE_NEWNET) != 0);
	assert_true(plan->n_unprotected > 0);
}

static void frame(void **state)
{
	(void)state;
	each_plan(check_frame);
}

/* The box's group first, then limits of it or of the user's group right above it, in the order of the table. */
static void check_limit_steps(const nsb_session *session, const nsb_settings *settings, const nsb_plan *plan)
{
	size_t at = first(plan, NSB_OP_CGROUP);
	const nsb_step *cgroup = &plan->steps[at];
	const char *name = strrchr(cgroup->dst, '/');
	const nsb_limit *before = nsb_limits;

	assert_string_equal(cgroup->src, plan->cgroup_parent);
	assert_string_equal(name != NULL ? name + 1 : cgroup->dst, session->id);
	for (at++; plan->steps[at].op == NSB_OP_LIMIT; at++) {
		const nsb_step *step = &plan->steps[at];
		const nsb_limit *limit = nsb_limit_find(step->src);

		assert_non_null(limit);
		assert_true(limit >= before);
		before = limit;
		if (limit->user)
			assert_true(name != NULL &&
				    strncmp(step->dst, cgroup->dst, (size_t)(name - cgroup->dst)) == 0 &&
				    strlen(step->dst) == (size_t)(name - cgroup->dst));
		else
			assert_string_equal(step->dst, cgroup->dst);
		assert_true(step->data[0] != '\0');
		assert_int_equal(step->flags, settings->limits_optional ? NSB_STEP_OPTIONAL : 0);
		assert_int_equal(step->origin.file != NULL, limit->kind == NSB_LIMIT_LIST);
	}
	/* nothing more of them */
	for (; at < plan->n_steps; at++)
		assert_true(plan->steps[at].op != NSB_OP_LIMIT && plan->steps[at].op != NSB_OP_SESSIONS);
	assert_int_equal(count(plan, NSB_OP_SESSIONS), settings->sessions_max != NSB_INFINITY);
	if (settings->sessions_max != NSB_INFINITY)
		assert_int_equal(plan->steps[0].op, NSB_OP_SESSIONS);
}

static void limit_steps(void **state)
{
	(void)state;
	each_plan(check_limit_steps);
}

/* The user's group is named by the number: names may hold anything. */
static void user_group(void **state)
{
	nsb_settings settings;
	nsb_session session = alice;
	nsb_plan plan;

	(void)state;
	session.uid = 4294967294U;
	settings_of("user_pids_max = 5\n", &settings);
	assert_int_equal(nsb_plan_make(&session, &settings, &plan, NULL), 0);
	assert_string_equal(plan.steps[first(&plan, NSB_OP_CGROUP)].dst, NSB_USER_GROUP "4294967294/k3j5h7g9fx");
	assert_string_equal(plan.steps[first(&plan, NSB_OP_LIMIT)].dst, NSB_USER_GROUP "4294967294");
	nsb_plan_done(&plan);
	nsb_settings_done(&settings);
}

static bool is_path(const char *path)
{
	return path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/../") == NULL &&
	       strstr(path, "/./") == NULL && strchr(path, '%') == NULL &&
	       (path[1] == '\0' || path[strlen(path) - 1] != '/');
}

/* Every path is normal and without specifiers, every step has its reason. */
static void check_steps(const nsb_session *session, const nsb_settings *settings, const nsb_plan *plan)
{
	(void)session;
	(void)settings;
	for (size_t i = 0; i < plan->n_steps; i++) {
		const nsb_step *step = &plan->steps[i];
		bool type = step->op == NSB_OP_MOUNT; /* src is a file system type */

		assert_non_null(step->why);
		assert_true(step->why[0] != '\0');
		if (step->stage >= NSB_STAGE_BUILD && step->stage <= NSB_STAGE_ENCLOSE) {
			assert_true(step->dst == NULL || is_path(step->dst));
			assert_true(step->src == NULL || type || is_path(step->src));
		}
		if (step->data != NULL && type)
			assert_null(strstr(step->data, "%U"));
		if ((step->op == NSB_OP_MOUNT || step->op == NSB_OP_BIND) && strncmp(step->dst, "/dev", 4) != 0)
			assert_true(step->flags & NSB_STEP_NODEV);
	}
}

static void steps(void **state)
{
	(void)state;
	each_plan(check_steps);
}

static void check_environment(const nsb_session *session, const nsb_settings *settings, const nsb_plan *plan)
{
	bool agent = false;

	(void)settings;
	assert_string_equal(plan->environment[0], "NSBOX_ID=k3j5h7g9fx");
	for (size_t i = 0; i < plan->n_environment; i++)
		agent |= strcmp(plan->environment[i], "SSH_AUTH_SOCK") == 0;
	assert_int_equal(agent, strcmp(session->service, "su") == 0);
}

static void environment(void **state)
{
	(void)state;
	each_plan(check_environment);
}

/* Only steps for the user's own places belong to the user, with the primary group. */
static void owners(void **state)
{
	nsb_settings settings;
	nsb_session session = alice;
	nsb_plan plan;
	size_t owned = 0;

	(void)state;
	session.uid = 4294967294U;
	session.gid = 4294967293U;
	settings_of(profiles[0], &settings);
	assert_int_equal(nsb_plan_make(&session, &settings, &plan, NULL), 0);
	for (size_t i = 0; i < plan.n_steps; i++) {
		const nsb_step *step = &plan.steps[i];

		if (step->uid == 0 && step->gid == 0)
			continue;
		owned++;
		assert_true(step->uid == session.uid && step->gid == session.gid);
		assert_true(strcmp(step->dst, "/run/user/4294967294") == 0 || step->op == NSB_OP_CREDENTIALS);
	}
	assert_int_equal(owned, 2);
	nsb_plan_done(&plan);
	nsb_settings_done(&settings);
}

static void terminals(void **state)
{
	static const struct {
		const char *tty, *path; /* path NULL: none of the host's */
		int r;
	} rows[] = {
		{ "ssh", NULL, 0 },
		{ "cron", NULL, 0 },
		{ "", NULL, 0 },
		{ "nsboxctl", NULL, 0 },
		{ "pts/3", "/dev/pts/3", 0 },
		{ "tty1", "/dev/tty1", 0 },
		{ "ttyS0", "/dev/ttyS0", 0 },
		{ "console", "/dev/console", 0 },
		{ "hvc0", "/dev/hvc0", 0 },
		{ "/dev/pts/3", "/dev/pts/3", 0 },
		{ "/etc/shadow", NULL, -EINVAL },
		{ "/dev/../etc/shadow", NULL, -EINVAL },
		{ "tty/../../etc/shadow", NULL, -EINVAL },
		{ "/dev", NULL, -EINVAL },
		{ "/devx", NULL, -EINVAL },
		{ "/", NULL, -EINVAL },
	};
	nsb_settings settings;

	(void)state;
	settings_of("", &settings);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_session session = alice;
		nsb_error error = { 0 };
		nsb_plan plan;
		int r;

		session.tty = (char *)rows[i].tty;
		r = nsb_plan_make(&session, &settings, &plan, &error);
		if (r != rows[i].r)
			print_error("%s\n", rows[i].tty);
		assert_int_equal(r, rows[i].r);
		if (r < 0) {
			assert_true(error.words[0] != '\0');
			continue;
		}
		if (rows[i].path != NULL)
			assert_string_equal(plan.terminal, rows[i].path);
		else
			assert_null(plan.terminal);
		nsb_plan_done(&plan);
	}
	nsb_settings_done(&settings);
}

/* One line of text each, whatever the step holds. */
static void step_text(void **state)
{
	nsb_step step = {
		.op = NSB_OP_FILE, .stage = NSB_STAGE_BUILD, .dst = (char *)"/a", .data = (char *)"x\n\"\\\x01\x7f\xc3"
	};
	char *text = nsb_plan_step_text(&step);

	(void)state;
	assert_string_equal(text, "build    file             /a \"x\\n\\x22\\x5c\\x01\\x7f\xc3\"");
	free(text);
	step = (nsb_step){
		.op = NSB_OP_BIND, .stage = NSB_STAGE_BUILD, .src = (char *)"/a\nfake", .dst = (char *)"/b\x1b[2J"
	};
	text = nsb_plan_step_text(&step);
	assert_null(strchr(text, '\n'));
	assert_null(strchr(text, '\x1b'));
	free(text);
	step = (nsb_step){ .op = NSB_OP_MAX, .stage = NSB_STAGE_MAX, .flags = ~0u, .mode = 07777, .uid = 1, .gid = 2 };
	text = nsb_plan_step_text(&step);
	assert_non_null(strstr(text, "?"));
	free(text);
}

/* What tells boxes of different privileges apart, in explain and for those who may share one. */
static void privileges_text(void **state)
{
	static const struct {
		const char *line, *text;
	} rows[] = {
		{ "capabilities = none", "box      capabilities     \"none\"\n" },
		{ "capabilities = all", "box      capabilities     \"all\"\n" },
		{ "capabilities = none +cap_kill", "box      capabilities     \"cap_kill\"\n" },
		{ "no_new_privs = yes", "box      no_new_privs     \"yes\"\n" },
		{ "seccomp = off", "box      seccomp          \"off\"\n" },
		{ "seccomp = strict", "box      seccomp          \"strict\"\n" },
		{ "nested_namespaces = yes", "box      nested_namespaces \"yes\"\n" },
		{ "user_namespace = keep-id", "box      user_namespace   \"keep-id\"\n" },
		{ "core = yes", "box      core             \"yes\"\n" },
	};
	nsb_plan plan = { .capabilities = 1 };
	char *plain, *text, *whole;

	(void)state;
	plain = nsb_plan_privileges_text(&plan);
	assert_string_equal(plain, "box      capabilities     \"cap_chown\"\nbox      no_new_privs     \"no\"\n"
				   "box      seccomp          \"off\"\nbox      nested_namespaces \"no\"\n"
				   "box      user_namespace   \"no\"\nbox      core             \"no\"\n");
	free(plain);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_settings settings;
		nsb_error error = { 0 };

		settings_of(rows[i].line, &settings);
		assert_int_equal(nsb_plan_make(&alice, &settings, &plan, &error), 0);
		text = nsb_plan_privileges_text(&plan);
		whole = nsb_plan_text(&plan);
		assert_non_null(strstr(text, rows[i].text));
		assert_non_null(strstr(whole, text));
		free(text);
		free(whole);
		nsb_plan_done(&plan);
		nsb_settings_done(&settings);
	}
	/* the one allocation that is wrapped: "none" and "all" are copies */
	plan = (nsb_plan){ .capabilities = 0 };
	alloc_fail_at(0);
	text = nsb_plan_privileges_text(&plan);
	assert_true(alloc_fail_end());
	assert_null(text);
	alloc_fail_at(0);
	text = nsb_plan_text(&plan);
	assert_true(alloc_fail_end());
	assert_null(text);
}

/* Each allocation fails once: -ENOMEM with words, nothing leaks (the sanitizers look). */
static void no_memory(void **state)
{
	(void)state;
	for (size_t p = 0; p < N_PROFILES; p++) {
		nsb_settings settings;

		settings_of(profiles[p], &settings);
		for (long n = 0;; n++) {
			nsb_error error = { 0 };
			nsb_plan plan = { .n_steps = 4711 };
			int r;

			alloc_fail_at(n);
			r = nsb_plan_make(&alice, &settings, &plan, &error);
			if (!alloc_fail_end()) {
				assert_int_equal(r, 0);
				assert_true(n > 50);
				nsb_plan_done(&plan);
				break;
			}
			assert_int_equal(r, -ENOMEM);
			assert_true(error.words[0] != '\0');
			assert_int_equal(plan.n_steps, 4711); /* written only on success */
		}
		nsb_settings_done(&settings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pure),	      cmocka_unit_test(frame),		 cmocka_unit_test(limit_steps),
		cmocka_unit_test(user_group), cmocka_unit_test(steps),		 cmocka_unit_test(environment),
		cmocka_unit_test(owners),     cmocka_unit_test(terminals),	 cmocka_unit_test(step_text),
		cmocka_unit_test(no_memory),  cmocka_unit_test(privileges_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
