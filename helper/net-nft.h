/* SPDX-License-Identifier: BSD-3-Clause */
/* One transaction of nftables, and what became of it: libnftables(3). */
#ifndef NSB_HELPER_NET_NFT_H
#define NSB_HELPER_NET_NFT_H

#include <stdbool.h>

typedef struct net_nft_answer {
	bool by_kernel;	   /* the kernel refused; else libnftables did, who knows what is there and what fits */
	char words[256];   /* the first error, one line; "" without one */
	char command[256]; /* the line of the text that it is about, or "" */
} net_nft_answer;

/* Runs commands, a line each, all or none. 0, or the negative errno of the first error: -EIO if there is no number for it.
 * *ret_output (may be NULL): what they print; the caller frees it. */
int net_nft_run(const char *text, char **ret_output, net_nft_answer *answer);

#endif
