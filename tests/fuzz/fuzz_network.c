/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target of the network's words and record. The first line is each kind of word; all of the input is a record.
 * A word that is taken must not hold a character with which rules or paths could be made of it; a record that is taken must
 * be what nsb_network_record_format() writes, byte by byte.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/network.h"
#include "common/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

/* 0, or -EINVAL with one sentence in one line. */
static int judged(int r, const nsb_error *error)
{
	must(r == 0 || (r == -EINVAL && error->words[0] != '\0'));
	return r == 0;
}

static void check_network(const nsb_address *network)
{
	char text[NSB_ADDRESS_SIZE];
	nsb_address again;

	must(network->family == AF_INET || network->family == AF_INET6);
	must(network->prefix <= nsb_address_width(network->family));
	nsb_address_text(network, text);
	must(nsb_network_parse(text, &again, NULL) == 0);
	must(again.family == network->family && again.prefix == network->prefix &&
	     memcmp(again.bytes, network->bytes, sizeof(again.bytes)) == 0);
	must(nsb_network_has(network, &again) && nsb_networks_overlap(network, &again));
}

static void try_rule(const char *word)
{
	nsb_error error = { 0 };
	nsb_rule rule = { 0 };

	if (!judged(nsb_rule_parse(word, &rule, &error), &error))
		return;
	must(strspn(word, "0123456789abcdefABCDEFhostbxnytcpudicmp.:/[]-") == strlen(word));
	must(strlen(word) < NSB_RECORD_WORD);
	if (rule.peer == NSB_PEER_ADDRESS)
		check_network(&rule.network);
	must(rule.ports ? rule.first > 0 && rule.first <= rule.last : rule.first == 0 && rule.last == 0);
	must(!(rule.ports && rule.protocol == NSB_PROTOCOL_ICMP));
}

static void try_words(const char *word)
{
	nsb_error error = { 0 };
	nsb_publish publish;
	nsb_address network;
	const char *target;
	int64_t rate = 0;
	int r;

	try_rule(word);
	if (judged(nsb_publish_parse(word, &publish, &error), &error))
		must(publish.host > 0 && publish.box > 0 &&
		     (publish.protocol == NSB_PROTOCOL_TCP || publish.protocol == NSB_PROTOCOL_UDP));
	error = (nsb_error){ 0 };
	if (judged(nsb_check_network_pool(word, &error), &error)) {
		nsb_address address;

		must(nsb_network_parse(word, &network, NULL) == 0 && network.prefix > 0);
		check_network(&network);
		address = nsb_network_at(&network, 3);
		must(nsb_network_has(&network, &address));
	}
	error = (nsb_error){ 0 };
	judged(nsb_check_dns(word, &error), &error);
	error = (nsb_error){ 0 };
	if (judged(nsb_check_network(word, &error), &error)) {
		nsb_network kind = nsb_network_kind(word, &target);

		if (kind == NSB_NETWORK_BRIDGE || kind == NSB_NETWORK_NETNS)
			must(target[0] != '\0' && strchr(target, '/') == NULL && strcmp(target, "..") != 0);
	}
	r = nsb_rate_parse(word, &rate);
	must(r == -EINVAL || r == -ERANGE || (r == 0 && rate >= 8000 && rate <= 1000000000000));
}

static void try_record(const char *data, size_t size)
{
	static nsb_network_record record;
	int r = nsb_network_record_parse(data, size, &record);
	char *text;

	must(r == 0 || r == -EBADMSG);
	if (r < 0)
		return;
	must(nsb_id_valid(record.id) && strchr(record.link, '/') == NULL && record.link[0] != '\0');
	must(record.n_allow <= NSB_NETWORK_RULES && record.n_deny <= NSB_NETWORK_RULES &&
	     record.n_publish <= NSB_NETWORK_PUBLISH && record.n_pools <= NSB_NETWORK_POOLS);
	for (size_t i = 0; i < record.n_allow; i++)
		try_rule(record.allow[i]);
	must(nsb_network_record_format(&record, &text) == 0);
	must(strlen(text) == size && memcmp(text, data, size) == 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	try_record((const char *)data, size);
	text[strcspn(text, "\n")] = '\0';
	try_words(text);
	free(text);
	return 0;
}
