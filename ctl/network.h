/* SPDX-License-Identifier: BSD-3-Clause */
/* What nsboxctl tells about the network of a box. Read-only. */
#ifndef NSB_CTL_NETWORK_H
#define NSB_CTL_NETWORK_H

#include <json-c/json.h>
#include <stdint.h>

#include "common/network.h"
#include "common/registry.h"

#define NETWORK_MODE_SIZE 300

typedef struct network_facts {
	char mode[NETWORK_MODE_SIZE]; /* a word of the key `network`; "" where it is not known */
	nsb_network_record *record;   /* NULL: the box has no link */
	/* by the box, since it was made; UINT64_MAX: the link is not there */
	uint64_t sent_bytes, sent_packets, received_bytes, received_packets;
} network_facts;

/* Reads what there is. `plan`: its text, NULL if it is not known. The caller calls network_facts_done(). */
void network_facts_read(const nsb_entry *entry, const char *plan, network_facts *ret);
void network_facts_done(network_facts *facts);

/* "20Mbit" */
#define NETWORK_RATE_SIZE 32
void network_rate_text(uint64_t rate, char buffer[NETWORK_RATE_SIZE]);

/* The object `network` of list and show. */
json_object *network_describe(const network_facts *facts);

#endif
