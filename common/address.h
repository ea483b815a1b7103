/* SPDX-License-Identifier: BSD-3-Clause */
/* IP addresses and networks. IPv4-mapped IPv6 addresses are taken for the IPv4 addresses that they mean. */
#ifndef NSB_ADDRESS_H
#define NSB_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define NSB_ADDRESS_SIZE 128 /* more than any text of an address and a prefix has */

typedef struct nsb_address {
	int family;		 /* AF_INET, AF_INET6; 0: none */
	unsigned char bytes[16]; /* network order; 4 of them for AF_INET, the rest 0 */
	unsigned prefix;	 /* bits that count: 32 or 128 for an address */
} nsb_address;

/* ADDRESS, without a prefix. False: it is none. */
bool nsb_address_parse(const char *text, nsb_address *ret);

/* ADDRESS or ADDRESS/PREFIX, without bits beyond the prefix. 0, -EINVAL with a sentence. */
int nsb_network_parse(const char *text, nsb_address *ret, nsb_error *error);

/* The width of an address of that family in bits. */
unsigned nsb_address_width(int family);

/* As text: ADDRESS, or ADDRESS/PREFIX where the prefix is shorter than an address. */
void nsb_address_text(const nsb_address *address, char buffer[NSB_ADDRESS_SIZE]);

/* Whether `address` lies in `network`, whatever its own prefix. */
bool nsb_network_has(const nsb_address *network, const nsb_address *address);

/* Whether one address lies in both. */
bool nsb_networks_overlap(const nsb_address *a, const nsb_address *b);

/* The address that is number `index` of the network, from 0. The caller sees to it that the network is so large. */
nsb_address nsb_network_at(const nsb_address *network, uint64_t index);

#endif
