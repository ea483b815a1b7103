/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nsbox-subid USER: the ranges of ids that /etc/subuid and /etc/subgid, or the name service in their place, give to a user;
 * for subid_pool = subuid. One line each on standard output: "uid FIRST COUNT", "gid FIRST COUNT". Exit status 0, also if
 * there are none; 1 with a sentence.
 *
 * A program of its own, because libsubid loads modules of name services. Source: subuid(5).
 */
#include <shadow/subid.h>
#include <stdio.h>
#include <stdlib.h>

/* A user without ranges, and one that nobody knows, have none to print. */
static void print_ranges(const char *kind, const char *user, int (*get)(const char *owner, struct subid_range **ranges))
{
	struct subid_range *ranges = NULL;
	int n = get(user, &ranges);

	for (int i = 0; i < n; i++)
		printf("%s %lu %lu\n", kind, ranges[i].start, ranges[i].count);
	free(ranges);
}

int main(int argc, char **argv)
{
	if (argc != 2 || argv[1][0] == '\0') {
		fprintf(stderr, "usage: nsbox-subid USER\n");
		return 2;
	}
	if (!subid_init("nsbox-subid", stderr)) {
		fprintf(stderr, "nsbox-subid: libsubid cannot be used\n");
		return 1;
	}
	print_ranges("uid", argv[1], subid_get_uid_ranges);
	print_ranges("gid", argv[1], subid_get_gid_ranges);
	return fflush(stdout) != 0 || ferror(stdout);
}
