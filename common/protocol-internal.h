/* SPDX-License-Identifier: BSD-3-Clause */
/* What protocol.c (request, answer) and protocol-words.c (the short words) share: how every message begins. */
#ifndef NSB_PROTOCOL_INTERNAL_H
#define NSB_PROTOCOL_INTERNAL_H

#include <stdint.h>

#define NSB_MAGIC 0x6e736278u /* "nsbx" */

typedef enum nsb_message_type {
	NSB_MESSAGE_REQUEST = 1,
	NSB_MESSAGE_ANSWER,
	NSB_MESSAGE_WORD,
	NSB_MESSAGE_CONTROL
} nsb_message_type;

typedef struct nsb_message_head {
	uint32_t magic;
	uint16_t version;
	uint16_t type;	   /* nsb_message_type */
	uint32_t size;	   /* of the whole packet */
	uint32_t reserved; /* 0 */
} nsb_message_head;

#endif
