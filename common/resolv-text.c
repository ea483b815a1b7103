/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/resolv-text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/address.h"
#include "common/string-util.h"

#define BLANKS " \t\r"

/* What stands behind the keyword, which begins the line as the C library wants it; NULL for another line. */
static const char *value_of(const char *line, const char *keyword)
{
	const char *behind = nsb_after_prefix(line, keyword);

	return behind != NULL && (*behind == ' ' || *behind == '\t') ? behind + strspn(behind, BLANKS) : NULL;
}

/* The line behind this one; NULL behind the last. */
static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line != NULL && line[1] != '\0' ? line + 1 : NULL;
}

/* The server that a line names. False for other lines, and for one with a zone (fe80::1%eth0): that is a link of the host. */
static bool server_of(const char *line, nsb_address *ret)
{
	const char *value = value_of(line, "nameserver");
	char word[NSB_ADDRESS_SIZE];
	size_t length = value != NULL ? strcspn(value, BLANKS "\n") : 0;

	if (length == 0 || length >= sizeof(word))
		return false;
	memcpy(word, value, length);
	word[length] = '\0';
	return nsb_address_parse(word, ret);
}

/* The C library takes 0.0.0.0 and :: for this machine as well. */
static bool is_local(const nsb_address *address)
{
	static const unsigned char any[16], loopback[16] = { [15] = 1 };

	if (memcmp(address->bytes, any, sizeof(any)) == 0)
		return true;
	return address->family == AF_INET ? address->bytes[0] == 127
					  : memcmp(address->bytes, loopback, sizeof(loopback)) == 0;
}

static bool is_stub_address(const nsb_address *address)
{
	return address->family == AF_INET && address->bytes[0] == 127 && address->bytes[1] == 0 &&
	       address->bytes[2] == 0 && (address->bytes[3] == 53 || address->bytes[3] == 54);
}

bool nsb_resolv_is_stub(const char *text)
{
	bool stub = false;
	nsb_address address;

	for (const char *line = text; line != NULL; line = next_line(line)) {
		if (!server_of(line, &address))
			continue;
		if (!is_local(&address))
			return false;
		stub |= is_stub_address(&address);
	}
	return stub;
}

static void put_server(FILE *out, const nsb_address *address, size_t *n)
{
	char text[NSB_ADDRESS_SIZE];

	nsb_address_text(address, text);
	fprintf(out, "nameserver %s\n", text);
	(*n)++;
}

/* The host's lines; of those that name servers only with `servers`. */
static void put_lines(FILE *out, const char *text, bool servers, size_t *n)
{
	static const char *const kept[] = { "search", "domain", "options", "sortlist" };
	nsb_address address;

	for (const char *line = text; line != NULL; line = next_line(line)) {
		if (servers && server_of(line, &address) && !is_local(&address))
			put_server(out, &address, n);
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			if (value_of(line, kept[i]) != NULL)
				fprintf(out, "%.*s\n", (int)strcspn(line, "\n"), line);
	}
}

static void put_words(FILE *out, const char *servers, size_t *n)
{
	while (*servers != '\0') {
		char word[NSB_ADDRESS_SIZE];
		size_t length = strcspn(servers, " ");
		nsb_address address;

		snprintf(word, sizeof(word), "%.*s", (int)length, servers);
		if (nsb_address_parse(word, &address))
			put_server(out, &address, n);
		servers += length + (servers[length] == ' ');
	}
}

char *nsb_resolv_text(const char *text, const char *servers, size_t *ret_servers)
{
	bool host = strcmp(servers, NSB_DNS_HOST) == 0, none = strcmp(servers, NSB_DNS_NONE) == 0;
	char *made = NULL;
	size_t size, n = 0;
	FILE *out = open_memstream(&made, &size);

	if (out == NULL)
		return NULL;
	fprintf(out, "# made by nsbox (dns = %s)\n", servers);
	if (!host && !none)
		put_words(out, servers, &n);
	if (!none)
		put_lines(out, text, host, &n);
	if (fclose(out) != 0) {
		free(made);
		return NULL;
	}
	*ret_servers = n;
	return made;
}
