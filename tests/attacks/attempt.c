/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attempt [careful] MARKER [NAME...]: makes each attempt (or those named) in a process of its own. Prints a line for each:
 * NAME, the errno's name or "OK" or "SIGNAL n", and what was seen, with tabs between; "done" at the end. MARKER is a path
 * that exists on the host and not in a box. The name is-root is no attempt: the exit status says whether it is root.
 */
#include "attempt.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 20 };

static struct {
	int error;
	char note[200];
} * shared;

const char *marker;
bool careful;

void note(const char *format, ...)
{
	va_list words;

	va_start(words, format);
	vsnprintf(shared->note, sizeof(shared->note), format, words);
	va_end(words);
}

int outcome(long r)
{
	return r < 0 ? errno : 0;
}

pid_t find_process(const char *comm)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	char path[300], name[32] = "";
	pid_t found = 0;

	while (proc != NULL && found == 0 && (entry = readdir(proc)) != NULL) {
		FILE *in;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		in = fopen(path, "re");
		if (in != NULL && fgets(name, sizeof(name), in) != NULL) {
			name[strcspn(name, "\n")] = '\0';
			if (strcmp(name, comm) == 0)
				found = atoi(entry->d_name);
		}
		if (in != NULL)
			fclose(in);
	}
	if (proc != NULL)
		closedir(proc);
	return found;
}

void unshare_mounts(void)
{
	if (unshare(CLONE_NEWNS) == 0)
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* Whether alice may write there. */
static bool writable(const char *directory)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		/* root without capabilities cannot become her, and is nobody special */
		if (geteuid() == 0 && setresgid(USER, USER, USER) == 0 && setresuid(USER, USER, USER) < 0)
			_exit(1);
		_exit(access(directory, W_OK | X_OK) == 0 ? 0 : 1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int on_writable(int (*use)(const char *directory))
{
	static const char *const more[] = { "/tmp", "/var/tmp", "/dev/shm", "/home/alice", "/run/lock", "/var/crash" };
	char line[4096], point[4096];
	FILE *in = fopen("/proc/self/mountinfo", "re");
	int error = ENOENT;

	for (size_t i = 0; error != 0 && i < sizeof(more) / sizeof(more[0]); i++)
		if (writable(more[i]))
			error = use(more[i]);
	while (error != 0 && in != NULL && fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 && writable(point))
			error = use(point);
	if (in != NULL)
		fclose(in);
	return error;
}

static void make(const attempt *one)
{
	pid_t child;
	int status;

	memset(shared, 0, sizeof(*shared));
	shared->error = -1;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(SECONDS);
		shared->error = one->run();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		printf("%s\tNOT TRIED\t%s\n", one->name, strerror(errno));
	else if (WIFSIGNALED(status))
		printf("%s\tSIGNAL %d\t%s\n", one->name, WTERMSIG(status), shared->note);
	else
		printf("%s\t%s\t%s\n", one->name, shared->error == 0 ? "OK" : strerrorname_np(shared->error),
		       shared->note);
}

static bool wanted(const char *name, char **names)
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const attempt *const tables[] = { call_attempts, file_attempts, namespace_attempts, process_attempts,
					  socket_attempts };
	int at = 1;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || argc < 2)
		return 2;
	if (strcmp(argv[at], "careful") == 0) {
		careful = true;
		at++;
	}
	marker = argv[at++];
	if (argv[at] != NULL && strcmp(argv[at], "is-root") == 0)
		return geteuid() == 0 ? 0 : EACCES;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const attempt *one = tables[i]; one->name != NULL; one++)
			if (wanted(one->name, argv + at))
				make(one);
	puts("done");
	return 0;
}
