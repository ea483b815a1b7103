/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The network of a box: what the configuration says of it (words), and the record of it (NSB_RUNDIR/boxes/ID/network),
 * by which nsbox-net makes it and takes it away again.
 *
 * The record is written before anything is made, and goes with the entry when all is gone: whoever cleans after a crash
 * knows from it what there may be, and whoever chooses an address which are taken.
 */
#ifndef NSB_NETWORK_H
#define NSB_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"
#include "common/session.h"

/* ---- words of the configuration ---- */

typedef enum nsb_network {
	NSB_NETWORK_LOOPBACK, /* nothing but lo */
	NSB_NETWORK_HOST,     /* none of its own */
	NSB_NETWORK_VETH,     /* an address of its own, routed by the host */
	NSB_NETWORK_BRIDGE,   /* bridge:NAME: a port of a bridge of the host */
	NSB_NETWORK_NETNS,    /* netns:NAME: the namespace that ip-netns(8) keeps by that name */
	NSB_NETWORK_JOIN,     /* join:USER: the namespace of that user's box */
} nsb_network;

/* The kind that the word of the key `network` names; *ret_target (may be NULL): what is behind its colon, else "". The word
 * has been checked. */
nsb_network nsb_network_kind(const char *word, const char **ret_target);

/* Whose traffic a rule is about, besides addresses. */
typedef enum nsb_rule_peer {
	NSB_PEER_ADDRESS, /* outside: neither the host itself nor a box */
	NSB_PEER_HOST,	  /* services of the host, whatever its address */
	NSB_PEER_BOXES,	  /* other boxes */
	NSB_PEER_ANY,	  /* all of the outside: 0.0.0.0/0 and ::/0 */
} nsb_rule_peer;

typedef enum nsb_rule_protocol {
	NSB_PROTOCOL_ANY,
	NSB_PROTOCOL_TCP,
	NSB_PROTOCOL_UDP,
	NSB_PROTOCOL_ICMP
} nsb_rule_protocol;

/* allow and deny: PEER[:PORT[-PORT]][/PROTOCOL], with [ADDRESS] for IPv6 where a port follows. Without a protocol ports are
 * those of TCP and of UDP. */
typedef struct nsb_rule {
	nsb_rule_peer peer;
	nsb_address network;	    /* NSB_PEER_ADDRESS */
	nsb_rule_protocol protocol; /* ICMP: ICMPv6 in IPv6 */
	bool ports;		    /* only these: never with ICMP */
	uint16_t first, last;
} nsb_rule;

/* publish: PORT:PORT[/tcp|/udp]. What comes to that port of the host goes to that port of the box. */
typedef struct nsb_publish {
	uint16_t host, box;
	nsb_rule_protocol protocol; /* TCP, UDP */
} nsb_publish;

/* Each: 0; -EINVAL with a sentence without the key's name. */
int nsb_rule_parse(const char *word, nsb_rule *ret, nsb_error *error);
int nsb_publish_parse(const char *word, nsb_publish *ret, nsb_error *error);
/* "20Mbit", "500kbit", "1Gbit" (powers of 1000), from 8kbit to 1000Gbit, in bits per second. -ERANGE beyond that. */
int nsb_rate_parse(const char *text, int64_t *ret);

/* The `check` of rows in config-keys.c. */
int nsb_check_network(const char *word, nsb_error *error);
int nsb_check_network_pool(const char *word, nsb_error *error); /* NETWORK/PREFIX, from which addresses can be taken */
int nsb_check_rule(const char *word, nsb_error *error);
int nsb_check_publish(const char *word, nsb_error *error);
int nsb_check_dns(const char *word, nsb_error *error); /* host, none, or an address */

/* ---- the record ---- */

#define NSB_LINK_NAME_MAX   15 /* IFNAMSIZ - 1 */
#define NSB_NETWORK_POOLS   8
#define NSB_NETWORK_RULES   64 /* allow and deny together */
#define NSB_NETWORK_PUBLISH 32
#define NSB_RECORD_WORD	    96 /* bytes of a rule's word */
#define NSB_RECORD_TEXT_MAX 16384

/* Only of kinds VETH and BRIDGE: the others have nothing to be made. */
typedef struct nsb_network_record {
	char id[NSB_ID_LENGTH + 1];
	nsb_network kind;
	char bridge[NSB_LINK_NAME_MAX + 1];    /* its name; "" for VETH */
	char link[NSB_LINK_NAME_MAX + 1];      /* the host's end; the box's end is eth0 */
	unsigned char host_mac[6], box_mac[6]; /* of the two ends, unicast, locally administered */
	nsb_address address[2];		       /* of the box, IPv4 and IPv6, with full prefix; family 0: none */
	nsb_address pools[NSB_NETWORK_POOLS];  /* as they are written, for the check against the host's routes */
	size_t n_pools;
	bool nat;
	bool set_forwarding; /* forwarding = set */
	uint64_t rate;	      /* bits per second in each direction; 0: no limit */
	uint64_t connections; /* at once, for each address; 0: no limit */
	/* words, as they were configured */
	char allow[NSB_NETWORK_RULES][NSB_RECORD_WORD], deny[NSB_NETWORK_RULES][NSB_RECORD_WORD];
	size_t n_allow, n_deny;
	char publish[NSB_NETWORK_PUBLISH][NSB_RECORD_WORD];
	size_t n_publish;
} nsb_network_record;

/* As text. 0 (the caller frees *ret), -ENOMEM, -EINVAL for a record that could not be read back. */
int nsb_network_record_format(const nsb_network_record *record, char **ret);

/* From text that nsb_network_record_format() made, byte for byte. 0, -EBADMSG. */
int nsb_network_record_parse(const char *text, size_t size, nsb_network_record *ret);

/* The name that the kernel keeps beside the host's end (IFLA_IFALIAS): by it our links are told from others. */
#define NSB_LINK_ALIAS "nsbox " /* ID */

#endif
