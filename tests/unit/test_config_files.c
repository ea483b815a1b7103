/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the configuration comes from, who may own it, and that a fault of the system is never taken for a fault of the
 * configuration. Linked with --wrap=open,--wrap=read,--wrap=readdir beside what alloc-fail.h needs.
 *
 * As root the files lie in /run, because symbolic links are followed only where root alone can change the directories.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/config.h"
#include "common/string-util.h"
#include "tests/unit/alloc-fail.h"

#define STRANGER 1234

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
struct dirent *__real_readdir(DIR *directory);
struct dirent *__wrap_readdir(DIR *directory);

static int read_errno; /* of every read(2) after the first good_reads; 0: it works */
static unsigned good_reads;
static int readdir_errno; /* of every readdir(3) */
static unsigned ghosts;	  /* entries that readdir(3) tells and that do not exist */

static const char *swap_from, *swap_to; /* renamed right before a file is opened with its links followed */

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (swap_from != NULL && (flags & (O_NOFOLLOW | O_PATH)) == 0) {
		rename(swap_from, swap_to);
		swap_from = NULL;
	}
	return __real_open(path, flags, mode);
}

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	if (read_errno == 0 || good_reads > 0) {
		good_reads -= good_reads > 0;
		return __real_read(fd, buffer, size);
	}
	errno = read_errno;
	return -1;
}

struct dirent *__wrap_readdir(DIR *directory)
{
	static struct dirent ghost = { .d_name = "ghost.conf" };

	if (ghosts > 0) {
		ghosts--;
		return &ghost;
	}
	if (readdir_errno == 0)
		return __real_readdir(directory);
	errno = readdir_errno;
	return NULL;
}

static char base[64], main_file[100], dropins[128], vendor[128];

static const char *path_of(const char *name)
{
	static char path[4][512];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", base, name);
	return path[turn];
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
}

static void write_dropin(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dropins, name);
	write_file(path, text);
}

static void profile_file(const char *path, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "[profile %s]\nusers = a\n", name);
	write_file(path, text);
}

static void profile_dropin(const char *file, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dropins, file);
	profile_file(path, name);
}

static int make_base(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "%s/nsbox-test-XXXXXX", geteuid() == 0 ? "/run" : "/tmp");
	if (mkdtemp(base) == NULL)
		return -1;
	chmod(base, 0755);
	snprintf(main_file, sizeof(main_file), "%s/nsbox.conf", base);
	snprintf(dropins, sizeof(dropins), "%s/nsbox.conf.d", base);
	snprintf(vendor, sizeof(vendor), "%s/vendor.conf", base);
	return mkdir(dropins, 0755);
}

static void empty_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(dirfd(directory), entry->d_name, 0) < 0)
			unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
	if (directory != NULL)
		closedir(directory);
}

static int remove_base(void **state)
{
	(void)state;
	empty_directory(dropins);
	empty_directory(base);
	return rmdir(base);
}

static int load(nsb_config **config, nsb_problems *problems, nsb_error *error)
{
	return nsb_config_load_owned(main_file, dropins, vendor, geteuid(), config, problems, error);
}

/* The names of the profiles in their order. */
static void expect_profiles(const char *wanted)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_error error = { 0 };
	char got[256] = "";

	if (load(&config, &problems, &error) != 0)
		fail_msg("%s", error.words);
	assert_int_equal(problems.n, 0);
	for (size_t i = 0; i < nsb_config_n_profiles(config); i++) {
		strcat(got, nsb_config_profile(config, i)->name);
		strcat(got, " ");
	}
	assert_string_equal(got, wanted);
	nsb_config_free(config);
}

/* The only problem; `sentence` follows "FILE: ". */
static void expect_fault(const char *path, const char *sentence)
{
	char line[NSB_WORDS_MAX];
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_error error = { 0 };

	snprintf(line, sizeof(line), "%s: %s", path, sentence);
	assert_int_equal(load(&config, &problems, &error), -EBADMSG);
	assert_null(config);
	for (size_t i = 1; i < problems.n; i++)
		print_error("too much: %s\n", problems.lines[i]);
	assert_int_equal(problems.n, 1);
	assert_string_equal(problems.lines[0], line);
	assert_string_equal(error.words, line);
	assert_int_equal(error.err, EBADMSG);
	nsb_problems_done(&problems);
}

/* A fault of the system: that errno, no problem. */
static void expect_errno(int wanted)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_error error = { 0 };

	assert_int_equal(load(&config, &problems, &error), -wanted);
	assert_null(config);
	assert_int_equal(problems.n + problems.dropped, 0);
	assert_int_equal(error.err, wanted);
	assert_true(error.words[0] != '\0');
}

static void missing(void **state)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_error error = { 0 };
	char *line;

	(void)state;
	expect_fault(main_file,
		     "there is no configuration: neither this file nor a drop-in nor the vendor's file exists");
	assert_int_equal(rmdir(dropins), 0);
	expect_fault(main_file,
		     "there is no configuration: neither this file nor a drop-in nor the vendor's file exists");
	assert_int_equal(nsb_config_load(main_file, &config, &problems, &error), -EBADMSG);
	assert_int_equal(problems.n, 1);
	/* what was there before is neither counted nor repeated */
	assert_int_equal(nsb_config_load(path_of("other"), &config, &problems, NULL), -EBADMSG);
	assert_int_equal(problems.n, 2);
	line = nsb_format("%s: there is no such file", path_of("other"));
	assert_string_equal(problems.lines[1], line);
	free(line);
	profile_file(main_file, "a");
	memset(&error, 0, sizeof(error));
	assert_int_equal(nsb_config_load_owned(main_file, NULL, NULL, geteuid(), &config, &problems, &error), 0);
	assert_int_equal(problems.n, 2);
	nsb_config_free(config);
	nsb_problems_done(&problems);
	assert_int_equal(mkdir(dropins, 0755), 0);
}

static void order(void **state)
{
	(void)state;
	profile_file(main_file, "main");
	expect_profiles("main ");
	profile_dropin("a.conf", "low");
	profile_dropin("A.conf", "up");
	profile_dropin("10.conf", "ten");
	profile_dropin("9.conf", "nine");
	profile_dropin("\xc3\xa4.conf", "last");
	write_dropin(".hidden.conf", "junk");
	write_dropin(".conf", "junk");
	write_dropin("x.conf~", "junk");
	write_dropin("x.conf.bak", "junk");
	write_dropin("README", "junk");
	expect_profiles("ten nine up low last main ");
}

static void vendor_file(void **state)
{
	(void)state;
	profile_file(vendor, "vendor");
	expect_profiles("vendor ");
	profile_dropin("a.conf", "dropin");
	expect_profiles("dropin vendor ");
	write_file(main_file, "");
	expect_profiles("dropin ");
	unlink(vendor);
	unlink(main_file);
	expect_profiles("dropin ");
	/* a file that is there but bad is not replaced by the vendor's */
	profile_file(vendor, "vendor");
	write_file(main_file, "[profile dropin]\nusers = a\n");
	{
		char *line = nsb_format("profile \"dropin\" is defined already in %s/a.conf:1", dropins);
		char *at = nsb_format("%s:1", main_file);

		expect_fault(at, line);
		free(line);
		free(at);
	}
}

static void types(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(mkfifo(main_file, 0644), 0);
	expect_fault(main_file, "it is not a regular file");
	unlink(main_file);
	assert_int_equal(mkdir(main_file, 0755), 0);
	expect_fault(main_file, "it is not a regular file");
	rmdir(main_file);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", main_file);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	expect_fault(main_file, "it cannot be opened: No such device or address");
	unlink(main_file);
	profile_file(main_file, "main");
	rmdir(dropins);
	write_file(dropins, "");
	expect_fault(dropins, "it is not a directory");
	unlink(dropins);
	/* the place of the drop-ins is below a file */
	snprintf(dropins + strlen(dropins), 8, "/x");
	write_file(path_of("nsbox.conf.d"), "");
	expect_fault(dropins, "it cannot be opened: Not a directory");
	dropins[strlen(dropins) - 2] = '\0';
	unlink(dropins);
	assert_int_equal(mkdir(dropins, 0755), 0);
}

static void modes(void **state)
{
	(void)state;
	profile_file(main_file, "main");
	chmod(main_file, 0664);
	expect_fault(main_file, "group or others may write it (mode 0664): chmod go-w");
	chmod(main_file, 0602);
	expect_fault(main_file, "group or others may write it (mode 0602): chmod go-w");
	chmod(main_file, 0600);
	chmod(dropins, 01777);
	expect_fault(dropins, "group or others may write it (mode 1777): chmod go-w");
	chmod(dropins, 0700);
	expect_profiles("main ");
}

static void owners(void **state)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;

	(void)state;
	if (geteuid() != 0)
		skip();
	profile_file(main_file, "main");
	assert_int_equal(chown(main_file, STRANGER, 0), 0);
	expect_fault(main_file, "it belongs to uid 1234, not to root: whoever owns it could change it");
	chmod(main_file, 0646);
	assert_int_equal(load(&config, &problems, NULL), -EBADMSG);
	assert_int_equal(problems.n, 2);
	nsb_problems_done(&problems);
	/* the group does not matter as long as it cannot write */
	chmod(main_file, 0644);
	assert_int_equal(chown(main_file, 0, STRANGER), 0);
	expect_profiles("main ");
	assert_int_equal(chown(dropins, STRANGER, 0), 0);
	/* what such a directory holds is not even looked at */
	write_dropin("a.conf", "junk");
	expect_fault(dropins, "it belongs to uid 1234, not to root: whoever owns it could change it");
	assert_int_equal(chown(dropins, 0, 0), 0);
	profile_dropin("a.conf", "a");
	assert_int_equal(chown(path_of("nsbox.conf.d/a.conf"), STRANGER, 0), 0);
	expect_fault(path_of("nsbox.conf.d/a.conf"),
		     "it belongs to uid 1234, not to root: whoever owns it could change it");
}

static void sizes(void **state)
{
	char *text = malloc(NSB_CONFIG_FILE_MAX + 2);

	(void)state;
	memset(text, '#', NSB_CONFIG_FILE_MAX + 1);
	text[NSB_CONFIG_FILE_MAX + 1] = '\0';
	write_file(main_file, text);
	expect_fault(main_file, "it is larger than 1048576 bytes");
	text[NSB_CONFIG_FILE_MAX] = '\0';
	write_file(main_file, text);
	expect_profiles("");
	free(text);
}

static void good_links(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	profile_file(path_of("real"), "real");
	assert_int_equal(symlink(path_of("real"), path_of("hop")), 0);
	assert_int_equal(symlink("hop", main_file), 0);
	expect_profiles("real ");
	profile_file(path_of("other"), "other");
	assert_int_equal(symlink("../other", path_of("nsbox.conf.d/a.conf")), 0);
	expect_profiles("other real ");
	/* the directory itself may be a link as well */
	assert_int_equal(rename(dropins, path_of("elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", dropins), 0);
	expect_profiles("other real ");
	unlink(dropins);
	assert_int_equal(rename(path_of("elsewhere"), dropins), 0);
	/* what it leads to is held to the same rules */
	chmod(path_of("real"), 0666);
	{
		char *sentence =
			nsb_format("the symbolic link cannot be followed: %s can be changed by others than root "
				   "(owner 0, mode 0666): chown root and chmod go-w",
				   path_of("real"));

		expect_fault(main_file, sentence);
		free(sentence);
	}
}

static void expect_unfollowed(const char *why)
{
	char *sentence = nsb_format("the symbolic link cannot be followed: %s", why);

	expect_fault(main_file, sentence);
	free(sentence);
	unlink(main_file);
}

static void bad_links(void **state)
{
	char foreign[] = "/tmp/nsbox-test-XXXXXX", *why;
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	/* a link that leads to nothing is not "no file": the vendor's must not step in */
	profile_file(vendor, "vendor");
	assert_int_equal(symlink("nowhere", main_file), 0);
	why = nsb_format("cannot open %s", main_file);
	expect_unfollowed(why);
	free(why);
	assert_int_equal(symlink("nsbox.conf", main_file), 0);
	why = nsb_format("%s: too many symbolic links", main_file);
	expect_unfollowed(why);
	free(why);
	/* through a directory that everybody can write, although file and link are root's */
	fd = mkstemp(foreign);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
	assert_int_equal(symlink(foreign, main_file), 0);
	assert_int_equal(load(&config, &problems, NULL), -EBADMSG);
	assert_non_null(strstr(problems.lines[0], "/tmp can be changed by others than root"));
	nsb_problems_done(&problems);
	unlink(main_file);
	unlink(foreign);
	/* a stranger's link */
	assert_int_equal(symlink("vendor.conf", main_file), 0);
	assert_int_equal(lchown(main_file, STRANGER, STRANGER), 0);
	why = nsb_format("%s is a symbolic link that somebody other than root could have made", main_file);
	expect_unfollowed(why);
	free(why);
	/* relative paths are for plain files */
	assert_int_equal(symlink("vendor.conf", main_file), 0);
	assert_int_equal(chdir(base), 0);
	assert_int_equal(nsb_config_load("nsbox.conf", &config, &problems, NULL), -EBADMSG);
	assert_string_equal(problems.lines[0], "nsbox.conf: a symbolic link must be given by its absolute path");
	nsb_problems_done(&problems);
	assert_int_equal(nsb_config_load("vendor.conf", &config, &problems, NULL), 0);
	nsb_config_free(config);
	assert_int_equal(chdir("/"), 0);
}

/* root changes the file between the look at it and its opening: neither the old nor the new one is believed */
static void swapped_link(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	profile_file(path_of("real"), "real");
	profile_file(path_of("other"), "other");
	assert_int_equal(symlink("real", main_file), 0);
	swap_to = path_of("real");
	swap_from = path_of("other");
	expect_errno(EAGAIN);
	expect_profiles("other ");
	/* gone: not "no file" */
	swap_to = path_of("gone");
	swap_from = path_of("real");
	expect_errno(ENOENT);
}

static void all_files_at_once(void **state)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_error error = { 0 };
	char *line;

	(void)state;
	write_dropin("a.conf", "junk\n");
	assert_int_equal(mkfifo(path_of("nsbox.conf.d/b.conf"), 0644), 0);
	write_file(main_file, "[profile p]\nbnd = x\ninherits = q\n");
	assert_int_equal(load(&config, &problems, &error), -EBADMSG);
	assert_int_equal(problems.n, 5);
	assert_non_null(strstr(problems.lines[0], "a.conf:1: \"junk\""));
	assert_non_null(strstr(problems.lines[1], "b.conf: it is not a regular file"));
	assert_non_null(strstr(problems.lines[2], "nsbox.conf:2: there is no key \"bnd\""));
	assert_non_null(strstr(problems.lines[3], "nsbox.conf:1: profile \"p\""));
	assert_non_null(strstr(problems.lines[4], "nsbox.conf:3: inherits"));
	line = nsb_format("%s (and more)", problems.lines[0]);
	assert_string_equal(error.words, line);
	free(line);
	nsb_problems_done(&problems);
}

static void ghosts_and_floods(void **state)
{
	(void)state;
	profile_file(main_file, "main");
	/* gone between reading the directory and opening the file */
	ghosts = 3;
	expect_profiles("main ");
	ghosts = NSB_CONFIG_DROPINS_MAX + 1;
	expect_fault(dropins, "it holds more than 1000 files");
	ghosts = 0;
}

/* What a hostile caller can bring about. */
static void system_faults(void **state)
{
	static const int errnos[] = { EIO, ENOMEM, EMFILE };
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_error error = { 0 };

	(void)state;
	profile_file(main_file, "main");
	profile_dropin("a.conf", "a");
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
		read_errno = errnos[i];
		expect_errno(errnos[i]);
		read_errno = 0;
		readdir_errno = errnos[i];
		expect_errno(errnos[i]);
		readdir_errno = 0;
	}
	/* even where the file read before is faulty: the caller may have brought about this one fault, and that counts
	 */
	write_dropin("a.conf", "junk");
	read_errno = EIO;
	good_reads = 2; /* its text and its end */
	assert_int_equal(load(&config, &problems, &error), -EIO);
	assert_int_equal(problems.n, 1);
	assert_int_equal(error.err, EIO);
	nsb_problems_done(&problems);
	good_reads = 0;
	read_errno = 0;
}

static void descriptors_run_out(void **state)
{
	struct rlimit old, low;
	int failures = 0, first, r;
	nsb_config *config = NULL;

	(void)state;
	if (geteuid() == 0) {
		profile_file(path_of("real"), "main");
		assert_int_equal(symlink("real", main_file), 0);
	} else {
		profile_file(main_file, "main");
	}
	profile_dropin("a.conf", "a");
	first = open("/", O_PATH | O_CLOEXEC);
	close(first);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (;;) {
		nsb_problems problems = { 0 };
		nsb_error error = { 0 };

		low = (struct rlimit){ (rlim_t)(first + failures), old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		r = load(&config, &problems, &error);
		setrlimit(RLIMIT_NOFILE, &old);
		assert_int_equal(problems.n + problems.dropped, 0);
		if (r == 0)
			break;
		assert_int_equal(r, -EMFILE);
		assert_int_equal(error.err, EMFILE);
		failures++;
	}
	assert_int_equal(nsb_config_n_profiles(config), 2);
	assert_true(failures >= 1);
	nsb_config_free(config);
}

static void no_access(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	profile_file(main_file, "main");
	chmod(main_file, 0600);
	assert_int_equal(seteuid(STRANGER), 0);
	expect_errno(EACCES);
	assert_int_equal(seteuid(0), 0);
}

static void no_memory(void **state)
{
	nsb_config *config = NULL;
	int n, r;

	(void)state;
	profile_file(main_file, "main");
	profile_dropin("a.conf", "a");
	profile_dropin("b.conf", "b");
	for (n = 0;; n++) {
		nsb_problems problems = { 0 };
		nsb_error error = { 0 };

		alloc_fail_at(n);
		r = load(&config, &problems, &error);
		assert_int_equal(problems.n + problems.dropped, 0);
		if (!alloc_fail_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(error.err, ENOMEM);
	}
	assert_int_equal(r, 0);
	assert_true(n > 30);
	nsb_config_free(config);
	/* a problem that there is no memory to tell is one all the same */
	write_file(main_file, "junk");
	unlink(path_of("nsbox.conf.d/a.conf"));
	unlink(path_of("nsbox.conf.d/b.conf"));
	for (n = 0;; n++) {
		nsb_problems problems = { 0 };
		nsb_error error = { 0 };

		alloc_fail_at(n);
		r = load(&config, &problems, &error);
		assert_true(r == -ENOMEM || r == -EBADMSG);
		if (problems.dropped > 0) {
			assert_int_equal(r, -EBADMSG);
			assert_string_equal(error.words, "the configuration is faulty");
		}
		nsb_problems_done(&problems);
		if (!alloc_fail_end())
			break;
	}
}

static void standard_places(void **state)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_error error = { 0 };
	int r = nsb_config_load(NULL, &config, &problems, &error);

	(void)state;
	/* whatever is installed on this machine */
	assert_true(r == 0 || (r == -EBADMSG && problems.n > 0) || r == -EACCES);
	assert_int_equal(r == 0, config != NULL);
	nsb_config_free(config);
	nsb_problems_done(&problems);
	profile_file(main_file, "main");
	r = nsb_config_load_from(main_file, dropins, vendor, &config, &problems, &error);
	assert_int_equal(r, geteuid() == 0 ? 0 : -EBADMSG);
	if (r == 0)
		nsb_config_free(config);
	nsb_problems_done(&problems);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(missing),
		TEST(order),
		TEST(vendor_file),
		TEST(types),
		TEST(modes),
		TEST(owners),
		TEST(sizes),
		TEST(good_links),
		TEST(bad_links),
		TEST(swapped_link),
		TEST(all_files_at_once),
		TEST(ghosts_and_floods),
		TEST(system_faults),
		TEST(descriptors_run_out),
		TEST(no_access),
		TEST(no_memory),
		TEST(standard_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
