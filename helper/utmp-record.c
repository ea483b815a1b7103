/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/utmp-record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmpx.h>

#include "common/fd-util.h"
#include "common/protocol.h"

#define ID_SIZE 4

/* Records are found by ut_id, so it must belong to one login only. A character set of 64: 16 million ids. */
static void make_id(char id[ID_SIZE + 1], uint64_t seed)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (int i = 0; i < ID_SIZE; i++, seed /= 64)
		id[i] = letters[seed % 64];
	id[ID_SIZE] = '\0';
}

static bool id_taken(const char *id)
{
	const struct utmpx *record;
	bool taken = false;

	setutxent();
	while (!taken && (record = getutxent()) != NULL)
		taken = record->ut_type != EMPTY && strncmp(record->ut_id, id, ID_SIZE) == 0;
	endutxent();
	return taken;
}

/* ut_addr_v6 holds the address in network order, where the remote host is one. */
static void fill_address(struct utmpx *record, const char *rhost)
{
	if (inet_pton(AF_INET, rhost, record->ut_addr_v6) != 1)
		inet_pton(AF_INET6, rhost, record->ut_addr_v6);
}

static void fill(struct utmpx *record, const nsb_member *member)
{
	struct timeval now;

	memset(record, 0, sizeof(*record));
	record->ut_pid = member->process.pid;
	snprintf(record->ut_line, sizeof(record->ut_line), "nsbox/%s", member->session);
	memcpy(record->ut_id, member->ut_id, ID_SIZE);
	gettimeofday(&now, NULL);
	record->ut_tv.tv_sec = (int32_t)now.tv_sec;
	record->ut_tv.tv_usec = (int32_t)now.tv_usec;
}

/* Everybody who can read utmp or wtmp can hold a read lock on it, and the C library waits 10 s for such a lock: long
 * enough to make every login miss its deadline. So the writing is done by a child that is given `patience` and no
 * more. */
static int write_record(const struct utmpx *record, int patience)
{
	pid_t helper = getpid();
	pid_t writer = fork();
	NSB_CLOSE int pidfd = -1;
	int status = 0;

	if (writer < 0)
		return -errno;
	if (writer == 0) {
		/* it must not outlive the helper with the life pipe and the application's socket in its hands */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != helper ||
		    syscall(SYS_close_range, 3, ~0u, 0) < 0)
			_exit(EIO);
		setutxent();
		if (pututxline(record) == NULL)
			_exit(errno != 0 ? errno : EIO);
		endutxent();
		updwtmpx(_PATH_WTMPX, record);
		_exit(0);
	}
	pidfd = (int)syscall(SYS_pidfd_open, writer, 0);
	if (pidfd < 0 || nsb_wait_readable(pidfd, nsb_now() + patience) < 0)
		kill(writer, SIGKILL);
	if (waitpid(writer, &status, 0) < 0)
		return -errno;
	if (WIFSIGNALED(status))
		return -ETIMEDOUT;
	return -WEXITSTATUS(status);
}

void utmp_record_choose(nsb_member *member)
{
	uint64_t seed = (uint64_t)member->process.pid * 2654435761u + (uint64_t)time(NULL);

	member->ut_id[0] = '\0';
	if (access(_PATH_UTMPX, F_OK) < 0)
		return;
	do
		make_id(member->ut_id, seed++);
	while (id_taken(member->ut_id));
}

int utmp_record_open(const nsb_member *member, const char *user)
{
	struct utmpx record;

	if (member->ut_id[0] == '\0')
		return 0;
	fill(&record, member);
	record.ut_type = USER_PROCESS;
	/* names longer than the field are cut, as login(1) does; utmp(5) has no room for more */
	memcpy(record.ut_user, user, strnlen(user, sizeof(record.ut_user)));
	memcpy(record.ut_host, member->rhost, strnlen(member->rhost, sizeof(record.ut_host)));
	fill_address(&record, member->rhost);
	return write_record(&record, UTMP_PATIENCE);
}

int utmp_record_close(const nsb_member *member, int patience)
{
	struct utmpx record;

	if (member->ut_id[0] == '\0')
		return 0;
	fill(&record, member);
	record.ut_type = DEAD_PROCESS;
	return write_record(&record, patience);
}
