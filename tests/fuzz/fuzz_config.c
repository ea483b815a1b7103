/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target of the configuration: the input is one or two files, divided by a line "===".
 *
 * Beside memory faults it looks for broken promises: a configuration without problems must have settings for each of
 * its profiles, and sentences must be one line each. By hand:
 *
 *   clang -g -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_config.c common/...
 *   ./fuzz_config tests/fuzz/corpus/config
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/expand.h"
#include "common/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static nsb_group groups[] = { { 1000, (char *)"alice" }, { 27, (char *)"sudo" }, { 4000, NULL } };

static const nsb_session session = {
	.user = (char *)"alice",
	.service = (char *)"sshd",
	.tty = (char *)"ssh",
	.rhost = (char *)"::ffff:10.1.2.3",
	.uid = 1001,
	.gid = 1000,
	.home = (char *)"/home/alice",
	.groups = groups,
	.n_groups = 3,
	.id = "k3j5h7g9f1",
	.host_name = (char *)"host",
};

static void must(int holds)
{
	if (!holds)
		abort();
}

static void expand(const char *text, bool as_path)
{
	char *expanded = NULL;

	must(nsb_expand(text, &session, as_path, &expanded, NULL) == 0);
	free(expanded);
}

static void expand_list(const nsb_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		expand(list->items[i], true);
}

/* NSB_INFINITY, a share of the machine in hundredths of a percent, or a number of bytes. */
static void check_size(int64_t size, int64_t least)
{
	must(size >= -10000 && (size < 0 || size >= 1024 * 1024 || size == least));
}

static void check_cpu(int64_t cpu)
{
	must(cpu == NSB_INFINITY || (cpu >= 10000 && cpu <= 10000000000));
}

/* What the plan takes for granted: a device and at least one limit, blanks between and no others. */
static void check_io(const char *item)
{
	const char *at = strchr(item, ' ');

	must(item[0] == '/' && at != NULL);
	for (; at != NULL; at = strchr(at + 1, ' ')) {
		const char *number = strchr(at, '=');

		must(number != NULL && number[1] >= '1' && number[1] <= '9');
	}
}

static void check_limits(const nsb_settings *settings)
{
	must(settings->sessions_max >= 1 && settings->runtime_max >= 1);
	must(settings->pids_max >= 1 && settings->user_pids_max >= 1);
	check_size(settings->memory_max, NSB_INFINITY);
	check_size(settings->memory_high, NSB_INFINITY);
	check_size(settings->swap_max, 0);
	check_size(settings->user_memory_max, NSB_INFINITY);
	check_cpu(settings->cpu_max);
	check_cpu(settings->user_cpu_max);
	must(settings->cpu_weight >= 1 && settings->cpu_weight <= 10000);
	must(settings->io_weight >= 1 && settings->io_weight <= 10000);
	must(strlen(settings->cpuset) <= 1024);
	must(strspn(settings->cpuset, "0123456789,-") == strlen(settings->cpuset));
	for (size_t i = 0; i < settings->io_max.n; i++)
		check_io(settings->io_max.items[i]);
}

static void try_profile(const nsb_config *config, const nsb_section *profile, int good)
{
	nsb_settings settings = { 0 };
	nsb_error error = { 0 };
	char name[64];
	int r;

	r = nsb_config_settings(config, profile, &settings, &error);
	must(r == 0 || (!good && r == -EBADMSG && error.words[0] != '\0'));
	if (r < 0)
		return;
	nsb_make_hostname(settings.hostname, name);
	must(name[0] != '\0' && strlen(name) <= 63);
	expand(settings.hostname, false);
	expand(settings.domainname, false);
	expand(settings.root, true);
	expand_list(&settings.bind);
	expand_list(&settings.bind_ro);
	expand_list(&settings.bind_optional);
	expand_list(&settings.tmpfs);
	expand_list(&settings.mask);
	check_limits(&settings);
	must(settings.stop_timeout >= 0 && settings.stop_timeout <= 300000);
	must(settings.services.n > 0 && settings.cgroup_parent[0] != '/');
	nsb_settings_done(&settings);
}

static void choose(const nsb_config *config, int good)
{
	nsb_choice choice = { 0 };
	int r = nsb_profile_choose(config, &session, NULL, &choice, NULL);

	must(r == 0 || (!good && r == -EBADMSG));
	for (size_t i = 0; i < choice.n_verdicts; i++)
		must(choice.verdicts[i].why[0] != '\0' && strchr(choice.verdicts[i].why, '\n') == NULL);
	nsb_choice_done(&choice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char divider[] = "\n===\n";
	const char *text = (const char *)data;
	const char *second = memmem(text, size, divider, strlen(divider));
	size_t first_size = second != NULL ? (size_t)(second - text) : size;
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	int good;

	must(nsb_config_parse("a.conf", text, first_size, &config, &problems) == 0);
	if (second != NULL) {
		second += strlen(divider);
		must(nsb_config_parse("b.conf", second, size - (size_t)(second - text), &config, &problems) == 0);
	}
	must(nsb_config_finish(config, &problems) == 0);
	good = problems.n + problems.dropped == 0;
	for (size_t i = 0; i < problems.n; i++)
		must(problems.lines[i][0] != '\0' && strchr(problems.lines[i], '\n') == NULL);
	for (size_t i = 0; i < nsb_config_n_profiles(config); i++)
		try_profile(config, nsb_config_profile(config, i), good);
	choose(config, good);
	nsb_problems_done(&problems);
	nsb_config_free(config);
	return 0;
}
