/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of logins are where the C library looks for them, and as it would have written them. The files are below the
 * directory in which the test runs. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmpx.h>
#include <cmocka.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "helper/utmp-file.h"
#include "helper/utmp-record.h"

#define SAME(mine, theirs)                                                                                             \
	assert_true(offsetof(utmp_file_record, mine) == offsetof(struct utmpx, theirs) &&                              \
		    sizeof(((utmp_file_record *)0)->mine) == sizeof(((struct utmpx *)0)->theirs))

static char base[] = "/tmp/nsbox-test-utmp-XXXXXX";

static nsb_member alice(void)
{
	nsb_member member = { .session = "abcdefghij", .rhost = "192.0.2.7" };

	member.process.pid = 4242;
	return member;
}

static void layout(void **state)
{
	(void)state;
	SAME(type, ut_type);
	SAME(pid, ut_pid);
	SAME(line, ut_line);
	SAME(id, ut_id);
	SAME(user, ut_user);
	SAME(host, ut_host);
	SAME(session, ut_session);
	SAME(seconds, ut_tv.tv_sec);
	SAME(microseconds, ut_tv.tv_usec);
	SAME(address, ut_addr_v6);
	assert_int_equal(sizeof(utmp_file_record), sizeof(struct utmpx));
	assert_true(UTMP_EMPTY == EMPTY && UTMP_INIT == INIT_PROCESS && UTMP_USER == USER_PROCESS &&
		    UTMP_DEAD == DEAD_PROCESS);
	assert_true(INIT_PROCESS < LOGIN_PROCESS && LOGIN_PROCESS < USER_PROCESS);
}

static off_t size_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_size;
}

/* The records of a file; how many there are of whole ones. */
static size_t records(const char *name, struct utmpx *ret, size_t max)
{
	FILE *in = fopen(name, "re");
	size_t n;

	assert_non_null(in);
	n = fread(ret, sizeof(*ret), max, in);
	fclose(in);
	return n;
}

static void empty(void)
{
	close(open("utmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	close(open("wtmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

/* Somebody else's, by the C library. */
static void put_other(short type, const char *id)
{
	struct utmpx other = { .ut_type = type, .ut_pid = 1, .ut_line = "pts/7", .ut_user = "bob" };

	memcpy(other.ut_id, id, strnlen(id, sizeof(other.ut_id)));
	setutxent();
	assert_non_null(pututxline(&other));
	endutxent();
}

static void opened_and_closed(void **state)
{
	struct utmpx got[4], wanted = { .ut_type = USER_PROCESS };
	const struct utmpx *found;
	nsb_member member = alice();
	time_t now = time(NULL);

	(void)state;
	empty();
	put_other(USER_PROCESS, "ts/7");
	utmp_record_choose(&member);
	assert_int_equal(strlen(member.ut_id), 4);
	assert_int_equal(utmp_record_open(&member, "alice"), 0);
	memcpy(wanted.ut_id, member.ut_id, 4);
	setutxent();
	found = getutxid(&wanted);
	assert_non_null(found);
	assert_string_equal(found->ut_line, "nsbox/abcdefghij");
	assert_string_equal(found->ut_user, "alice");
	assert_string_equal(found->ut_host, "192.0.2.7");
	assert_true(found->ut_pid == 4242 && found->ut_tv.tv_sec >= now && found->ut_tv.tv_sec <= now + 60 &&
		    found->ut_tv.tv_usec >= 0 && found->ut_tv.tv_usec < 1000000);
	assert_true((uint32_t)found->ut_addr_v6[0] == htonl(0xc0000207) && found->ut_addr_v6[1] == 0);
	endutxent();
	assert_int_equal(records("utmp", got, 4), 2);
	assert_string_equal(got[0].ut_user, "bob");
	assert_int_equal(records("wtmp", got, 4), 1);
	assert_string_equal(got[0].ut_user, "alice");
	/* the same place again, and one more line in wtmp */
	assert_int_equal(utmp_record_close(&member, 100), 0);
	assert_int_equal(records("utmp", got, 4), 2);
	assert_true(got[0].ut_type == USER_PROCESS && got[1].ut_type == DEAD_PROCESS && got[1].ut_pid == 4242);
	assert_true(got[1].ut_user[0] == '\0' && got[1].ut_host[0] == '\0');
	assert_int_equal(records("wtmp", got, 4), 2);
	assert_true(got[1].ut_type == DEAD_PROCESS);
	assert_string_equal(got[1].ut_line, "nsbox/abcdefghij");
}

/* Of a record that was never written there is nothing to close in utmp. */
static void closed_alone(void **state)
{
	nsb_member member = alice();

	(void)state;
	empty();
	assert_int_equal(utmp_record_close(&member, 100), 0); /* without an id */
	assert_true(size_of("utmp") == 0 && size_of("wtmp") == 0);
	strcpy(member.ut_id, "Abcd");
	assert_int_equal(utmp_record_close(&member, 100), 0);
	assert_true(size_of("utmp") == 0 && size_of("wtmp") == sizeof(struct utmpx));
}

/* More records than are read at a time; an id belongs to whoever had it last, unless the record is empty. */
static void ids(void **state)
{
	struct utmpx got[200];
	nsb_member one = alice(), other = alice();

	(void)state;
	empty();
	for (int i = 0; i < 100; i++) {
		char id[5];

		snprintf(id, sizeof(id), "x%d", i);
		put_other(i % 2 ? DEAD_PROCESS : LOGIN_PROCESS, id);
	}
	utmp_record_choose(&one);
	assert_int_equal(utmp_record_open(&one, "alice"), 0);
	utmp_record_choose(&other); /* the same process, in the same second */
	assert_int_equal(utmp_record_open(&other, "alice"), 0);
	assert_int_equal(utmp_record_close(&one, 100), 0);
	utmp_record_choose(&one);
	assert_int_equal(utmp_record_open(&one, "alice"), 0);
	assert_string_not_equal(one.ut_id, other.ut_id);
	assert_int_equal(records("utmp", got, 200), 102); /* the place of the one that was closed */
	for (size_t i = 0; i < 102; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(got[i].ut_id, got[j].ut_id, 4);
}

/* Texts that are longer than their member are cut, and take no NUL. */
/* A host that is up for a year: utmp is as long as there were logins at the same time. Others' records are theirs, dead or not. */
static void places(void **state)
{
	struct utmpx got[8];
	nsb_member first = alice(), one = alice();

	(void)state;
	empty();
	put_other(DEAD_PROCESS, "ts/7");
	for (int i = 0; i < 50; i++) {
		utmp_record_choose(&first);
		assert_int_equal(utmp_record_open(&first, "alice"), 0);
		utmp_record_choose(&one);
		assert_int_equal(utmp_record_open(&one, "carol"), 0);
		assert_int_equal(records("utmp", got, 8), 3);
		assert_string_equal(got[0].ut_line, "pts/7");
		assert_true(got[1].ut_type == USER_PROCESS && got[2].ut_type == USER_PROCESS);
		assert_memory_not_equal(got[1].ut_id, got[2].ut_id, 4);
		assert_int_equal(utmp_record_close(&first, 100), 0);
		assert_int_equal(records("utmp", got, 8), 3);
		assert_true((got[1].ut_type == DEAD_PROCESS) != (got[2].ut_type == DEAD_PROCESS));
		assert_int_equal(utmp_record_close(&one, 100), 0);
	}
}

static void long_texts(void **state)
{
	struct utmpx got[1];
	nsb_member member = alice();
	char user[100];

	(void)state;
	empty();
	memset(user, 'u', sizeof(user));
	user[99] = '\0';
	strcpy(member.rhost, "2001:db8::1");
	utmp_record_choose(&member);
	assert_int_equal(utmp_record_open(&member, user), 0);
	assert_int_equal(records("utmp", got, 1), 1);
	assert_memory_equal(got[0].ut_user, user, sizeof(got[0].ut_user));
	assert_string_equal(got[0].ut_host, "2001:db8::1");
	assert_true((uint32_t)got[0].ut_addr_v6[0] == htonl(0x20010db8) && (uint32_t)got[0].ut_addr_v6[3] == htonl(1));
}

/* Half a record at the end, as a full disk leaves it, is written over. */
static void half_a_record(void **state)
{
	static const char *const names[] = { "utmp", "wtmp" };
	struct utmpx got[2];
	nsb_member member = alice();

	(void)state;
	empty();
	for (int i = 0; i < 2; i++) {
		FILE *out = fopen(names[i], "we");

		assert_non_null(out);
		for (int j = 0; j < 100; j++)
			fputc('x', out);
		fclose(out);
	}
	utmp_record_choose(&member);
	assert_int_equal(utmp_record_open(&member, "alice"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(size_of(names[i]), sizeof(struct utmpx));
		assert_int_equal(records(names[i], got, 2), 1);
		assert_string_equal(got[0].ut_user, "alice");
	}
}

/* A lock of somebody else's, as any reader may have it; *ret_line tells him to go. */
static pid_t hold(const char *name, int ret_line[2])
{
	struct flock whole = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	char byte;
	pid_t child;

	assert_int_equal(pipe(ret_line), 0);
	child = fork();
	if (child == 0) {
		int fd = open(name, O_RDONLY | O_CLOEXEC);
		bool held = fcntl(fd, F_SETLK, &whole) == 0;

		if (write(ret_line[1], held ? "y" : "n", 1) == 1)
			pause();
		_exit(0);
	}
	assert_true(child > 0 && read(ret_line[0], &byte, 1) == 1 && byte == 'y');
	return child;
}

static void let_go(pid_t child, int line[2])
{
	close(line[0]);
	close(line[1]);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void locked(void **state)
{
	static const char *const names[] = { "utmp", "wtmp" };
	nsb_member member = alice();

	(void)state;
	empty();
	utmp_record_choose(&member);
	assert_int_equal(utmp_record_open(&member, "alice"), 0);
	for (int i = 0; i < 2; i++) {
		int line[2];
		pid_t holder = hold(names[i], line);
		int64_t began = nsb_now(), took;

		assert_int_equal(utmp_record_close(&member, 200), -ETIMEDOUT);
		took = nsb_now() - began;
		assert_true(took >= 200 && took < 1000);
		assert_int_equal(size_of("wtmp"), sizeof(struct utmpx));
		let_go(holder, line);
	}
	assert_int_equal(utmp_record_close(&member, 200), 0);
	assert_int_equal(size_of("wtmp"), 2 * sizeof(struct utmpx));
}

/* A lock that is given back within the patience holds up, no more. */
static void locked_for_a_moment(void **state)
{
	nsb_member member = alice();
	int line[2];
	pid_t holder, waker;

	(void)state;
	empty();
	utmp_record_choose(&member);
	holder = hold("utmp", line);
	waker = fork();
	if (waker == 0) {
		usleep(100 * 1000);
		kill(holder, SIGKILL);
		_exit(0);
	}
	assert_int_equal(utmp_record_open(&member, "alice"), 0);
	let_go(holder, line);
	assert_int_equal(waitpid(waker, NULL, 0), waker);
	assert_int_equal(size_of("utmp"), sizeof(struct utmpx));
}

/* A host without utmp, which keeps none; one without wtmp. */
static void without_files(void **state)
{
	nsb_member member = alice();

	(void)state;
	empty();
	assert_int_equal(unlink("utmp"), 0);
	utmp_record_choose(&member);
	assert_string_equal(member.ut_id, "");
	assert_int_equal(utmp_record_open(&member, "alice"), 0);
	assert_int_equal(size_of("wtmp"), 0);
	empty();
	utmp_record_choose(&member);
	assert_int_equal(unlink("wtmp"), 0);
	assert_int_equal(utmp_record_open(&member, "alice"), 0);
	assert_int_equal(size_of("utmp"), sizeof(struct utmpx));
	assert_int_equal(access("wtmp", F_OK), -1);
	/* gone in between: an error to be told */
	assert_int_equal(unlink("utmp"), 0);
	assert_int_equal(utmp_record_open(&member, "alice"), -ENOENT);
}

static int enter(void **state)
{
	(void)state;
	return mkdtemp(base) == NULL || chdir(base) < 0 || utmpxname("utmp") < 0;
}

static int leave(void **state)
{
	(void)state;
	unlink("utmp");
	unlink("wtmp");
	return rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(opened_and_closed),
		cmocka_unit_test(closed_alone),
		cmocka_unit_test(ids),
		cmocka_unit_test(places),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(half_a_record),
		cmocka_unit_test(locked),
		cmocka_unit_test(locked_for_a_moment),
		cmocka_unit_test(without_files),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
