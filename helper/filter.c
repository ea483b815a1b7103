/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filter takes some ten milliseconds to make and is the same for all logins of a profile, so it is kept: as a file
 * whose name is all that it was made of, the words and what tells this nsbox-seccomp from another one. Its last eight
 * bytes are a sum of the rest, so a file that was cut short or overwritten is made again. What is handed out is a copy
 * in memory.
 * The cache is a help, not a condition: where it cannot be used, each login makes its own filter.
 */
#include "helper/filter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/log.h"
#include "common/path-util.h"
#include "common/protocol.h"
#include "common/registry.h"
#include "common/string-util.h"
#include "helper/run-program.h"
#include "helper/steps.h"

#define PROGRAM	       NSB_LIBEXECDIR "/nsbox-seccomp"
#define PATIENCE       6000	      /* ms: takes 10, but twenty logins on a slow machine may begin with none kept */
#define FILTER_MAX     (4096 * 8)     /* bytes: BPF_MAXINSNS instructions */
#define KEPT_MAX       (24 * 60 * 60) /* s: a new libseccomp, which is in no name, is noticed after that */
#define UNFINISHED     ".new-"
#define UNFINISHED_MAX 60 /* s: whoever writes one is quicker, or dead */
#define WORDS_MAX      4

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif

typedef struct text {
	unsigned char bytes[FILTER_MAX + sizeof(uint64_t)];
	size_t size; /* without the sum */
} text;

/* NULL without a filter. */
static const char *filter_words(const nsb_plan *plan)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		if (plan->steps[i].op == NSB_OP_FILTER)
			return plan->steps[i].data;
	return NULL;
}

static int open_program(struct stat *st, nsb_error *error)
{
	NSB_CLOSE int fd = open(PROGRAM, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return nsb_error_set(error, errno,
				     "seccomp: nsbox-seccomp is not installed (%s: %s): install nsbox built with "
				     "libseccomp (configure --with-seccomp), or write seccomp = off",
				     PROGRAM, strerror(errno));
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || !nsb_stat_trusted(st) || (st->st_mode & S_IXUSR) == 0)
		return nsb_error_set(error, EPERM, PROGRAM " is not a program that only root can change");
	return nsb_steal_fd(&fd);
}

int filter_check(const nsb_plan *plan, nsb_error *error)
{
	const unsigned action = SECCOMP_RET_KILL_PROCESS;
	NSB_CLOSE int program = -1;
	struct stat st;

	if (filter_words(plan) == NULL)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return nsb_error_set(error, errno,
				     "seccomp: this kernel does not filter system calls (%s): write seccomp = off",
				     strerror(errno));
	program = open_program(&st, error);
	return program < 0 ? program : 0;
}

/* FNV-1a: finds accidents, not forgery. Who could forge is root. */
static uint64_t sum_of(const unsigned char *bytes, size_t n)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	return sum;
}

/* "default+nested@DEVICE-INODE-SIZE-TIME-TIME". */
static void make_key(const char *words, const struct stat *st, char *key, size_t size)
{
	snprintf(key, size, "%s@%llx-%llx-%llx-%llx.%lx-%llx.%lx", words, (unsigned long long)st->st_dev,
		 (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
		 (unsigned long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (unsigned long long)st->st_ctim.tv_sec,
		 st->st_ctim.tv_nsec);
	for (char *blank = strchr(key, ' '); blank != NULL; blank = strchr(blank, ' '))
		*blank = '+';
}

static bool size_fits(off_t size)
{
	return size > 0 && size <= FILTER_MAX && size % 8 == 0;
}

/* What is kept under the key. False: nothing that can be used. */
static bool load(int directory, const char *key, text *ret)
{
	NSB_CLOSE int fd = openat(directory, key, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	time_t now = time(NULL);
	struct stat st;
	uint64_t sum;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0 ||
	    !size_fits(st.st_size - (off_t)sizeof(sum)) || st.st_mtime > now || now - st.st_mtime > KEPT_MAX)
		return false;
	ret->size = (size_t)st.st_size - sizeof(sum);
	if (read(fd, ret->bytes, (size_t)st.st_size) != st.st_size)
		return false;
	memcpy(&sum, ret->bytes + ret->size, sizeof(sum));
	return sum == sum_of(ret->bytes, ret->size);
}

/* Those of another nsbox-seccomp, and what somebody has not finished. A descriptor of one of them stays good. */
static void remove_old(int directory, const char *key)
{
	NSB_CLOSE int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	struct stat st;

	if (list == NULL)
		return;
	copy = -1;
	while ((entry = readdir(list)) != NULL) {
		const char *name = entry->d_name, *identity = strchr(name, '@');

		if (nsb_after_prefix(name, UNFINISHED) != NULL) {
			if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			    time(NULL) - st.st_mtime > UNFINISHED_MAX)
				unlinkat(directory, name, 0);
		} else if (identity != NULL && strcmp(identity, strchr(key, '@')) != 0) {
			unlinkat(directory, name, 0);
		}
	}
	closedir(list);
}

static int store(int directory, const char *key, text *filter)
{
	NSB_CLOSE int fd = -1;
	char name[32];
	uint64_t number, sum = sum_of(filter->bytes, filter->size);
	int r;

	/* logins that find nothing at the same time write a file each; the last one stays */
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		return -EIO;
	snprintf(name, sizeof(name), UNFINISHED "%llx", (unsigned long long)number);
	fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	memcpy(filter->bytes + filter->size, &sum, sizeof(sum));
	r = fchmod(fd, 0600) < 0 ? -errno : nsb_write_all(fd, filter->bytes, filter->size + sizeof(sum));
	if (r == 0 && renameat(directory, name, directory, key) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(directory, name, 0);
	return r;
}

/* Runs nsbox-seccomp with the words and reads what it made. */
static int make(int program, const char *words, int64_t deadline, text *ret, nsb_error *error)
{
	NSB_CLOSE int output = memfd_create("nsbox-filter", MFD_CLOEXEC);
	NSB_FREE char *copy = strdup(words);
	int64_t end = nsb_now() + PATIENCE;
	char *arguments[WORDS_MAX + 2] = { (char *)"nsbox-seccomp" }, *save = NULL, said[NSB_WORDS_SAID];
	const run_wish wish = { PROGRAM,
				arguments,
				end < deadline ? end : deadline,
				"install libseccomp and nsbox again, or write seccomp = off",
				.program = program,
				.input = -1,
				.output = output,
				.extra = -1,
				.output_max = FILTER_MAX + 8 /* enough to see that it is too much */ };
	size_t n = 1;
	struct stat st;
	int r;

	if (output < 0 || copy == NULL)
		return nsb_error_set(error, output < 0 ? errno : ENOMEM, "cannot start " PROGRAM);
	for (char *word = strtok_r(copy, " ", &save); word != NULL && n <= WORDS_MAX; word = strtok_r(NULL, " ", &save))
		arguments[n++] = word;
	r = run_program(&wish, said, error);
	if (r < 0)
		return r;
	if (r > 0)
		return nsb_error_set(error, EIO, PROGRAM ": %s", said[0] != '\0' ? said : "failed without a word");
	if (fstat(output, &st) < 0 || !size_fits(st.st_size) ||
	    pread(output, ret->bytes, (size_t)st.st_size, 0) != st.st_size)
		return nsb_error_set(error, EBADMSG, PROGRAM " made no filter: install nsbox again");
	ret->size = (size_t)st.st_size;
	return 0;
}

/* A copy that nobody can change any more. */
static int to_memory(const text *filter, nsb_error *error)
{
	NSB_CLOSE int fd = memfd_create("nsbox-filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : nsb_write_all(fd, filter->bytes, filter->size);

	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		r = -errno;
	return r < 0 ? nsb_error_set(error, r, "cannot hold the filter of system calls: %s", strerror(-r))
		     : nsb_steal_fd(&fd);
}

int filter_open(const char *words, int64_t deadline, nsb_error *error)
{
	nsb_error why = { 0 };
	NSB_CLOSE int directory = nsb_registry_directory("seccomp", true, &why);
	static text memory; /* of which a filter fills a tenth: what is not touched costs nothing */
	text *filter = &memory;
	NSB_CLOSE int program = -1;
	struct stat st;
	char key[NAME_MAX];
	int r;

	program = open_program(&st, error);
	if (program < 0)
		return program;
	make_key(words, &st, key, sizeof(key));
	if (directory >= 0 && load(directory, key, filter))
		return to_memory(filter, error);
	r = make(program, words, deadline, filter, error);
	if (r < 0)
		return r;
	r = directory < 0 ? directory : store(directory, key, filter);
	if (r < 0)
		nsb_log(LOG_WARNING, "filters of system calls are made anew for each login: %s",
			why.words[0] != '\0' ? why.words : strerror(-r));
	else
		remove_old(directory, key);
	return to_memory(filter, error);
}

bool filter_core_leaves(void)
{
	char pattern[256];

	return nsb_read_text_at(AT_FDCWD, "/proc/sys/kernel/core_pattern", pattern, sizeof(pattern)) < 0 ||
	       pattern[0] == '|' || pattern[0] == '@';
}

int filter_prepare(nsb_box *box, const nsb_step *step)
{
	/* where core dumps are files nobody is kept from setting their limit */
	bool free_core = !box->plan.core && !filter_core_leaves();
	char words[sizeof(box->entry.seccomp)];
	int fd;

	snprintf(words, sizeof(words), "%s%s", step->data, free_core ? " core" : "");
	fd = filter_open(words, box->deadline, &box->error);
	if (fd < 0)
		return fd;
	box->filter = fd;
	/* for nsboxctl enter, when the entry is published */
	memcpy(box->entry.seccomp, words, sizeof(words));
	return 0;
}

/* The cache stays: the next login finds it. */
void filter_drop(nsb_box *box, const nsb_step *step)
{
	(void)step;
	box->filter = nsb_close(box->filter);
}
