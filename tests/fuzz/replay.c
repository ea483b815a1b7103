/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz target over files that exist already: replay_TARGET [DIRECTORY...], without one tests/fuzz/corpus/TARGET. It
 * is linked with the target instead of libFuzzer, so that `make check` needs no clang. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *directory, const char *name)
{
	char path[4096];
	uint8_t *data, *exact;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "re");
	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	data = malloc(FILE_MAX);
	size = data != NULL ? fread(data, 1, FILE_MAX, file) : FILE_MAX;
	if (size == FILE_MAX || ferror(file)) {
		fprintf(stderr, "%s: cannot be read, or is too large\n", path);
		fclose(file);
		free(data);
		return -1;
	}
	fclose(file);
	/* exactly as long as the input: one byte too far is seen by valgrind and the sanitizers */
	exact = malloc(size > 0 ? size : 1);
	if (exact == NULL) {
		free(data);
		return -1;
	}
	memcpy(exact, data, size);
	free(data);
	/* told before: if the target dies, the last line says of what */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

/* The number of files; -1 if one could not be read. */
static int replay_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (directory == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	while (n >= 0 && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		n = replay_file(path, entry->d_name) < 0 ? -1 : n + 1;
	}
	closedir(directory);
	return n;
}

/* By the name of the program: libtool may put "lt-" before it. */
static const char *own_directory(const char *program)
{
	static char path[4096];
	const char *srcdir = getenv("srcdir"); /* set by automake's test driver */
	const char *name = strstr(program, "replay_");

	for (const char *next = name; next != NULL; next = strstr(next + 1, "replay_"))
		name = next;
	if (name == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".", name + strlen("replay_"));
	return path;
}

int main(int argc, char **argv)
{
	char *own[] = { argv[0], (char *)own_directory(argv[0]) };
	int sum = 0;

	if (argc == 1 && own[1] != NULL) {
		argc = 2;
		argv = own;
	}

	for (int i = 1; i < argc; i++) {
		int n = replay_directory(argv[i]);

		if (n <= 0) {
			fprintf(stderr, "%s: no inputs\n", argv[i]);
			return EXIT_FAILURE;
		}
		sum += n;
	}
	if (sum == 0) {
		fprintf(stderr, "usage: %s DIRECTORY...\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("%d inputs\n", sum);
	return EXIT_SUCCESS;
}
