/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of namespaces, services, limits and the default view: each row is complete, and nothing is in it twice. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "common/config-keys.h"
#include "common/curated-view.h"
#include "common/default-view.h"
#include "common/error.h"
#include "common/expand.h"
#include "common/limit-table.h"
#include "common/namespace-table.h"
#include "common/service-table.h"
#include "helper/monitor-watch.h"

static void namespaces(void **state)
{
	int all = 0;

	(void)state;
	for (size_t i = 0; i < nsb_n_namespaces; i++) {
		const nsb_namespace *row = &nsb_namespaces[i];
		char path[64];
		struct stat st;

		assert_true(row->flag != 0 && (row->flag & (row->flag - 1)) == 0);
		assert_int_equal(all & row->flag, 0);
		all |= row->flag;
		assert_true(row->why[0] != '\0');
		assert_ptr_equal(nsb_namespace_by_key(row->key), row);
		/* the kernel knows it by this name */
		snprintf(path, sizeof(path), "/proc/self/ns/%s", row->proc);
		assert_int_equal(stat(path, &st), 0);
	}
	assert_int_equal(all, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
				      CLONE_NEWCGROUP | CLONE_NEWUSER);
	assert_null(nsb_namespace_by_key("users"));
	assert_null(nsb_namespace_by_key(""));
	assert_null(nsb_namespace_by_key("UTS"));
	assert_null(nsb_namespace_by_key("uts "));
}

static void services(void **state)
{
	static const struct {
		const char *service;
		unsigned traits;
	} rows[] = {
		{ "sshd", NSB_SERVICE_DAEMON },
		{ "login", NSB_SERVICE_DAEMON },
		{ "", 0 },
		{ "systemd-user", NSB_SERVICE_NEVER },
		{ "gdm-password", NSB_SERVICE_NEVER },
		{ "sddm", NSB_SERVICE_NEVER },
		{ "lightdm", NSB_SERVICE_NEVER },
		{ "su", NSB_SERVICE_CALLER | NSB_SERVICE_NO_RECORD },
		{ "su-l", NSB_SERVICE_CALLER | NSB_SERVICE_NO_RECORD },
		{ "sudo", NSB_SERVICE_CALLER | NSB_SERVICE_NO_RECORD },
		{ "sudo-i", NSB_SERVICE_CALLER | NSB_SERVICE_NO_RECORD },
		{ "cron", NSB_SERVICE_NO_RECORD },
		{ "sud", 0 },
		{ "sudo2", 0 },
		{ "Sudo", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(nsb_service_traits(rows[i].service), rows[i].traits);
	/* whoever is run by a caller is not asked under the caller's limits */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(!(rows[i].traits & NSB_SERVICE_CALLER) || !(rows[i].traits & NSB_SERVICE_DAEMON));
}

static void check_text(const char *text)
{
	if (text != NULL)
		assert_int_equal(nsb_expand_check(text, NULL), 0);
}

/* "@KEY" in the options stands for a size */
static void check_size(const char *data)
{
	const char *at = data != NULL ? strchr(data, '@') : NULL;
	char name[32] = "";

	if (at == NULL)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 1, ","), at + 1);
	assert_non_null(nsb_key_find(name));
	assert_int_equal(nsb_key_find(name)->type, NSB_KEY_SIZE);
	assert_true(nsb_key_find(name)->whole);
	assert_null(strchr(at + 1, '@'));
}

static void check_rows(const nsb_view_row *rows, size_t n)
{
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		const nsb_view_row *row = &rows[i];

		assert_non_null(row->why);
		assert_true(row->why[0] != '\0');
		assert_string_not_equal(nsb_op_name(row->op), "?");
		check_text(row->src);
		check_text(row->dst);
		check_text(row->data);
		check_size(row->data);
		/* two terms that exclude each other would make a row that never applies */
		assert_false((row->when & NSB_VIEW_ROOT_HOST) && (row->when & NSB_VIEW_ROOT_DIRECTORY));
		assert_false((row->when & NSB_VIEW_OWN_TERMINALS) && (row->when & NSB_VIEW_HOST_TERMINALS));
		assert_false((row->when & NSB_VIEW_SYS) && (row->when & NSB_VIEW_NO_SYS));
		assert_false((row->when & NSB_VIEW_PROC_ALL) && (row->when & NSB_VIEW_PROC_PID));
		assert_false((row->when & NSB_VIEW_OWN_IPC) && (row->when & NSB_VIEW_HOST_IPC));
		if (row->op == NSB_OP_MOUNT || row->op == NSB_OP_BIND)
			assert_true(row->src != NULL && row->dst != NULL && row->dst[0] == '/');
		/* DESIGN 6: nosuid on all that is not an administrator's tree; nodev but for /dev and its terminals */
		if (row->op == NSB_OP_MOUNT || row->op == NSB_OP_BIND || row->op == NSB_OP_PROC)
			assert_true(row->flags & NSB_STEP_NOSUID);
		if (row->op == NSB_OP_MOUNT && strncmp(row->dst, "/dev", 4) != 0)
			assert_true(row->flags & NSB_STEP_NODEV);
	}
}

static void view(void **state)
{
	(void)state;
	check_rows(nsb_view_before_proc, nsb_n_view_before_proc);
	check_rows(nsb_view_accounts, nsb_n_view_accounts);
	check_rows(nsb_view_proc, nsb_n_view_proc);
	check_rows(nsb_view_proc_closed, nsb_n_view_proc_closed);
	check_rows(nsb_curated_view, nsb_n_curated_view);
	check_rows(nsb_curated_view_late, nsb_n_curated_view_late);
}

/* What is the host's in a curated root is read-only, and no row leads to what is secret there. */
static void curated_view(void **state)
{
	static const char *const secret[] = { "/etc",	  "/etc/shadow", "/etc/gshadow", "/etc/sudoers",
					      "/etc/ssh", "/etc/ssl",	 "/etc/pam.d",	 "/etc/security",
					      "/var",	  "/run",	 "/home",	 "/root",
					      "/" };

	(void)state;
	for (size_t i = 0; i < nsb_n_curated_view; i++) {
		const nsb_view_row *row = &nsb_curated_view[i];

		if (row->op != NSB_OP_BIND && row->op != NSB_OP_ALIAS)
			continue;
		assert_true(row->flags & NSB_STEP_READ_ONLY);
		assert_string_equal(row->src, row->dst);
		for (size_t j = 0; j < sizeof(secret) / sizeof(secret[0]); j++)
			assert_string_not_equal(row->src, secret[j]);
	}
}

/* The monitor has room for all that a box has bound from elsewhere: what it does not look at would stay replaced. */
static void view_watched(void **state)
{
	static const unsigned kinds[] = { NSB_VIEW_NAME_SERVICES | NSB_VIEW_ACCOUNTS_HOST, NSB_VIEW_ACCOUNTS_MINIMAL };
	const unsigned any = kinds[0] | kinds[1];

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		size_t n = 0;

		for (size_t i = 0; i < nsb_n_view_before_proc; i++)
			n += (nsb_view_before_proc[i].flags & NSB_STEP_RENEW) &&
			     (nsb_view_before_proc[i].when & any & ~kinds[k]) == 0;
		for (size_t i = 0; i < nsb_n_view_accounts; i++)
			n += (nsb_view_accounts[i].flags & NSB_STEP_RENEW) && nsb_view_accounts[i].op != NSB_OP_MASK &&
			     (nsb_view_accounts[i].when & any & ~kinds[k]) == 0;
		/* of a curated root only what is bound from the host is looked at, so these are not together with the others */
		assert_true(n > 4 && n <= NSB_WATCH_PATHS);
	}
}

/* Below a directory that every user may write (/tmp, /dev/shm) nothing is made after it was mounted. */
static void view_order(void **state)
{
	static const char *const writable[] = { "/tmp/",	 "/var/tmp/",  "/dev/shm/",
						"/run/user/%U/", "/run/lock/", "/run/screen/" };

	(void)state;
	for (size_t i = 0; i < nsb_n_view_before_proc; i++)
		for (size_t j = 0; j < sizeof(writable) / sizeof(writable[0]); j++)
			if (nsb_view_before_proc[i].dst != NULL)
				assert_int_not_equal(
					strncmp(nsb_view_before_proc[i].dst, writable[j], strlen(writable[j])), 0);
}

static void operations(void **state)
{
	(void)state;
	for (int op = 0; op < NSB_OP_MAX; op++) {
		assert_string_not_equal(nsb_op_name((nsb_op)op), "?");
		for (int other = 0; other < op; other++)
			assert_string_not_equal(nsb_op_name((nsb_op)op), nsb_op_name((nsb_op)other));
	}
	assert_string_equal(nsb_op_name(NSB_OP_MAX), "?");
	assert_string_equal(nsb_op_name((nsb_op)-1), "?");
}

/* A limit is a configuration key of the subject "limits", of a type that is written so, in the same place. */
static void limits(void **state)
{
	static const nsb_key_type types[] = {
		[NSB_LIMIT_COUNT] = NSB_KEY_COUNT,  [NSB_LIMIT_SIZE] = NSB_KEY_SIZE, [NSB_LIMIT_CPU] = NSB_KEY_CPU,
		[NSB_LIMIT_WEIGHT] = NSB_KEY_COUNT, [NSB_LIMIT_TEXT] = NSB_KEY_CPUS, [NSB_LIMIT_LIST] = NSB_KEY_IO,
	};

	(void)state;
	assert_true(nsb_n_limits > 0);
	for (size_t i = 0; i < nsb_n_limits; i++) {
		const nsb_limit *limit = &nsb_limits[i], *box;
		const nsb_key *key = nsb_key_find(limit->key);

		assert_non_null(key);
		assert_int_equal(key->type, types[limit->kind]);
		assert_int_equal(key->offset, limit->offset);
		assert_string_equal(key->subject, "limits");
		/* a weight has a number that stands for nothing, the others a word */
		assert_int_equal(key->infinity, limit->kind != NSB_LIMIT_WEIGHT && limit->kind != NSB_LIMIT_TEXT &&
							limit->kind != NSB_LIMIT_LIST);
		if (limit->kind == NSB_LIMIT_WEIGHT)
			assert_string_equal(key->fallback, "100");
		assert_true(limit->why[0] != '\0');
		assert_ptr_equal(nsb_limit_find(limit->key), limit);
		/* what it limits is a limit of the box, by the same controller */
		box = nsb_limit_find(limit->box_key);
		assert_non_null(box);
		assert_false(box->user);
		assert_string_equal(box->key, box->box_key);
		assert_true(box->controller == limit->controller && box->kind == limit->kind);
		assert_int_equal(limit->user, strncmp(limit->key, "user_", 5) == 0);
		assert_string_equal(limit->user ? limit->key + 5 : limit->key, limit->box_key);
	}
	assert_null(nsb_limit_find(""));
	assert_null(nsb_limit_find("pids"));
	assert_null(nsb_limit_find("sessions_max"));
	/* version 1 limits the sum of both, which must not be below memory alone */
	assert_true(nsb_limit_find("memory_max") < nsb_limit_find("swap_max"));
}

/* And the other way round: a key that limits and that the plan forgets would do nothing. */
static void every_limit_is_in_the_table(void **state)
{
	static const char *const others[] = { "cgroup_manager", "cgroup_parent", "limits_optional" };

	(void)state;
	for (size_t i = 0; i < nsb_n_keys; i++) {
		bool other = strcmp(nsb_keys[i].subject, "limits") != 0;

		for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
			other |= strcmp(nsb_keys[i].name, others[j]) == 0;
		if ((nsb_limit_find(nsb_keys[i].name) == NULL) != other)
			fail_msg("%s", nsb_keys[i].name);
	}
}

static void controllers(void **state)
{
	(void)state;
	for (int i = 0; i < NSB_CONTROLLERS; i++) {
		assert_non_null(nsb_controller_name((nsb_controller)i, 1));
		for (int version = 1; version <= 2; version++)
			for (int other = 0; other < i; other++) {
				const char *a = nsb_controller_name((nsb_controller)i, version);
				const char *b = nsb_controller_name((nsb_controller)other, version);

				assert_true(a == NULL || b == NULL || strcmp(a, b) != 0);
			}
	}
	assert_string_equal(nsb_controller_name(NSB_CONTROLLER_IO, 1), "blkio");
	assert_string_equal(nsb_controller_name(NSB_CONTROLLER_IO, 2), "io");
	assert_null(nsb_controller_name(NSB_CONTROLLER_CPUACCT, 2));
}

static void stages(void **state)
{
	(void)state;
	for (int stage = 0; stage < NSB_STAGE_MAX; stage++) {
		assert_string_not_equal(nsb_stage_name(stage), "unknown");
		for (int other = 0; other < stage; other++)
			assert_string_not_equal(nsb_stage_name(stage), nsb_stage_name(other));
	}
	assert_string_equal(nsb_stage_name(-1), "unknown");
	assert_string_equal(nsb_stage_name(NSB_STAGE_MAX), "unknown");
	assert_string_equal(nsb_stage_name(NSB_STAGE_LOCK_DOWN), "lock_down");
	assert_string_equal(nsb_stage_name(NSB_STAGE_BUILD), "build");
}

static void errors(void **state)
{
	nsb_error error = { .stage = NSB_STAGE_PLAN };
	char text[2 * NSB_WORDS_MAX];

	(void)state;
	assert_int_equal(nsb_error_set(&error, 2, "first %d", 1), -2);
	assert_int_equal(nsb_error_set(&error, -13, "second"), -13);
	assert_string_equal(error.words, "first 1"); /* the closest description wins */
	assert_int_equal(error.err, 2);
	assert_int_equal(error.stage, NSB_STAGE_PLAN);
	assert_int_equal(nsb_error_set(NULL, 5, "nobody listens"), -5);
	error = (nsb_error){ 0 };
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(nsb_error_set(&error, 1, "%s", text), -1);
	assert_int_equal(strlen(error.words), NSB_WORDS_MAX - 1);
	assert_string_equal(nsb_errno_name(2), "ENOENT");
	assert_string_equal(nsb_errno_name(-2), "ENOENT");
	assert_string_equal(nsb_errno_name(99999), "?");
	/* the names of the C library that has them */
	for (int err = 0; err < 4096; err++)
		assert_string_equal(nsb_errno_name(err), strerrorname_np(err) != NULL ? strerrorname_np(err) : "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespaces),
		cmocka_unit_test(services),
		cmocka_unit_test(view),
		cmocka_unit_test(curated_view),
		cmocka_unit_test(view_watched),
		cmocka_unit_test(view_order),
		cmocka_unit_test(operations),
		cmocka_unit_test(limits),
		cmocka_unit_test(every_limit_is_in_the_table),
		cmocka_unit_test(controllers),
		cmocka_unit_test(stages),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
