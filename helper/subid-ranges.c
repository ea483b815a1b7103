/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/subid-ranges.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/settings.h"
#include "helper/run-program.h"

#define PROGRAM	   NSB_LIBEXECDIR "/nsbox-subid"
#define PATIENCE   4000 /* ms: it may ask a name service */
#define OUTPUT_MAX 8192

/* One line of it: "uid 100000 65536". Beyond 32 bits there are no ids. */
static int parse_line(const char *line, char kind[4], uint64_t *ret_first, uint64_t *ret_last)
{
	unsigned long long first, count;
	char rest;

	if (sscanf(line, "%3s %llu %llu%c", kind, &first, &count, &rest) != 3 ||
	    (strcmp(kind, "uid") != 0 && strcmp(kind, "gid") != 0))
		return -EPROTO;
	*ret_first = first;
	*ret_last = count == 0 || first >= UINT32_MAX ? 0
		    : count > UINT32_MAX - first      ? UINT32_MAX - 1
						      : first + count - 1;
	return 0;
}

/* What both have, if a box fits in and no ordinary account is among them. */
static size_t intersect(const nsb_subid_range *uids, size_t n_uids, const nsb_subid_range *gids, size_t n_gids,
			nsb_subid_range *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < n_uids; i++)
		for (size_t j = 0; j < n_gids; j++) {
			uint32_t first = uids[i].first > gids[j].first ? uids[i].first : gids[j].first;
			uint32_t last = uids[i].last < gids[j].last ? uids[i].last : gids[j].last;

			if (first < NSB_SUBID_COUNT)
				first = NSB_SUBID_COUNT;
			if (last > INT32_MAX)
				last = INT32_MAX;
			if (first <= last && last - first + 1 >= NSB_SUBID_COUNT && n < NSB_SUBID_RANGES_MAX)
				ret[n++] = (nsb_subid_range){ first, last };
		}
	return n;
}

int subid_ranges_parse(const char *text, nsb_subid_range ret[NSB_SUBID_RANGES_MAX])
{
	nsb_subid_range found[2][NSB_SUBID_RANGES_MAX];
	size_t n[2] = { 0 };

	for (const char *at = text; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
		char line[64], kind[4];
		uint64_t first, last;
		size_t length = strcspn(at, "\n"), which;

		if (length >= sizeof(line))
			return -EPROTO;
		memcpy(line, at, length);
		line[length] = '\0';
		if (parse_line(line, kind, &first, &last) < 0)
			return -EPROTO;
		which = kind[0] == 'g';
		if (last >= first && first <= UINT32_MAX && n[which] < NSB_SUBID_RANGES_MAX)
			found[which][n[which]++] = (nsb_subid_range){ (uint32_t)first, (uint32_t)last };
	}
	return (int)intersect(found[0], n[0], found[1], n[1], ret);
}

static int run(const char *user, int64_t deadline, char text[OUTPUT_MAX], nsb_error *error)
{
	NSB_CLOSE int output = memfd_create("nsbox-ranges", MFD_CLOEXEC);
	int64_t end = nsb_now() + PATIENCE;
	char *const arguments[] = { (char *)"nsbox-subid", (char *)user, NULL };
	char said[NSB_WORDS_SAID];
	const run_wish wish = {
		PROGRAM,
		arguments,
		deadline < end ? deadline : end,
		"subid_pool = subuid needs nsbox built with libsubid (configure --with-subid): install that, "
		"or name a range",
		.program = -1,
		.input = -1,
		.output = output,
		.extra = -1,
		.output_max = OUTPUT_MAX
	};
	ssize_t n;
	int r;

	if (output < 0)
		return nsb_error_set(error, errno, "cannot start nsbox-subid: %s", strerror(errno));
	r = run_program(&wish, said, error);
	if (r < 0)
		return r;
	n = r == 0 ? pread(output, text, OUTPUT_MAX - 1, 0) : -1;
	if (n < 0)
		return nsb_error_set(error, EIO,
				     "subid_pool = subuid: nsbox-subid failed: see its messages, /etc/subuid "
				     "and /etc/nsswitch.conf");
	text[n] = '\0';
	return 0;
}

int subid_ranges(const char *user, int64_t deadline, nsb_subid_range ret[NSB_SUBID_RANGES_MAX], nsb_error *error)
{
	char text[OUTPUT_MAX];
	int r = run(user, deadline, text, error);

	if (r < 0)
		return r;
	r = subid_ranges_parse(text, ret);
	return r < 0 ? nsb_error_set(error, r, "subid_pool = subuid: nsbox-subid answered what is no range") : r;
}
