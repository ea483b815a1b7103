/* SPDX-License-Identifier: BSD-3-Clause */
/* The record of a box's network as text: one "name value" a line. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/network.h"
#include "common/registry.h"
#include "common/string-util.h"

#define HEAD "nsbox-network 1"

static void put_mac(FILE *out, const char *name, const unsigned char mac[6])
{
	fprintf(out, "%s %02x:%02x:%02x:%02x:%02x:%02x\n", name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void put_address(FILE *out, const char *name, const nsb_address *address)
{
	char text[NSB_ADDRESS_SIZE];

	if (address->family == 0)
		return;
	nsb_address_text(address, text);
	fprintf(out, "%s %s\n", name, text);
}

static void put_words(FILE *out, const char *name, const char words[][NSB_RECORD_WORD], size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s %s\n", name, words[i]);
}

static void put_record(FILE *out, const nsb_network_record *record)
{
	fprintf(out, HEAD "\nid %s\nkind %s\nlink %s\n", record->id,
		record->kind == NSB_NETWORK_BRIDGE ? "bridge" : "veth", record->link);
	if (record->kind == NSB_NETWORK_BRIDGE)
		fprintf(out, "bridge %s\n", record->bridge);
	put_mac(out, "host_mac", record->host_mac);
	put_mac(out, "box_mac", record->box_mac);
	for (size_t i = 0; i < 2; i++)
		put_address(out, "address", &record->address[i]);
	for (size_t i = 0; i < record->n_pools; i++)
		put_address(out, "pool", &record->pools[i]);
	fprintf(out, "nat %s\nforwarding %s\nrate %" PRIu64 "\nconnections %" PRIu64 "\n", record->nat ? "yes" : "no",
		record->set_forwarding ? "set" : "check", record->rate, record->connections);
	put_words(out, "allow", record->allow, record->n_allow);
	put_words(out, "deny", record->deny, record->n_deny);
	put_words(out, "publish", record->publish, record->n_publish);
	fputs("end\n", out);
}

static int to_text(const nsb_network_record *record, char **ret, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);

	if (out == NULL)
		return -ENOMEM;
	put_record(out, record);
	/* a stream in memory fails by memory alone */
	if (fclose(out) != 0 || text == NULL) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

int nsb_network_record_format(const nsb_network_record *record, char **ret)
{
	NSB_FREE char *text = NULL;
	NSB_FREE nsb_network_record *again = malloc(sizeof(*again));
	size_t size;
	int r = again == NULL ? -ENOMEM : to_text(record, &text, &size);

	if (r == 0)
		r = nsb_network_record_parse(text, size, again);
	if (r == -EBADMSG)
		r = -EINVAL;
	if (r == 0)
		*ret = nsb_steal_pointer(&text);
	return r;
}

static bool take_mac(const char *value, unsigned char ret[6])
{
	char again[18];

	if (strlen(value) != 17 || sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &ret[0], &ret[1], &ret[2],
					  &ret[3], &ret[4], &ret[5]) != 6)
		return false;
	snprintf(again, sizeof(again), "%02x:%02x:%02x:%02x:%02x:%02x", ret[0], ret[1], ret[2], ret[3], ret[4], ret[5]);
	return strcmp(again, value) == 0 && (ret[0] & 3) == 2;
}

/* A name that no path and no rule can be made of by its characters. */
static bool take_name(const char *value, char *ret, size_t size)
{
	if (!nsb_is_plain_name(value, size - 1))
		return false;
	snprintf(ret, size, "%s", value);
	return true;
}

static bool take_network(const char *value, nsb_address *list, size_t *n, size_t max)
{
	return *n < max && nsb_network_parse(value, &list[(*n)++], NULL) == 0;
}

static bool take_address(const char *value, nsb_address list[2])
{
	size_t i = list[0].family == 0 ? 0 : 1;

	return list[i].family == 0 && nsb_address_parse(value, &list[i]) &&
	       (i == 0 || (list[0].family == AF_INET && list[1].family == AF_INET6));
}

static bool take_word(const char *value, char words[][NSB_RECORD_WORD], size_t *n, size_t max,
		      int (*check)(const char *, nsb_error *))
{
	if (*n >= max || strlen(value) >= NSB_RECORD_WORD || check(value, NULL) < 0)
		return false;
	snprintf(words[(*n)++], NSB_RECORD_WORD, "%s", value);
	return true;
}

static bool take_choice(const char *value, const char *no, const char *yes, bool *ret)
{
	*ret = strcmp(value, yes) == 0;
	return *ret || strcmp(value, no) == 0;
}

static bool take_line(nsb_network_record *r, const char *name, const char *value)
{
	bool bridge;

	if (strcmp(name, "id") == 0)
		return nsb_id_valid(value) && take_name(value, r->id, sizeof(r->id));
	if (strcmp(name, "kind") == 0) {
		if (!take_choice(value, "veth", "bridge", &bridge))
			return false;
		r->kind = bridge ? NSB_NETWORK_BRIDGE : NSB_NETWORK_VETH;
		return true;
	}
	if (strcmp(name, "bridge") == 0)
		return take_name(value, r->bridge, sizeof(r->bridge));
	if (strcmp(name, "link") == 0)
		return take_name(value, r->link, sizeof(r->link));
	if (strcmp(name, "host_mac") == 0)
		return take_mac(value, r->host_mac);
	if (strcmp(name, "box_mac") == 0)
		return take_mac(value, r->box_mac);
	if (strcmp(name, "address") == 0)
		return take_address(value, r->address);
	if (strcmp(name, "pool") == 0)
		return take_network(value, r->pools, &r->n_pools, NSB_NETWORK_POOLS);
	if (strcmp(name, "nat") == 0)
		return take_choice(value, "no", "yes", &r->nat);
	if (strcmp(name, "forwarding") == 0)
		return take_choice(value, "check", "set", &r->set_forwarding);
	if (strcmp(name, "rate") == 0)
		return nsb_parse_u64(value, INT64_MAX, &r->rate) == 0;
	if (strcmp(name, "connections") == 0)
		return nsb_parse_u64(value, INT32_MAX, &r->connections) == 0;
	if (strcmp(name, "allow") == 0)
		return take_word(value, r->allow, &r->n_allow, NSB_NETWORK_RULES, nsb_check_rule);
	if (strcmp(name, "deny") == 0)
		return take_word(value, r->deny, &r->n_deny, NSB_NETWORK_RULES, nsb_check_rule);
	if (strcmp(name, "publish") == 0)
		return take_word(value, r->publish, &r->n_publish, NSB_NETWORK_PUBLISH, nsb_check_publish);
	return false;
}

int nsb_network_record_parse(const char *text, size_t size, nsb_network_record *ret)
{
	NSB_FREE nsb_network_record *record = calloc(1, sizeof(*record));
	NSB_FREE char *copy = NULL, *again = NULL;
	char *line, *save = NULL;
	size_t again_size = 0;

	if (record == NULL)
		return -ENOMEM;
	if (size >= NSB_RECORD_TEXT_MAX || memchr(text, '\0', size) != NULL)
		return -EBADMSG;
	copy = strndup(text, size);
	if (copy == NULL)
		return -ENOMEM;
	line = strtok_r(copy, "\n", &save);
	if (line == NULL || strcmp(line, HEAD) != 0)
		return -EBADMSG;
	while ((line = strtok_r(NULL, "\n", &save)) != NULL && strcmp(line, "end") != 0) {
		char *blank = strchr(line, ' ');

		if (blank == NULL)
			return -EBADMSG;
		*blank = '\0';
		if (!take_line(record, line, blank + 1))
			return -EBADMSG;
	}
	if (line == NULL || record->address[0].family == 0)
		return -EBADMSG;
	/* what would not be written so was not written by us: a line that is missing, or twice there, is seen here */
	if (to_text(record, &again, &again_size) < 0)
		return -ENOMEM;
	if (again_size != size || memcmp(again, text, size) != 0)
		return -EBADMSG;
	*ret = *record;
	return 0;
}
