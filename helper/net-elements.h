/* SPDX-License-Identifier: BSD-3-Clause */
/* A box as elements of the tables of net-table.h: a pure function of its record. The texts are commands for nft(8), one a line. */
#ifndef NSB_HELPER_NET_ELEMENTS_H
#define NSB_HELPER_NET_ELEMENTS_H

#include "common/network.h"

typedef struct net_elements {
	char *make;   /* adds all; EEXIST if one of the box's addresses is there already */
	char *renew;  /* adds what is missing */
	char *published; /* "SET\tKEY\tADDRESS . PORT", a line each: a port may be another box's, so it is looked at first */
	char *shut;   /* removes all but what `forget` removes: then whatever comes from or goes to its link is dropped */
	char *forget; /* removes the others: at the end, where they are removed one by one */
	char *rest;   /* adds the addresses to those that rest, from now on */
	char *wake;   /* removes them there */
} net_elements;

/* 0, -ENOMEM, -EINVAL for a record with words that are none. The caller empties *ret by net_elements_free(). */
int net_elements_make(const nsb_network_record *record, net_elements *ret);
void net_elements_free(net_elements *elements);

/* The rules of one direction. */
typedef struct net_reach {
	nsb_rule_peer peer;  /* ANY is an ADDRESS with prefix 0 */
	nsb_address network;
	int protocol;	     /* as in IP's header; 0: all */
	unsigned first, last; /* ports; all: 0 to 65535 */
} net_reach;

/* The words of allow or deny for a family, as rules of which no two hold the same packet, because sets with intervals take no
 * elements that overlap. 0 (the caller frees *ret), -ENOMEM, -EINVAL. */
int net_reach_list(const char words[][NSB_RECORD_WORD], size_t n_words, int family, net_reach **ret, size_t *ret_n);

#endif
