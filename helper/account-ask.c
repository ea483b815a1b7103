/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/account-ask.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/account.h"
#include "common/fd-util.h"

#define PROGRAM	   NSB_LIBEXECDIR "/nsbox-account"
#define ANSWER_MAX (64UL * 1024 * 1024) /* bytes: 65536 groups with long names */

/* One wish for both halves: of its descriptors the second half needs none. */
static run_wish wish_of(char *const arguments[], int output, int64_t deadline)
{
	return (run_wish){ PROGRAM,
			   arguments,
			   deadline,
			   "nsbox is not installed as a whole",
			   .program = -1,
			   .input = -1,
			   .output = output,
			   .extra = -1,
			   .output_max = ANSWER_MAX };
}

/* To the application -ENOENT is a user who is not there, so nothing else may be called so. */
static int not_unknown(int r, nsb_error *error)
{
	if (r != -ENOENT)
		return r;
	if (error->err == ENOENT)
		error->err = EIO;
	return -EIO;
}

int account_ask(const char *user, account_question *ret, nsb_error *error)
{
	char *const arguments[] = { (char *)"nsbox-account", (char *)user, NULL };
	NSB_CLOSE int answer = memfd_create("nsbox-account", MFD_CLOEXEC);
	run_wish wish = wish_of(arguments, answer, 0);
	int r;

	if (answer < 0)
		return nsb_error_set(error, errno, "cannot hold what nsbox-account answers: %s", strerror(errno));
	r = run_program_start(&wish, &ret->program, error);
	if (r < 0)
		return not_unknown(r, error);
	ret->answer = nsb_steal_fd(&answer);
	return 0;
}

/* The strings of the text, each with its NUL at the end: how many, or -EPROTO. */
static ssize_t split(char *text, size_t size, char ***ret)
{
	char **list;
	size_t n = 0;

	if (size == 0 || text[size - 1] != '\0')
		return -EPROTO;
	for (size_t i = 0; i < size; i++)
		n += text[i] == '\0';
	list = calloc(n, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++, text += strlen(text) + 1)
		list[i] = text;
	*ret = list;
	return (ssize_t)n;
}

static int read_answer(int fd, nsb_session *session)
{
	NSB_FREE char *text = NULL;
	NSB_FREE char **list = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		return -ENOMEM;
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return n < 0 ? -errno : -EPROTO;
	n = split(text, (size_t)n, &list);
	if (n < 0)
		return (int)n;
	return strcmp(list[0], session->user) == 0 ? account_unpack(session, list, (size_t)n) : -EPROTO;
}

int account_ask_done(account_question *question, int64_t deadline, nsb_session *session, nsb_error *error)
{
	NSB_CLOSE int answer = nsb_steal_fd(&question->answer);
	run_wish wish = wish_of(NULL, -1, deadline);
	char said[NSB_WORDS_SAID];
	int r = run_program_finish(&wish, &question->program, said, error);

	if (r < 0)
		return not_unknown(r, error);
	if (r > 0)
		return nsb_error_set(error, r, "%s", said[0] != '\0' ? said : "nsbox-account failed");
	r = read_answer(answer, session);
	return r < 0 ? nsb_error_set(error, EIO, "nsbox-account answered what is no account of %s", session->user) : 0;
}
