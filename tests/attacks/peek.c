/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peek SECONDS: tries to look into and take hold of every process in /proc, over and over. Prints "ready", and at the end
 * one line for each different success: "own|foreign|gone COMM WAY". Foreign: not all four uids are ours. Name and uids are
 * those of before and after: a process that became ours in between was no prey, of one that ended since it is not known.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char found[512][96];
static size_t n_found;

static bool who(const char *pid, char comm[32])
{
	char path[64], line[256];
	unsigned ids[4] = { ~0u, ~0u, ~0u, ~0u };
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	status = fopen(path, "re");
	strcpy(comm, "gone");
	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		if (sscanf(line, "Name:\t%31[^\n]", comm) != 1)
			sscanf(line, "Uid:\t%u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]);
	if (status == NULL)
		return true;
	fclose(status);
	for (int i = 0; i < 4; i++)
		if (ids[i] != getuid())
			return false;
	return true;
}

static void hit(const char *pid, bool was_own, const char *comm, const char *way)
{
	char line[96], now[32];
	bool own = who(pid, now);

	if (strcmp(now, "gone") == 0)
		snprintf(line, sizeof(line), "gone %s %s", comm, way);
	else
		snprintf(line, sizeof(line), "%s %s %s", was_own || own ? "own" : "foreign", now, way);
	for (size_t i = 0; i < n_found; i++)
		if (strcmp(found[i], line) == 0)
			return;
	if (n_found < sizeof(found) / sizeof(found[0]))
		strcpy(found[n_found++], line);
}

static void look(const char *pid)
{
	static const char *const links[] = { "exe", "cwd", "root", "ns/mnt", "ns/pid", "ns/net" };
	static const struct {
		const char *name;
		int flags;
	} files[] = { { "mem", O_RDWR }, { "mem", O_RDONLY }, { "environ", O_RDONLY }, { "maps", O_RDONLY },
		      { "fd", O_RDONLY | O_DIRECTORY }, { "map_files", O_RDONLY | O_DIRECTORY }, { "root/.", O_PATH },
		      { "cwd/..", O_PATH }, { "exe", O_RDONLY }, { "fd/0", O_PATH }, { "fd/3", O_RDWR }, { "pagemap", O_RDONLY },
		      { "ns/mnt", O_RDONLY }, { "oom_score_adj", O_WRONLY }, { "task/../mem", O_RDONLY } };
	char path[96], buffer[256], comm[32];
	bool own = who(pid, comm);
	int fd;

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, links[i]);
		if (readlink(path, buffer, sizeof(buffer)) > 0)
			hit(pid, own, comm, links[i]);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, files[i].name);
		/* what is checked at open only when a process has memory is checked by reading */
		if ((fd = open(path, files[i].flags | O_CLOEXEC)) < 0)
			continue;
		if (files[i].flags != O_RDONLY || read(fd, buffer, 1) > 0 || strcmp(files[i].name, "exe") == 0 ||
		    strncmp(files[i].name, "ns", 2) == 0)
			hit(pid, own, comm, files[i].name);
		close(fd);
	}
}

static void take(const char *pid)
{
	struct iovec here = { &(char[8]){ 0 }, 8 }, there = { (void *)0x400000, 8 };
	char comm[32];
	bool own = who(pid, comm);
	pid_t number = atoi(pid);

	if (process_vm_readv(number, &here, 1, &there, 1, 0) > 0)
		hit(pid, own, comm, "process_vm_readv");
	if (ptrace(PTRACE_SEIZE, number, 0, 0) < 0)
		return;
	hit(pid, own, comm, "PTRACE_SEIZE");
	ptrace(PTRACE_INTERRUPT, number, 0, 0);
	waitpid(number, NULL, __WALL);
	ptrace(PTRACE_DETACH, number, 0, 0);
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
	char self[16];

	snprintf(self, sizeof(self), "%d", getpid());
	puts("ready");
	fflush(stdout);
	do {
		DIR *proc = opendir("/proc");
		const struct dirent *entry;

		while (proc != NULL && (entry = readdir(proc)) != NULL)
			if (isdigit((unsigned char)entry->d_name[0]) && strcmp(entry->d_name, self) != 0) {
				look(entry->d_name);
				take(entry->d_name);
			}
		if (proc != NULL)
			closedir(proc);
	} while (time(NULL) < end);
	for (size_t i = 0; i < n_found; i++)
		puts(found[i]);
	return 0;
}
