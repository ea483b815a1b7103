/* SPDX-License-Identifier: BSD-3-Clause */
/* /etc/resolv.conf of the box: key dns. The host's own is shown where the box can reach what it names; else one is made, and
 * lies on the name in the root, wherever that leads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/default-view.h"
#include "common/fd-util.h"
#include "common/network.h"
#include "common/plan-internal.h"
#include "common/resolv-text.h"
#include "common/string-util.h"

#define MADE "/run/host/resolv.conf"
#define FLAGS                                                                                                          \
	(NSB_STEP_SOURCE_IN_BOX | NSB_STEP_READ_ONLY | NSB_STEP_NOSUID | NSB_STEP_NODEV | NSB_STEP_NOEXEC |            \
	 NSB_STEP_OVER_LINK | NSB_STEP_RENEW)

const nsb_view_row nsb_view_resolver[] = {
	/* when, op, src, dst, data, flags, mode, owned, why */
	{ NSB_VIEW_RESOLVER_MADE, NSB_OP_BIND, MADE, "/etc/resolv.conf", NULL, FLAGS | NSB_STEP_OPTIONAL, 0, 0,
	  "as above" },
	{ NSB_VIEW_RESOLVER_NAMED, NSB_OP_BIND, MADE, "/etc/resolv.conf", NULL, FLAGS, 0, 0, "dns" },
};
const size_t nsb_n_view_resolver = sizeof(nsb_view_resolver) / sizeof(nsb_view_resolver[0]);

/* Whether the one word of the key is this; without any it is the built-in one. */
static bool dns_is(const nsb_settings *settings, const char *word)
{
	return settings->dns.n == 0 ? strcmp(word, NSB_DNS_HOST) == 0 : strcmp(settings->dns.items[0], word) == 0;
}

unsigned plan_resolver_view(const nsb_settings *settings)
{
	nsb_network kind = nsb_network_kind(settings->network, NULL);

	if (dns_is(settings, NSB_DNS_HOST))
		return kind == NSB_NETWORK_LOOPBACK || kind == NSB_NETWORK_HOST ? NSB_VIEW_RESOLVER_HOST
										: NSB_VIEW_RESOLVER_MADE;
	return dns_is(settings, NSB_DNS_NONE) ? NSB_VIEW_RESOLVER_MADE : NSB_VIEW_RESOLVER_NAMED;
}

/* "host" and "none" are the whole answer. */
static int check_words(planner *p)
{
	const nsb_list *dns = &p->settings->dns;

	for (size_t i = 0; i < dns->n && dns->n > 1; i++) {
		nsb_origin at = dns->origins[i];
		NSB_FREE char *place = nsb_format("%s:%u: ", at.file != NULL ? at.file : "", at.line);

		if (strcmp(dns->items[i], NSB_DNS_HOST) != 0 && strcmp(dns->items[i], NSB_DNS_NONE) != 0)
			continue;
		if (place == NULL)
			return -ENOMEM;
		return nsb_error_set(p->error, EBADMSG, "%sdns: \"%s\" stands alone: take it out, or the other words",
				     at.file != NULL ? place : "", dns->items[i]);
	}
	return 0;
}

/* The words with a blank between them. NULL without memory; the caller frees. */
static char *words_of(const nsb_list *dns)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	if (dns->n == 0)
		fputs(NSB_DNS_HOST, out);
	for (size_t i = 0; i < dns->n; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", dns->items[i]);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

int plan_resolver(planner *p)
{
	NSB_FREE char *words = words_of(&p->settings->dns);
	int r = check_words(p);

	if (r < 0 || (p->when & NSB_VIEW_RESOLVER_HOST))
		return r;
	if (words == NULL)
		return -ENOMEM;
	r = plan_add(p,
		     (nsb_step){ .op = NSB_OP_RESOLVER,
				 .src = "/etc/resolv.conf",
				 .dst = MADE,
				 .data = words,
				 .flags = NSB_STEP_RENEW,
				 .why = "name servers that the box can reach",
				 .origin = p->settings->dns.n > 0 ? p->settings->dns.origins[0] : (nsb_origin){ 0 } });
	return r == 0 ? plan_rows(p, nsb_view_resolver, nsb_n_view_resolver) : r;
}
