/* SPDX-License-Identifier: BSD-3-Clause */
/* The pure judgements of nsboxctl doctor: sysctls, lines of sshd_config, what of the host a profile shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/settings.h"
#include "ctl/profile-shows.h"
#include "ctl/sshd-config.h"
#include "ctl/sysctl-table.h"

/* --- sysctls --- */

static const sysctl_row *find(const char *name)
{
	for (size_t i = 0; i < sysctl_n_rows; i++)
		if (strcmp(sysctl_rows[i].name, name) == 0)
			return &sysctl_rows[i];
	fail_msg("no row %s", name);
	return NULL;
}

/* What the remedy says to write is good, and something is not. */
static void test_every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < sysctl_n_rows; i++) {
		const sysctl_row *row = &sysctl_rows[i];
		char path[SYSCTL_PATH_SIZE];

		assert_true(sysctl_is_good(row, row->wanted));
		assert_true(row->least > SYSCTL_ANY_LEAST || row->most < SYSCTL_ANY_MOST);
		assert_false(sysctl_is_good(row, ""));
		assert_false(sysctl_is_good(row, "x"));
		assert_true(strlen(row->why) > 20);
		sysctl_path(row->name, path);
		assert_null(strchr(path, '.'));
		assert_non_null(strchr(path, '/'));
	}
}

static void test_sysctl_values(void **state)
{
	static const struct {
		const char *name, *value;
		bool good;
	} rows[] = {
		{ "kernel.dmesg_restrict", "0\n", false },
		{ "kernel.dmesg_restrict", "1\n", true },
		{ "kernel.kptr_restrict", "2", true },
		{ "kernel.perf_event_paranoid", "-1", false },
		{ "kernel.perf_event_paranoid", "1", false },
		{ "kernel.perf_event_paranoid", "4", true },
		{ "kernel.randomize_va_space", "1", false },
		{ "kernel.unprivileged_bpf_disabled", "2", true },
		{ "dev.tty.legacy_tiocsti", "1", false },
		{ "dev.tty.legacy_tiocsti", "0", true },
		{ "fs.suid_dumpable", "1", false },
		{ "fs.suid_dumpable", "2", false },
		{ "fs.suid_dumpable", "0", true },
		{ "kernel.pty.reserve", "0", false },
		{ "user.max_mnt_namespaces", "0", false },
		{ "user.max_mnt_namespaces", "1023", false },
		{ "user.max_mnt_namespaces", "1024", true },
		{ "user.max_mnt_namespaces", "99999999999999999999999", false },
		{ "kernel.keys.maxkeys", "200 x", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(sysctl_is_good(find(rows[i].name), rows[i].value), rows[i].good);
}

static void test_core_pattern(void **state)
{
	(void)state;
	assert_int_equal(sysctl_core_handler("core"), 0);
	assert_int_equal(sysctl_core_handler(""), 0);
	assert_int_equal(sysctl_core_handler("/var/x|y"), 0);
	assert_int_equal(sysctl_core_handler("|/usr/lib/systemd/systemd-coredump %P"), '|');
	assert_int_equal(sysctl_core_handler("@/run/coredump.socket"), '@');
}

/* --- sshd_config --- */

static void test_sshd_lines(void **state)
{
	static const struct {
		const char *line, *keyword, *value; /* keyword NULL: says nothing */
	} rows[] = {
		{ "", NULL, NULL },
		{ "  # UsePAM no", NULL, NULL },
		{ "UsePAM no", "UsePAM", "no" },
		{ "\tUsePAM   no  ", "UsePAM", "no" },
		{ "UsePAM=no", "UsePAM", "no" },
		{ "UsePAM = no", "UsePAM", "no" },
		{ "UsePAM \"no\"", "UsePAM", "no" },
		{ "UsePAM no # yes", "UsePAM", "no" },
		{ "UsePAM", "UsePAM", "" },
		{ "Subsystem\tsftp\t/usr/lib/x -f A", "Subsystem", "sftp\t/usr/lib/x -f A" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *line = strdup(rows[i].line);
		const char *keyword, *value;

		assert_non_null(line);
		if (rows[i].keyword == NULL) {
			assert_false(sshd_config_split(line, &keyword, &value));
		} else {
			assert_true(sshd_config_split(line, &keyword, &value));
			assert_string_equal(keyword, rows[i].keyword);
			assert_string_equal(value, rows[i].value);
		}
		free(line);
	}
}

/* --- what a profile shows --- */

static void test_shows(void **state)
{
	static const struct {
		const char *root, *bind, *mask, *tmpfs, *path;
		int private_tmp;
		bool shown;
	} rows[] = {
		{ "host", NULL, NULL, NULL, "/var/spool/cron", NSB_PRIVATE_TMP_SESSION, true },
		{ "host", NULL, "/var/spool", NULL, "/var/spool/cron", NSB_PRIVATE_TMP_SESSION, false },
		{ "host", NULL, "/var/spo", NULL, "/var/spool/cron", NSB_PRIVATE_TMP_SESSION, true },
		{ "host", NULL, NULL, "/var/spool:size=1M", "/var/spool/cron", NSB_PRIVATE_TMP_SESSION, false },
		{ "host", NULL, NULL, NULL, "/run/docker.sock", NSB_PRIVATE_TMP_SESSION, false },
		{ "host", "/run/docker.sock", NULL, NULL, "/run/docker.sock", NSB_PRIVATE_TMP_SESSION, true },
		{ "host", "/var/run/docker.sock:/x", NULL, NULL, "/run/docker.sock", NSB_PRIVATE_TMP_SESSION, true },
		{ "host", "/run", NULL, NULL, "/run/docker.sock", NSB_PRIVATE_TMP_SESSION, true },
		{ "host", "/run", "/run/docker.sock", NULL, "/run/docker.sock", NSB_PRIVATE_TMP_SESSION, false },
		{ "host", "/run/:/host-run", "/run/docker.sock", NULL, "/run/docker.sock", NSB_PRIVATE_TMP_SESSION,
		  true },
		{ "host", "%h/run", NULL, NULL, "/run/docker.sock", NSB_PRIVATE_TMP_SESSION, false },
		{ "host", NULL, NULL, NULL, "/tmp/x", NSB_PRIVATE_TMP_SESSION, false },
		{ "host", NULL, NULL, NULL, "/tmp/x", NSB_PRIVATE_TMP_NO, true },
		{ "curated", NULL, NULL, NULL, "/var/spool/cron", NSB_PRIVATE_TMP_SESSION, false },
		{ "/srv/root", NULL, NULL, NULL, "/var/spool/cron", NSB_PRIVATE_TMP_SESSION, false },
		{ "/srv/root", "/var/spool", NULL, NULL, "/var/spool/cron", NSB_PRIVATE_TMP_SESSION, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_origin at = { "nsbox.conf", 7 }, found = { 0 };
		char *bind = (char *)rows[i].bind, *mask = (char *)rows[i].mask, *tmpfs = (char *)rows[i].tmpfs;
		const nsb_settings settings = { .root = (char *)rows[i].root,
						.private_tmp = rows[i].private_tmp,
						.bind_ro = { &bind, &at, bind != NULL },
						.mask = { &mask, &at, mask != NULL },
						.tmpfs = { &tmpfs, &at, tmpfs != NULL } };

		assert_int_equal(profile_shows(&settings, rows[i].path, &found), rows[i].shown);
		assert_int_equal(found.line, rows[i].shown && bind != NULL ? 7 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row),    cmocka_unit_test(test_sysctl_values),
		cmocka_unit_test(test_core_pattern), cmocka_unit_test(test_sshd_lines),
		cmocka_unit_test(test_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
