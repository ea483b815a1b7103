/* SPDX-License-Identifier: BSD-3-Clause */
/* For test_net_rules.py: net-rules-app up|down|rules RECORD... does that to each in turn, without links, and prints for how many
 * microseconds. Stops at the first failure: its sentence on standard error, the name of its errno on standard output. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <time.h>

#include "common/fd-util.h"
#include "helper/net-rules.h"

static const struct {
	const char *verb;
	int (*run)(const nsb_network_record *record, nsb_error *error);
} verbs[] = { { "up", net_rules_up }, { "down", net_rules_down }, { "rules", net_rules_renew } };

static int run(int (*verb)(const nsb_network_record *record, nsb_error *error), const char *path)
{
	static char text[NSB_RECORD_TEXT_MAX];
	static nsb_network_record record;
	nsb_error error = { 0 };
	struct timespec from, to;
	ssize_t n = nsb_read_text_at(AT_FDCWD, path, text, sizeof(text));
	int r;

	if (n < 0 || nsb_network_record_parse(text, (size_t)n, &record) < 0) {
		fprintf(stderr, "%s: no record\n", path);
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	r = verb(&record, &error);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (r < 0) {
		printf("%s\n", nsb_errno_name(r));
		fprintf(stderr, "%s\n", error.words);
		return 1;
	}
	printf("%ld\n", (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	int r = 2;

	for (size_t v = 0; argc > 2 && v < sizeof(verbs) / sizeof(verbs[0]); v++) {
		if (strcmp(argv[1], verbs[v].verb) != 0)
			continue;
		r = 0;
		for (int i = 2; r == 0 && i < argc; i++)
			r = run(verbs[v].run, argv[i]);
	}
	return r;
}
