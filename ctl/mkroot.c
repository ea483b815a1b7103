/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsboxctl mkroot: a directory for `root = DIRECTORY`.
 *
 *   1 ask      one kind, its options, the input: nothing is made yet
 *   2 begin    a directory of work beside the place, for root alone
 *   3 fill     nsbox-unpack, mmdebstrap or debootstrap in namespaces of their own; or busybox, by nsboxctl itself
 *   4 points   what boxes mount on
 *   5 finish   renamed to its place
 *   -- from here on it is there --
 *   6 warn     what it lacks
 *
 * Whatever fails, and whichever signal comes but SIGKILL, before 6: what was made is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config-amounts.h"
#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/ask.h"
#include "ctl/command.h"
#include "ctl/lacks.h"
#include "ctl/mkroot.h"
#include "ctl/options.h"
#include "ctl/tell.h"
#include "helper/check.h"

#define UNPACK NSB_LIBEXECDIR "/nsbox-unpack"

typedef struct wishes {
	const char *from, *mirror, *include, *max_size;
	bool debian, busybox;
	const char *suite;
	/* found out in stage 1 */
	int input;
	char max_bytes[32], own_suite[64];
	const char *bootstrap; /* the program */
	sigset_t signals;
} wishes;

/* --- 1 ask: --from --- */

static int ask_size(wishes *wish, nsb_error *error)
{
	const nsb_key size = { .name = "max-size", .type = NSB_KEY_SIZE };
	nsb_error why = { 0 };
	int64_t bytes;

	if (wish->max_size == NULL)
		return 0;
	if (strchr(wish->max_size, '%') != NULL || nsb_parse_amount(&size, wish->max_size, &bytes, &why) < 0)
		return nsb_error_set(error, EINVAL, "--max-size %s: a size like 800M or 20G is needed", wish->max_size);
	snprintf(wish->max_bytes, sizeof(wish->max_bytes), "%lld", (long long)bytes);
	return 0;
}

static int ask_from(wishes *wish, nsb_error *error)
{
	bool standard = strcmp(wish->from, "-") == 0;
	struct stat st;

	if (access(UNPACK, X_OK) < 0)
		return nsb_error_set(error, ENOENT,
				     "--from needs " UNPACK ", which this nsbox was built without: install libarchive "
				     "(Debian: libarchive-dev) and build it again, or unpack the archive by tar(1)");
	if (standard && isatty(STDIN_FILENO))
		return nsb_error_set(error, EINVAL,
				     "standard input is a terminal: \"docker export CONTAINER | nsboxctl "
				     "mkroot DIRECTORY --from -\"");
	wish->input =
		standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(wish->from, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (wish->input < 0 || fstat(wish->input, &st) < 0)
		return nsb_error_set(error, errno, "cannot read %s: %s", wish->from, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return nsb_error_set(error, EISDIR, "%s is a directory: a tar archive is needed", wish->from);
	return ask_size(wish, error);
}

/* --- 1 ask: --debian --- */

static bool is_plain(const char *text, const char *more)
{
	for (const char *at = text; *at != '\0'; at++)
		if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
		      strchr(more, *at) != NULL))
			return false;
	return text[0] != '\0' && text[0] != '-';
}

/* "VERSION_CODENAME=bookworm" or the same in quotes. False: there is no such line, or no plain word. os-release(5). */
static bool find_release(const char *text, const char *name, char *buffer, size_t size)
{
	size_t length = strlen(name);

	for (const char *line = text; line != NULL; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
		const char *value = line + length + 1;

		if (strncmp(line, name, length) != 0 || line[length] != '=')
			continue;
		value += strspn(value, "\"'");
		snprintf(buffer, size, "%.*s", (int)strcspn(value, "\"'\n"), value);
		return is_plain(buffer, "-._");
	}
	return false;
}

/* The host's own, if the bootstrap programs know such a system. */
static void find_suite(wishes *wish)
{
	char text[8192], id[32];
	ssize_t n = nsb_read_text_at(AT_FDCWD, "/usr/lib/os-release", text, sizeof(text));

	if (n > 0 && find_release(text, "ID", id, sizeof(id)) &&
	    (strcmp(id, "debian") == 0 || strcmp(id, "ubuntu") == 0) &&
	    find_release(text, "VERSION_CODENAME", wish->own_suite, sizeof(wish->own_suite)))
		wish->suite = wish->own_suite;
	else
		wish->suite = "stable";
}

static int ask_debian(wishes *wish, nsb_error *error)
{
	static const char *const programs[] = { "/usr/bin/mmdebstrap", "/usr/sbin/debootstrap",
						"/usr/bin/debootstrap" };

	if (wish->suite == NULL)
		find_suite(wish);
	if (!is_plain(wish->suite, "-._"))
		return nsb_error_set(error, EINVAL,
				     "\"%s\" is no name of a suite; the directory comes first: nsboxctl mkroot "
				     "/srv/root --debian bookworm",
				     wish->suite);
	if (wish->include != NULL && !is_plain(wish->include, "-+.:,"))
		return nsb_error_set(error, EINVAL,
				     "--include %s: names of packages with commas between them are needed",
				     wish->include);
	if (wish->mirror != NULL && (wish->mirror[0] == '-' || strchr(wish->mirror, ':') == NULL))
		return nsb_error_set(error, EINVAL, "--mirror %s: a URL is needed", wish->mirror);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && wish->bootstrap == NULL; i++)
		if (access(programs[i], X_OK) == 0)
			wish->bootstrap = programs[i];
	if (wish->bootstrap == NULL)
		return nsb_error_set(error, ENOENT,
				     "--debian needs mmdebstrap or debootstrap: apt-get install mmdebstrap");
	return 0;
}

/* --- 3 fill --- */

static int fill_from(const wishes *wish, const mkroot_place *place, int *ret_signal, nsb_error *error)
{
	char *const arguments[] = { (char *)UNPACK, wish->max_bytes[0] != '\0' ? (char *)wish->max_bytes : NULL, NULL };
	const mkroot_work work = {
		.arguments = arguments, .input = wish->input, .directory = place->work, .signals = &wish->signals
	};

	return mkroot_work_run(&work, ret_signal, error);
}

/* apt fetches as a user of its own, who has to get to the tree: if he cannot, it parses what the network says as root. And
 * the programs put their files beside the tree, so that none is left in /tmp when they are killed. */
static int open_work(const mkroot_place *place, char temporary[PATH_MAX])
{
	snprintf(temporary, PATH_MAX, "%.*s" MKROOT_TEMPORARY, (int)(strlen(place->tree_path) - strlen(MKROOT_TREE)),
		 place->tree_path);
	if (fchmod(place->work, 0711) < 0 || mkdirat(place->work, MKROOT_TEMPORARY, 0700) < 0 ||
	    fchmodat(place->work, MKROOT_TEMPORARY, 01777, 0) < 0)
		return -errno;
	return 0;
}

static int fill_debian(const wishes *wish, const mkroot_place *place, int *ret_signal, nsb_error *error)
{
	NSB_FREE char *include = wish->include == NULL ? NULL : nsb_format("--include=%s", wish->include);
	char *arguments[12] = { (char *)wish->bootstrap, (char *)"--variant=minbase" }, temporary[PATH_MAX];
	const mkroot_work work = {
		.arguments = arguments, .input = -1, .directory = -1, .signals = &wish->signals, .temporary = temporary
	};
	size_t n = 2;
	int r = open_work(place, temporary);

	if (wish->include != NULL && include == NULL)
		r = -ENOMEM;
	if (r < 0)
		return r;
	if (strstr(wish->bootstrap, "mmdebstrap") != NULL) {
		arguments[n++] = (char *)"--mode=root";
		arguments[n++] = (char *)"--format=directory";
	}
	if (include != NULL)
		arguments[n++] = include;
	arguments[n++] = (char *)wish->suite;
	arguments[n++] = (char *)place->tree_path;
	arguments[n] = (char *)wish->mirror; /* or the end */
	return mkroot_work_run(&work, ret_signal, error);
}

static int fill_busybox(const wishes *wish, const mkroot_place *place, int *ret_signal, nsb_error *error)
{
	(void)wish;
	*ret_signal = 0;
	return mkroot_busybox(place, error);
}

static int ask_nothing(wishes *wish, nsb_error *error)
{
	(void)wish;
	(void)error;
	return 0;
}

typedef struct kind {
	int (*ask)(wishes *wish, nsb_error *error);
	int (*fill)(const wishes *wish, const mkroot_place *place, int *ret_signal, nsb_error *error);
} kind;

static const kind kind_from = { ask_from, fill_from };
static const kind kind_debian = { ask_debian, fill_debian };
static const kind kind_busybox = { ask_nothing, fill_busybox };

/* --- the stages --- */

/* 2 to 5. -EINTR with the signal, if one came. */
static int make_tree(const kind *of, const wishes *wish, mkroot_place *place, int *ret_signal, nsb_error *error)
{
	int r = mkroot_place_begin(place, error);

	if (r == 0)
		r = of->fill(wish, place, ret_signal, error);
	if (r == 0)
		r = mkroot_looks_like_root(place, error);
	if (r == 0)
		r = mkroot_points(place, error);
	if (r == 0) {
		*ret_signal = mkroot_signals_came();
		r = *ret_signal != 0 ? -EINTR : mkroot_place_finish(place, error);
	}
	return r;
}

static void tell_lack(void *argument, const char *sentence)
{
	char words[NSB_WORDS_MAX];

	(void)argument;
	snprintf(words, sizeof(words), "%s", sentence);
	nsb_make_printable(words);
	fprintf(stderr, "nsboxctl: warning: %s\n", words);
}

static void warn_of(const char *path)
{
	const nsb_plan plan = { .root = (char *)path };
	nsb_error error = { 0 };

	if (check_root(&plan, NULL, &error) < 0)
		tell_lack(NULL, error.words);
	lacks_of_tree(path, true, tell_lack, NULL);
}

static int make_root(const kind *of, wishes *wish, const char *directory)
{
	NSB_FREE char *path = ask_absolute(directory);
	mkroot_place place = { .parent = -1, .work = -1, .tree = -1 };
	nsb_error error = { 0 }, remains = { 0 };
	int number = 0, r;

	if (path == NULL)
		return COMMAND_PROBLEM;
	mkroot_signals_hold(&wish->signals);
	r = mkroot_place_find(&place, path, &error);
	if (r == 0)
		r = make_tree(of, wish, &place, &number, &error);
	if (mkroot_place_done(&place, &remains) < 0)
		tell_error(&remains);
	if (number != 0) {
		fprintf(stderr, "nsboxctl: ended by a signal: nothing was made\n");
		return COMMAND_SIGNALLED + number;
	}
	error.err = r < 0 ? -r : 0;
	if (r < 0)
		return tell_error(&error);
	warn_of(place.path);
	printf("%s: ready for \"root = %s\"\n", place.path, place.path);
	return COMMAND_OK;
}

static const kind *choose(const wishes *wish)
{
	if ((wish->from != NULL) + wish->debian + wish->busybox != 1)
		return NULL;
	return wish->from != NULL ? &kind_from : wish->debian ? &kind_debian : &kind_busybox;
}

/* A sentence about options that do not go together; NULL: they do. */
static const char *misfit(const wishes *wish, const kind *of, int operands)
{
	if (operands == 0)
		return "the directory is missing";
	if (of == NULL)
		return "one of --from, --debian and --busybox is needed";
	if (of != &kind_debian && (wish->mirror != NULL || wish->include != NULL))
		return "--mirror and --include are of --debian";
	if (of != &kind_from && wish->max_size != NULL)
		return "--max-size is of --from";
	if (of != &kind_debian && operands > 1)
		return "too many arguments";
	return NULL;
}

int command_mkroot(const command *self, int argc, char **argv)
{
	wishes wish = { .input = -1 };
	const option_row rows[] = { { "from", &wish.from, NULL, NULL },	{ "debian", NULL, &wish.debian, NULL },
				    { "mirror", &wish.mirror, NULL, NULL },	{ "include", &wish.include, NULL, NULL },
				    { "busybox", NULL, &wish.busybox, NULL }, { "max-size", &wish.max_size, NULL, NULL } };
	nsb_error error = { 0 };
	const char *sentence;
	const kind *of;
	int first, status;

	if (options_parse(self, argc, argv, rows, sizeof(rows) / sizeof(rows[0]), 2, &first) != 0)
		return first;
	of = choose(&wish);
	sentence = misfit(&wish, of, argc - first);
	if (sentence != NULL)
		return options_usage(self, sentence);
	wish.suite = argc - first > 1 ? argv[first + 1] : NULL;
	if (ask_outside(&error) < 0 || of->ask(&wish, &error) < 0)
		status = tell_error(&error);
	else
		status = make_root(of, &wish, argv[first]);
	nsb_close(wish.input);
	return status;
}
