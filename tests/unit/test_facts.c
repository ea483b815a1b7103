/* SPDX-License-Identifier: BSD-3-Clause */
/* What the module knows before it runs the helper: its own words, the items of PAM, whether this is any of its business.
 * Linked with --wrap=open, which shows another /run/host/container-manager. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <security/pam_modules.h>
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

#include "common/registry.h"
#include "pam_nsbox/facts.h"

#define MARK "/run/host/container-manager"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

static char mark[] = "/tmp/nsbox-test-facts-XXXXXX";

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return __real_open(strcmp(path, MARK) == 0 ? mark : path, flags, mode);
}

static void words(void **state)
{
	static const struct {
		const char *words[4];
		int r;
		bool open, close, debug;
		const char *profile, *conf;
	} rows[] = {
		{ { NULL }, 0, false, false, false, "", "" },
		{ { "open" }, 0, true, false, false, "", "" },
		{ { "close", "debug" }, 0, false, true, true, "", "" },
		{ { "open", "close" }, 0, true, true, false, "", "" },
		{ { "profile=students" }, 0, false, false, false, "students", "" },
		{ { "conf=/etc/x.conf", "profile=a" }, 0, false, false, false, "a", "/etc/x.conf" },
		{ { "profile=a", "profile=b" }, 0, false, false, false, "b", "" },
		{ { "profile=" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "profile" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "conf=" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "conf=relative" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "Open" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "opens" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "debug=1" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "" }, -EINVAL, 0, 0, 0, NULL, NULL },
		{ { "open", "profiel=x" }, -EINVAL, 0, 0, 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_words got = { .profile = "untouched" };
		nsb_error error = { 0 };
		int n = 0;

		while (n < 4 && rows[i].words[n] != NULL)
			n++;
		assert_int_equal(facts_words(n, (const char **)rows[i].words, &got, &error), rows[i].r);
		if (rows[i].r < 0) {
			assert_non_null(strstr(error.words, rows[i].words[n - 1])); /* the word is named */
			assert_string_equal(got.profile, "untouched");
			continue;
		}
		assert_int_equal(got.open, rows[i].open);
		assert_int_equal(got.close, rows[i].close);
		assert_int_equal(got.debug, rows[i].debug);
		assert_string_equal(got.profile, rows[i].profile);
		assert_string_equal(got.conf, rows[i].conf);
	}
}

static pam_handle_t *start(const char *service, const char *user)
{
	static const struct pam_conv conversation = { 0 };
	pam_handle_t *pamh = NULL;

	assert_int_equal(pam_start(service, user, &conversation, &pamh), PAM_SUCCESS);
	return pamh;
}

static void gather(void **state)
{
	pam_handle_t *pamh = start("sshd", "alice");
	nsb_words given = { .debug = true, .profile = "p", .conf = "/c" };
	char id[NSB_ID_LENGTH + 1];
	nsb_request request;

	(void)state;
	pam_set_item(pamh, PAM_TTY, "ssh");
	pam_set_item(pamh, PAM_RHOST, "2001:db8::1");
	pam_putenv(pamh, "KRB5CCNAME=FILE:/tmp/x");
	assert_int_equal(facts_gather(pamh, &given, NSB_VERB_OPEN, id, &request, NULL), 0);
	assert_true(nsb_id_valid(id));
	assert_ptr_equal(request.id, id);
	assert_int_equal(request.verb, NSB_VERB_OPEN);
	assert_int_equal(request.flags, NSB_REQUEST_DEBUG);
	assert_string_equal(request.user, "alice");
	assert_string_equal(request.service, "sshd");
	assert_string_equal(request.tty, "ssh");
	assert_string_equal(request.rhost, "2001:db8::1");
	assert_string_equal(request.krb5ccname, "FILE:/tmp/x");
	assert_string_equal(request.profile, "p");
	assert_string_equal(request.conf, "/c");
	pam_end(pamh, PAM_SUCCESS);
}

/* What the application did not set is "", never NULL; only a user there must be. */
static void gather_little(void **state)
{
	pam_handle_t *pamh = start("sshd", "alice");
	nsb_words given = { .profile = "", .conf = "" };
	char id[NSB_ID_LENGTH + 1];
	nsb_request request;
	nsb_error error = { 0 };

	(void)state;
	assert_int_equal(facts_gather(pamh, &given, NSB_VERB_CHECK, id, &request, NULL), 0);
	assert_string_equal(request.tty, "");
	assert_string_equal(request.rhost, "");
	assert_string_equal(request.krb5ccname, "");
	assert_int_equal(request.flags, 0);
	pam_set_item(pamh, PAM_USER, NULL);
	assert_int_equal(facts_gather(pamh, &given, NSB_VERB_CHECK, id, &request, &error), -EINVAL);
	assert_non_null(strstr(error.words, "PAM_USER"));
	pam_set_item(pamh, PAM_USER, "");
	assert_int_equal(facts_gather(pamh, &given, NSB_VERB_CHECK, id, &request, NULL), -EINVAL);
	pam_end(pamh, PAM_SUCCESS);
}

static void out_of_scope(void **state)
{
	static const struct {
		const char *service, *tty;
		bool out;
	} rows[] = {
		{ "sshd", "ssh", false },   { "login", "tty1", false },	    { "sshd", "", false },
		{ "gdm", ":0", true },	    { "login", ":1", true },	    { "systemd-user", "", true },
		{ "lightdm", "tty7", true }, { "su", "/dev/pts/3", false }, { "cron", "cron", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nsb_request request = { .service = (char *)rows[i].service, .tty = (char *)rows[i].tty };

		assert_int_equal(facts_out_of_scope(&request) != NULL, rows[i].out);
	}
}

static void *wait_for_end(void *ends)
{
	char word;

	return (void *)(intptr_t)read(*(int *)ends, &word, 1);
}

static void threads(void **state)
{
	nsb_error error = { 0 };
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_int_equal(facts_single_thread(&error), 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_end, ends), 0);
	assert_int_equal(facts_single_thread(&error), -EBUSY);
	assert_non_null(strstr(error.words, "2 threads"));
	close(ends[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(ends[0]);
	/* /proc may tell of the thread for a moment after its end */
	for (int i = 0; i < 1000 && facts_single_thread(NULL) < 0; i++)
		usleep(1000);
	assert_int_equal(facts_single_thread(NULL), 0);
}

static void put_mark(const char *text, mode_t mode)
{
	int fd;

	unlink(mark);
	fd = __real_open(mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Only root can say that this is a box: not a user's file, not a link, not a FIFO that hangs. */
static void boxed(void **state)
{
	bool root = geteuid() == 0;
	char other[64];

	(void)state;
	unlink(mark);
	assert_false(facts_boxed());
	put_mark("nsbox\n", 0444);
	assert_int_equal(facts_boxed(), root);
	put_mark("nsbox\n", 0464);
	assert_false(facts_boxed());
	put_mark("nsbox\n", 0446);
	assert_false(facts_boxed());
	put_mark("nsbox", 0444);
	assert_false(facts_boxed());
	put_mark("docker\n", 0444);
	assert_false(facts_boxed());
	put_mark("", 0444);
	assert_false(facts_boxed());
	put_mark("nsbox\nnsbox\nnsbox\nnsbox\n", 0444);
	assert_false(facts_boxed());
	if (root) {
		put_mark("nsbox\n", 0444);
		assert_int_equal(chown(mark, 1234, 0), 0);
		assert_false(facts_boxed());
	}
	put_mark("nsbox\n", 0444);
	snprintf(other, sizeof(other), "%s.other", mark);
	assert_int_equal(rename(mark, other), 0);
	assert_int_equal(symlink(other, mark), 0); /* the link could be anybody's, to a file of a real box */
	assert_false(facts_boxed());
	unlink(other);
	unlink(mark);
	assert_int_equal(mkfifo(mark, 0444), 0);
	alarm(10);
	assert_false(facts_boxed());
	alarm(0);
	unlink(mark);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),	cmocka_unit_test(gather),  cmocka_unit_test(gather_little),
		cmocka_unit_test(out_of_scope), cmocka_unit_test(threads), cmocka_unit_test(boxed),
	};
	int fd = mkstemp(mark);

	if (fd < 0)
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
