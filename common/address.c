/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/string-util.h"

unsigned nsb_address_width(int family)
{
	return family == AF_INET ? 32 : 128;
}

/* An IPv4-mapped address is the IPv4 address: a listener on "::" reports IPv4 clients so. */
static void unmap(nsb_address *address)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (address->family != AF_INET6 || address->prefix < 96 || memcmp(address->bytes, mapped, sizeof(mapped)) != 0)
		return;
	address->family = AF_INET;
	address->prefix -= 96;
	memmove(address->bytes, address->bytes + 12, 4);
	memset(address->bytes + 4, 0, 12);
}

/* As it is written. */
static bool parse_plain(const char *text, nsb_address *ret)
{
	nsb_address parsed = { 0 };

	if (inet_pton(AF_INET, text, parsed.bytes) == 1)
		parsed.family = AF_INET;
	else if (inet_pton(AF_INET6, text, parsed.bytes) == 1)
		parsed.family = AF_INET6;
	else
		return false;
	parsed.prefix = nsb_address_width(parsed.family);
	*ret = parsed;
	return true;
}

bool nsb_address_parse(const char *text, nsb_address *ret)
{
	if (!parse_plain(text, ret))
		return false;
	unmap(ret);
	return true;
}

/* The bit of that number, from the left. */
static unsigned bit(const nsb_address *address, unsigned i)
{
	return (address->bytes[i / 8] >> (7 - i % 8)) & 1;
}

static int parse_prefix(const char *text, const char *prefix, nsb_address *network, nsb_error *error)
{
	unsigned width = network->prefix;
	uint64_t value;

	if (nsb_parse_u64(prefix, width, &value) < 0)
		return nsb_error_set(error, EINVAL, "\"%.128s\": the prefix length must be a number from 0 to %u", text,
				     width);
	for (unsigned i = (unsigned)value; i < width; i++)
		if (bit(network, i) != 0)
			return nsb_error_set(error, EINVAL,
					     "\"%.128s\" has bits set beyond its prefix of %u: name the network "
					     "itself, or the address without a prefix",
					     text, (unsigned)value);
	network->prefix = (unsigned)value;
	return 0;
}

int nsb_network_parse(const char *text, nsb_address *ret, nsb_error *error)
{
	char address[NSB_ADDRESS_SIZE];
	size_t length = strcspn(text, "/");
	nsb_address parsed;
	int r;

	if (length >= sizeof(address))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is not an address", text);
	memcpy(address, text, length);
	address[length] = '\0';
	if (!parse_plain(address, &parsed))
		return nsb_error_set(error, EINVAL, "\"%.128s\" is not an IPv4 or IPv6 address, nor ADDRESS/PREFIX",
				     text);
	if (text[length] == '/') {
		r = parse_prefix(text, text + length + 1, &parsed, error);
		if (r < 0)
			return r;
	}
	unmap(&parsed);
	*ret = parsed;
	return 0;
}

void nsb_address_text(const nsb_address *address, char buffer[NSB_ADDRESS_SIZE])
{
	char plain[INET6_ADDRSTRLEN] = "";

	inet_ntop(address->family, address->bytes, plain, sizeof(plain));
	if (address->prefix == nsb_address_width(address->family))
		snprintf(buffer, NSB_ADDRESS_SIZE, "%s", plain);
	else
		snprintf(buffer, NSB_ADDRESS_SIZE, "%s/%u", plain, address->prefix);
}

bool nsb_network_has(const nsb_address *network, const nsb_address *address)
{
	if (network->family != address->family)
		return false;
	for (unsigned i = 0; i < network->prefix; i++)
		if (bit(network, i) != bit(address, i))
			return false;
	return true;
}

bool nsb_networks_overlap(const nsb_address *a, const nsb_address *b)
{
	return nsb_network_has(a->prefix <= b->prefix ? a : b, a->prefix <= b->prefix ? b : a);
}

nsb_address nsb_network_at(const nsb_address *network, uint64_t index)
{
	nsb_address address = *network;
	unsigned last = nsb_address_width(network->family) / 8;

	address.prefix = nsb_address_width(network->family);
	for (; last > 0 && index > 0; index >>= 8)
		address.bytes[--last] |= (unsigned char)(index & 0xff);
	return address;
}
