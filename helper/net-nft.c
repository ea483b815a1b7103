/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/net-nft.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "helper/fault.h"

#define ERRNO_MAX 134 /* beyond the last one that nf_tables and netlink know */

/* The words of strerror(3) back into the number: libnftables says errors in words only. Longest first, because some begin
 * like others. */
static int number_of(const char *words)
{
	size_t best = 0;
	int r = -EIO;

	for (int err = 1; err < ERRNO_MAX; err++) {
		const char *name = strerror(err);
		size_t length = strlen(name);

		if (length > best && strncmp(words, name, length) == 0) {
			best = length;
			r = -err;
		}
	}
	return r;
}

static void take_line(const char *from, char *ret, size_t size)
{
	size_t length = strcspn(from, "\n");

	snprintf(ret, size, "%.*s", (int)(length < size ? length : size - 1), from);
	nsb_make_printable(ret);
}

/* "PLACE: Error: WORDS", the line that it is about, and a line of carets. */
static int read_error(const char *text, net_nft_answer *answer)
{
	static const char kernel[] = "Could not process rule: ";
	const char *mark = strstr(text, "Error: "), *words = mark == NULL ? text : mark + strlen("Error: ");
	const char *next = strchr(words, '\n');
	int r;

	if (next != NULL)
		take_line(next + 1, answer->command, sizeof(answer->command));
	answer->by_kernel = strncmp(words, kernel, sizeof(kernel) - 1) == 0;
	if (answer->by_kernel)
		words += sizeof(kernel) - 1;
	take_line(words, answer->words, sizeof(answer->words));
	r = number_of(answer->words);
	/* "cache initialization failed: Operation not permitted" */
	if (r == -EIO && strrchr(answer->words, ':') != NULL)
		r = number_of(strrchr(answer->words, ':') + strspn(strrchr(answer->words, ':'), ": "));
	return r;
}

/* From a file in memory: of a text that is no file the library shows the first line, whichever the error is about. */
static int run_in(struct nft_ctx *context, const char *text, char **ret_output, net_nft_answer *answer)
{
	NSB_CLOSE int file = memfd_create("rules", MFD_CLOEXEC);
	char path[32];
	int r = file < 0 ? -errno : nsb_write_all(file, text, strlen(text));

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	/* without these the library prints */
	if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0)
		return -ENOMEM;
	r = nft_run_cmd_from_filename(context, path) == 0 ? 0 : read_error(nft_ctx_get_error_buffer(context), answer);
	if (r == 0 && ret_output != NULL) {
		*ret_output = strdup(nft_ctx_get_output_buffer(context));
		r = *ret_output == NULL ? -ENOMEM : 0;
	}
	return r;
}

int net_nft_run(const char *text, char **ret_output, net_nft_answer *answer)
{
	struct nft_ctx *context;
	int r = fault_at_request();

	*answer = (net_nft_answer){ 0 };
	if (r == 0) {
		context = nft_ctx_new(NFT_CTX_DEFAULT);
		if (context == NULL)
			return -ENOMEM;
		r = run_in(context, text, ret_output, answer);
		nft_ctx_free(context);
	}
	if (r < 0 && answer->words[0] == '\0')
		snprintf(answer->words, sizeof(answer->words), "%s", strerror(-r));
	return r;
}
