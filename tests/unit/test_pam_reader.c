/* SPDX-License-Identifier: BSD-3-Clause */
/* Stacks of PAM, below the directory in which the test runs, and what is said of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/pam-reader.h"
#include "ctl/pam-stacks.h"

#define TREE "pam-reader-test"

static const pam_places places = { .directories = { TREE "/etc", TREE "/usr" }, .conf = TREE "/pam.conf" };

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), TREE "/%s", name);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0 && fclose(out) == 0);
}

static int clean(void **state)
{
	(void)state;
	return system("rm -rf " TREE) == 0 ? 0 : -1;
}

static int make(void **state)
{
	if (clean(state) < 0)
		return -1;
	return mkdir(TREE, 0755) == 0 && mkdir(TREE "/etc", 0755) == 0 && mkdir(TREE "/usr", 0755) == 0 ? 0 : -1;
}

/* --- lines --- */

/* "TYPE|CONTROL|MODULE|WORD|WORD@LINE;" of each line, "!LINE" for one without an end. */
static const struct {
	const char *text, *lines;
} texts[] = {
	{ "", "" },
	{ "\n# only\n   # comments\n\t\n", "" },
	{ "auth required pam_unix.so", "auth|required|pam_unix.so@1;" },
	{ "\n\n  session\trequired  /lib/security/pam_x.so  a  b=c \n",
	  "session|required|/lib/security/pam_x.so|a|b=c@3;" },
	{ "session required pam_x.so # open\n", "session|required|pam_x.so@1;" },
	{ "session required pam_x.so o#pen\n", "session|required|pam_x.so|o@1;" },
	{ "-session optional pam_x.so\nSESSION Optional pam_y.so\n",
	  "session|optional|pam_x.so@1;session|Optional|pam_y.so@2;" },
	{ "session [success=1 default=ignore] pam_x.so [a b] [c\\]d] e\n",
	  "session|success=1 default=ignore|pam_x.so|a b|c]d|e@1;" },
	/* continued lines; a comment ends the line, in between whole lines of comment do not count */
	{ "session \\\nrequired\\\n pam_x.so\nauth required pam_y.so\n",
	  "session|required|pam_x.so@1;auth|required|pam_y.so@4;" },
	{ "session required \\ \t\n pam_x.so open\n", "session|required|pam_x.so|open@1;" },
	{ "session required \\\n# between\n\n pam_x.so\n", "session|required|pam_x.so@1;" },
	{ "session required pam_x.so # \\\nauth required pam_y.so\n",
	  "session|required|pam_x.so@1;auth|required|pam_y.so@2;" },
	{ "auth required pam_y.so\nsession required pam_x.so \\\n", "auth|required|pam_y.so@1;!2" },
	{ "@include common-auth\nsession include x\n", "@include||common-auth@1;session|include|x@2;" },
	{ "session\nsession required\n", "session||@1;session|required|@2;" },
	{ "session [success=ok pam_x.so\n", "session|success=ok pam_x.so|@1;" },
	{ "session required pam_x.so\r\n", "session|required|pam_x.so@1;" },
};

static void describe(const char *words, char *buffer, size_t size)
{
	pam_text text = { .at = words, .number = 1 };
	size_t n = 0;
	pam_line line;
	int r;

	buffer[0] = '\0';
	while ((r = pam_text_next(&text, &line)) > 0) {
		n += (size_t)snprintf(buffer + n, size - n, "%s|%s|%s", line.type, line.control, line.module);
		for (size_t i = 0; i < line.n_words; i++)
			n += (size_t)snprintf(buffer + n, size - n, "|%s", line.words[i]);
		n += (size_t)snprintf(buffer + n, size - n, "@%u;", line.line);
		pam_line_done(&line);
	}
	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		snprintf(buffer + n, size - n, "!%u", line.line);
	}
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char found[512];

		describe(texts[i].text, found, sizeof(found));
		assert_string_equal(found, texts[i].lines);
	}
}

static void test_lines_of_pam_conf(void **state)
{
	pam_text text = { .at = "sshd session required pam_x.so a\n", .number = 1, .with_service = true };
	pam_line line;

	(void)state;
	assert_int_equal(pam_text_next(&text, &line), 1);
	assert_string_equal(line.service, "sshd");
	assert_string_equal(line.type, "session");
	assert_string_equal(line.module, "pam_x.so");
	assert_int_equal(line.n_words, 1);
	pam_line_done(&line);
}

static const struct {
	const char *control, *value, *action;
} actions[] = {
	{ "required", "success", "ok" },
	{ "required", "system_err", "bad" },
	{ "Requisite", "system_err", "die" },
	{ "sufficient", "success", "done" },
	{ "sufficient", "system_err", "ignore" },
	{ "optional", "system_err", "ignore" },
	{ "success=1 default=ignore", "success", "1" },
	{ "success=1 default=ignore", "system_err", "ignore" },
	{ "success=ok", "system_err", "bad" }, /* libpam's default */
	{ "default=Die success = OK", "success", "ok" },
	{ "default=die system_err=ignore", "system_err", "ignore" },
	{ "xsuccess=done success=ok", "success", "ok" },
	{ "", "success", "bad" },
	{ "success=areallylongwordthatisnone", "success", "" },
};

static void test_controls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		char found[PAM_ACTION_SIZE];

		pam_control_action(actions[i].control, actions[i].value, found);
		assert_string_equal(found, actions[i].action);
	}
}

/* --- stacks --- */

/* "MODULE@LINE.LEVEL " of each line of that type. */
static void modules(const pam_stack *stack, const char *type, char *buffer, size_t size)
{
	size_t n = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < stack->n; i++)
		if (strcmp(stack->lines[i].type, type) == 0)
			n += (size_t)snprintf(buffer + n, size - n, "%s@%u.%zu ", stack->lines[i].module,
					      stack->lines[i].line, stack->lines[i].level);
}

static void test_includes(void **state)
{
	pam_stack stack;
	char found[256];

	(void)state;
	put("etc/a", "@include b\nsession include c\nauth substack c\nauth required last.so\n");
	put("etc/b", "auth required b1.so\nsession required b2.so\n");
	put("usr/c", "auth required c1.so\nauth include d\nsession required c2.so\n");
	put("usr/d", "auth required d1.so\naccount required d2.so\n");
	put("etc/d", "auth required mine.so\n"); /* the administrator's comes first */
	assert_int_equal(pam_stack_load(&places, "a", &stack), 0);
	assert_int_equal(stack.error, 0);
	modules(&stack, "auth", found, sizeof(found));
	assert_string_equal(found, "b1.so@1.0 c1.so@1.1 mine.so@1.1 last.so@4.0 ");
	modules(&stack, "session", found, sizeof(found));
	assert_string_equal(found, "b2.so@2.0 c2.so@3.0 ");
	modules(&stack, "account", found, sizeof(found));
	assert_string_equal(found, "");
	assert_string_equal(stack.files[0], TREE "/etc/a");
	pam_stack_done(&stack);
}

static void test_other(void **state)
{
	pam_stack stack;
	char found[256];

	(void)state;
	put("etc/a", "auth required a.so\n");
	put("etc/other", "auth required wrong.so\nsession required other.so\n");
	assert_int_equal(pam_stack_load(&places, "a", &stack), 0);
	modules(&stack, "auth", found, sizeof(found));
	assert_string_equal(found, "a.so@1.0 ");
	modules(&stack, "session", found, sizeof(found));
	assert_string_equal(found, "other.so@2.0 ");
	pam_stack_done(&stack);
	assert_int_equal(pam_stack_load(&places, "none", &stack), -ENOENT);
	pam_stack_done(&stack);
}

/* Nothing that a file says keeps the reader: loops, trees of includes, FIFOs, directories, binary. */
static void test_hostile_files(void **state)
{
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{ "@include a\n", -ELOOP },
		{ "@include a\n@include a\n@include a\n", -ELOOP },
		{ "session required x.so\n@include nowhere\n", -ENOENT },
		{ "session required x.so\n@include fifo\n", -EINVAL },
		{ "session required x.so\n@include ../etc\n", -EINVAL },
		{ "session required x.so \\\n", -EBADMSG },
	};

	(void)state;
	assert_int_equal(mkfifo(TREE "/etc/fifo", 0644), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pam_stack stack;

		put("etc/a", rows[i].text);
		assert_int_equal(pam_stack_load(&places, "a", &stack), 0);
		assert_int_equal(stack.error, rows[i].error);
		assert_non_null(stack.error_where);
		assert_non_null(stack.error_file);
		pam_stack_done(&stack);
	}
}

static void test_many_lines(void **state)
{
	FILE *out = fopen(TREE "/etc/a", "w");
	pam_stack stack;

	(void)state;
	for (int i = 0; i < PAM_LINES_MAX + 1; i++)
		fputs("auth required x.so\n", out);
	fclose(out);
	assert_int_equal(pam_stack_load(&places, "a", &stack), 0);
	assert_int_equal(stack.n, PAM_LINES_MAX);
	assert_int_equal(stack.error, -E2BIG);
	pam_stack_done(&stack);
}

/* Without directories, and only then. */
static void test_pam_conf(void **state)
{
	pam_services list;
	pam_stack stack;
	char found[256];

	(void)state;
	put("pam.conf", "SSHD session required a.so\nlogin session required b.so\nother auth required c.so\n");
	assert_int_equal(pam_stack_load(&places, "sshd", &stack), -ENOENT);
	pam_stack_done(&stack);
	assert_int_equal(rmdir(TREE "/etc"), 0);
	assert_int_equal(rmdir(TREE "/usr"), 0);
	assert_int_equal(pam_stack_load(&places, "sshd", &stack), 0);
	modules(&stack, "session", found, sizeof(found));
	assert_string_equal(found, "a.so@1.0 ");
	modules(&stack, "auth", found, sizeof(found));
	assert_string_equal(found, "c.so@3.0 ");
	pam_stack_done(&stack);
	assert_int_equal(pam_services_list(&places, &list), 0);
	assert_int_equal(list.n, 3);
	pam_services_done(&list);
}

static void test_services(void **state)
{
	static const char *const names[] = { "etc/sshd",	"etc/.hidden", "etc/common-session",
					     "etc/su.dpkg-old", "etc/su~",     "etc/su",
					     "usr/su",		"usr/polkit-1" };
	pam_services list;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(names[i], "");
	assert_int_equal(pam_services_list(&places, &list), 0);
	assert_int_equal(list.n, 3);
	assert_string_equal(list.names[0], "polkit-1");
	assert_string_equal(list.names[1], "sshd");
	assert_string_equal(list.names[2], "su");
	pam_services_done(&list);
}

/* --- what is said of them --- */

#define CLOSE  "session required pam_nsbox.so close\n"
#define OPEN   "session required pam_nsbox.so open\n"
#define UNIX   "session required pam_unix.so\n"
#define SHARED "account required pam_unix.so\naccount required pam_nsbox.so\n"

/* "RULE@LINE " of each finding. */
static const struct {
	const char *service, *text, *findings;
} stacks[] = {
	{ "sshd", SHARED CLOSE UNIX OPEN, "" },
	{ "sshd", SHARED "session required pam_permit.so\n" CLOSE UNIX OPEN "session optional pam_permit.so\n", "" },
	{ "sshd", "account required pam_unix.so\n" CLOSE UNIX OPEN, "incomplete@0 " },
	{ "sshd", SHARED UNIX, "incomplete@2 " },
	{ "sudo", SHARED CLOSE UNIX OPEN, "incomplete@2 " },
	{ "sshd", SHARED UNIX OPEN, "incomplete@4 " },
	{ "sshd", SHARED CLOSE UNIX, "incomplete@3 " },
	/* controls */
	{ "sshd", SHARED CLOSE UNIX "session optional pam_nsbox.so open\n", "control@5 " },
	{ "sshd", SHARED CLOSE UNIX "session sufficient pam_nsbox.so open\n", "control@5 " },
	{ "sshd", SHARED CLOSE UNIX "session requisite pam_nsbox.so open\n", "" },
	{ "sshd", SHARED CLOSE UNIX "session [success=ok default=ignore] pam_nsbox.so open\n", "control@5 " },
	{ "sshd", SHARED CLOSE UNIX "session [success=ok service_err=1 default=die] pam_nsbox.so open\n",
	  "control@5 " },
	{ "sshd", SHARED CLOSE UNIX "session [success=ok ignore=ignore default=die] pam_nsbox.so open\n", "" },
	{ "sshd", "account required pam_unix.so\naccount optional pam_nsbox.so\n" CLOSE UNIX OPEN, "control@2 " },
	{ "sshd", SHARED "session optional pam_nsbox.so close\n" UNIX OPEN, "" },
	/* not reached */
	{ "sshd", SHARED CLOSE "session sufficient pam_unix.so\n" OPEN, "skipped@4 " },
	{ "sshd", SHARED CLOSE "session [success=done default=ignore] pam_unix.so\n" OPEN, "skipped@4 " },
	{ "sshd", "account sufficient pam_unix.so\naccount required pam_nsbox.so\n" CLOSE UNIX OPEN, "skipped@1 " },
	{ "sshd", SHARED CLOSE UNIX "session [success=1 default=ignore] pam_succeed_if.so quiet\n" OPEN, "skipped@5 " },
	{ "sshd", SHARED CLOSE "session [success=1 default=ignore] pam_succeed_if.so quiet\n" UNIX OPEN, "" },
	{ "sshd", SHARED CLOSE "session substack ends\n" UNIX OPEN, "" },
	{ "sshd", SHARED CLOSE "session include ends\n" UNIX OPEN, "skipped@1 " },
	/* order */
	{ "sshd", SHARED CLOSE UNIX OPEN "session optional pam_systemd.so\n", "misplaced@6 " },
	{ "sshd", SHARED "session required pam_limits.so\n" CLOSE UNIX OPEN, "misplaced@3 " },
	{ "sshd", SHARED UNIX "session required pam_nsbox.so\n", "misplaced@4 " },
	{ "sshd", SHARED "session required pam_nsbox.so\n" UNIX, "misplaced@4 " },
	/* alone */
	{ "sshd", SHARED CLOSE OPEN, "alone@4 " },
	{ "sshd", "account required pam_nsbox.so\n" CLOSE UNIX OPEN, "alone@1 " },
	/* elsewhere */
	{ "cron", UNIX "session include common-box\n", "shared-file@1 " },
	{ "cron", UNIX "session include plain\n", "" },
};

typedef struct told {
	char *buffer;
	size_t n, size;
	const char *rule;
} told;

static void tell(void *argument, const char *service, const pam_line *at, finding_severity severity,
		 const char *sentence, const char *remedy)
{
	told *t = argument;

	(void)service;
	assert_true(severity < FINDING_UNSEEN);
	assert_true(strlen(sentence) > 10 && strlen(remedy) > 5);
	t->n += (size_t)snprintf(t->buffer + t->n, t->size - t->n, "%s@%u ", t->rule, at != NULL ? at->line : 0);
}

static void test_rules(void **state)
{
	(void)state;
	put("etc/ends", "session sufficient pam_x.so\n");
	put("etc/common-box", CLOSE OPEN);
	put("etc/plain", CLOSE OPEN);
	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		char path[64], found[512] = "", wanted[512] = "";
		told t = { .buffer = found, .size = sizeof(found) };
		pam_stack stack;

		snprintf(path, sizeof(path), "etc/%s", stacks[i].service);
		put(path, stacks[i].text);
		assert_int_equal(pam_stack_load(&places, stacks[i].service, &stack), 0);
		for (size_t k = 0; k < pam_n_rules; k++) {
			/* of one pair in an included file the order is not the matter here */
			if (strcmp(pam_rules[k].name, "misplaced") == 0 && strcmp(stacks[i].service, "cron") == 0)
				continue;
			t.rule = pam_rules[k].name;
			pam_rules[k].judge(stacks[i].service, &stack, tell, &t);
		}
		snprintf(wanted, sizeof(wanted), "%s", stacks[i].findings);
		if (strcmp(found, wanted) != 0)
			print_error("stack %zu:\n%s", i, stacks[i].text);
		assert_string_equal(found, wanted);
		pam_stack_done(&stack);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_of_pam_conf),
		cmocka_unit_test(test_controls),
		cmocka_unit_test_setup_teardown(test_includes, make, clean),
		cmocka_unit_test_setup_teardown(test_other, make, clean),
		cmocka_unit_test_setup_teardown(test_hostile_files, make, clean),
		cmocka_unit_test_setup_teardown(test_many_lines, make, clean),
		cmocka_unit_test_setup_teardown(test_pam_conf, make, clean),
		cmocka_unit_test_setup_teardown(test_services, make, clean),
		cmocka_unit_test_setup_teardown(test_rules, make, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
