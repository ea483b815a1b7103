/* SPDX-License-Identifier: BSD-3-Clause */
/* A box's record as elements of the tables of nftables. What they do to packets is in tests/system/test_net_rules.py. Linked with
 * the wraps of alloc-fail.h, and those of open_memstream and fclose. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper/net-elements.h"
#include "tests/unit/alloc-fail.h"

FILE *__real_open_memstream(char **text, size_t *size);
FILE *__wrap_open_memstream(char **text, size_t *size);
int __real_fclose(FILE *file);
int __wrap_fclose(FILE *file);

FILE *__wrap_open_memstream(char **text, size_t *size)
{
	return alloc_fails() ? NULL : __real_open_memstream(text, size);
}

/* Closes all the same: its failure is that the last of the text found no memory. */
int __wrap_fclose(FILE *file)
{
	int r = __real_fclose(file);

	return alloc_fails() ? EOF : r;
}

#define HEAD	 "nsbox-network 1\nid aaaaaaaaa1\nkind veth\nlink nsb-1\nhost_mac 02:00:00:00:00:01\nbox_mac 02:00:00:00:00:02\n"
#define BRIDGE	 "nsbox-network 1\nid aaaaaaaaa1\nkind bridge\nlink nsb-1\nbridge br0\nhost_mac 02:00:00:00:00:01\nbox_mac 02:0a:0b:0c:0d:0e\n"
#define FOUR	 "address 10.9.0.2\n"
#define BOTH	 FOUR "address fd00::2\n"
#define NO_NAT	 "nat no\nforwarding check\n"
#define NAT	 "nat yes\nforwarding check\n"
#define FREELY	 "rate 0\nconnections 0\n"

static void read_record(const char *text, nsb_network_record *ret)
{
	assert_int_equal(nsb_network_record_parse(text, strlen(text), ret), 0);
}

/* Static, because a record is large for a stack. */
static nsb_network_record record;

static net_elements elements_of(const char *text)
{
	net_elements elements = { 0 };

	read_record(text, &record);
	assert_int_equal(net_elements_make(&record, &elements), 0);
	return elements;
}

static void a_box_of_one_address(void **state)
{
	net_elements e = elements_of(HEAD FOUR NO_NAT FREELY "end\n");

	(void)state;
	assert_string_equal(e.make, "add element inet nsbox layout_2 { 1 }\n"
				    "create element inet nsbox links { \"nsb-1\" }\n"
				    "create element inet nsbox own4 { \"nsb-1\" . 10.9.0.2 }\n"
				    "create element inet nsbox box4 { 10.9.0.2 }\n");
	assert_string_equal(e.renew, "add element inet nsbox layout_2 { 1 }\n"
				     "add element inet nsbox links { \"nsb-1\" }\n"
				     "add element inet nsbox own4 { \"nsb-1\" . 10.9.0.2 }\n"
				     "add element inet nsbox box4 { 10.9.0.2 }\n");
	assert_string_equal(e.shut, "delete element inet nsbox own4 { \"nsb-1\" . 10.9.0.2 }\n");
	assert_string_equal(e.forget, "delete element inet nsbox links { \"nsb-1\" }\n"
				      "delete element inet nsbox box4 { 10.9.0.2 }\n");
	assert_string_equal(e.rest, "add element inet nsbox rest4 { 10.9.0.2 }\n"
				    "delete element inet nsbox rest4 { 10.9.0.2 }\n"
				    "add element inet nsbox rest4 { 10.9.0.2 }\n");
	assert_string_equal(e.wake, "delete element inet nsbox rest4 { 10.9.0.2 }\n");
	net_elements_free(&e);
	assert_null(e.make);
}

/* Parts of the text of `make` that a line of the record adds, after those of a_box_of_one_address() in both families. */
static const struct {
	const char *nat_and_rate, *lines, *wanted[6];
} rows[] = {
	{ NAT FREELY, "", { "nat4 { 10.9.0.2 }", "nat6 { fd00::2 }" } },
	{ NO_NAT "rate 8000000\nconnections 0\n", "",
	  { "add element inet nsbox rates { \"nsb-1\" limit rate over 1000000 bytes/second burst 131072 bytes }\n" } },
	{ NO_NAT "rate 0\nconnections 100\n", "",
	  { "add element inet nsbox connections4 { 10.9.0.2 ct count over 100 }\n",
	    "add element inet nsbox connections6 { fd00::2 ct count over 100 }\n" } },
	{ NO_NAT FREELY, "publish 8080:80\n",
	  { "publish4 { 6 . 8080 : 10.9.0.2 . 80 }", "publish6 { 6 . 8080 : fd00::2 . 80 }" } },
	{ NO_NAT FREELY, "publish 53:5353/udp\n",
	  { "publish4 { 17 . 53 : 10.9.0.2 . 5353 }", "publish6 { 17 . 53 : fd00::2 . 5353 }" } },
	{ NO_NAT FREELY, "allow host\n",
	  { " allow_host4 { 10.9.0.2 . 0-255 . 0-65535 }", " allow_host6 { fd00::2 . 0-255 . 0-65535 }" } },
	{ NO_NAT FREELY, "allow host:22/tcp\nallow host/icmp\n",
	  { " allow_host4 { 10.9.0.2 . 6 . 22-22 }", " allow_host6 { fd00::2 . 6 . 22-22 }",
	    " allow_host4 { 10.9.0.2 . 1 . 0-65535 }", " allow_host6 { fd00::2 . 58 . 0-65535 }" } },
	{ NO_NAT FREELY, "allow boxes:80-90\n",
	  { " allow_boxes4 { 10.9.0.2 . 6 . 80-90 }", " allow_boxes4 { 10.9.0.2 . 17 . 80-90 }" } },
	{ NO_NAT FREELY, "allow 10.0.0.0/8:443/tcp\n", { " allow4 { 10.9.0.2 . 10.0.0.0/8 . 6 . 443-443 }" } },
	/* link-local addresses are opened only by who names them */
	{ NO_NAT FREELY, "allow any\n",
	  { " allow_all4 { 10.9.0.2 . 0.0.0.0-169.253.255.255 }", " allow_all4 { 10.9.0.2 . 169.255.0.0-255.255.255.255 }",
	    " allow_all6 { fd00::2 . ::-fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff }",
	    " allow_all6 { fd00::2 . fec0::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff }" } },
	{ NO_NAT FREELY, "allow 169.254.0.0/15\nallow fe80::/9\n",
	  { " allow_all4 { 10.9.0.2 . 169.255.0.0-169.255.255.255 }",
	    " allow_all6 { fd00::2 . fec0::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff }" } },
	{ NO_NAT FREELY, "allow 169.254.169.254:80/tcp\n", { " allow4 { 10.9.0.2 . 169.254.169.254 . 6 . 80-80 }" } },
	{ NO_NAT FREELY, "allow 169.254.0.0/16\n", { " allow_all4 { 10.9.0.2 . 169.254.0.0/16 }" } },
	/* denied are they in any case */
	{ NO_NAT FREELY, "deny any\n", { " deny_all4 { 10.9.0.2 . 0.0.0.0/0 }", " deny_all6 { fd00::2 . ::/0 }" } },
	{ NO_NAT FREELY, "deny any:25\n",
	  { " deny4 { 10.9.0.2 . 0.0.0.0/0 . 6 . 25-25 }", " deny4 { 10.9.0.2 . 0.0.0.0/0 . 17 . 25-25 }" } },
};

static void each_line_adds_its_elements(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		net_elements e;

		snprintf(text, sizeof(text), HEAD BOTH "%s%send\n", rows[i].nat_and_rate, rows[i].lines);
		e = elements_of(text);
		for (size_t n = 0; n < 6 && rows[i].wanted[n] != NULL; n++) {
			if (strstr(e.make, rows[i].wanted[n]) == NULL)
				fail_msg("no \"%s\" in:\n%s", rows[i].wanted[n], e.make);
			assert_non_null(strstr(e.renew, rows[i].wanted[n]));
		}
		assert_null(strstr(e.renew, "create"));
		net_elements_free(&e);
	}
}

static size_t lines_of(const char *text, const char *with)
{
	size_t n = 0;

	for (const char *line = strstr(text, with); line != NULL; line = strstr(line + 1, with))
		n++;
	return n;
}

/* All that is added is removed, but the mark of the table. */
static void removes_what_it_adds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		net_elements e;

		snprintf(text, sizeof(text), "%s" BOTH "%s%send\n", i % 2 == 0 ? HEAD : BRIDGE, rows[i].nat_and_rate, rows[i].lines);
		e = elements_of(text);
		assert_int_equal(lines_of(e.make, " element ") - (i % 2 == 0 ? 1 : 2),
				 lines_of(e.shut, "delete element ") + lines_of(e.forget, "delete element ") +
					 lines_of(e.published, "\n"));
		assert_int_equal(lines_of(e.make, "\n"), lines_of(e.renew, "\n"));
		net_elements_free(&e);
	}
}

static void a_box_on_a_bridge(void **state)
{
	static const char *const wanted[] = {
		"create element inet nsbox own4 { \"br0\" . 10.9.0.2 }\n",
		"create element inet nsbox box6 { fd00::2 }\n",
		"create element inet nsbox links { \"nsb-1\" }\n",
		"create element bridge nsbox links { \"nsb-1\" }\n",
		"add element bridge nsbox box4 { 10.9.0.2 }\n",
		"create element bridge nsbox mac { \"nsb-1\" . 02:0a:0b:0c:0d:0e }\n",
		"create element bridge nsbox own4 { \"nsb-1\" . 10.9.0.2 }\n",
		"create element bridge nsbox own6 { \"nsb-1\" . fd00::2 }\n",
		"create element bridge nsbox own6 { \"nsb-1\" . fe80::a:bff:fe0c:d0e }\n",
		"add element bridge nsbox target6 { \"nsb-1\" . 0xfd000000000000000000000000000002 }\n",
		"add element bridge nsbox target6 { \"nsb-1\" . 0xfe80000000000000000a0bfffe0c0d0e }\n",
		"add element bridge nsbox allow4 { 10.9.0.2 . 10.9.0.7 . 6 . 80-80 }\n",
		"add element inet nsbox allow4 { 10.9.0.2 . 10.9.0.7 . 6 . 80-80 }\n",
		"add element bridge nsbox deny_all4 { 10.9.0.2 . 0.0.0.0/0 }\n",
		"add element inet nsbox allow_host4 { 10.9.0.2 . 6 . 22-22 }\n",
		"add element bridge nsbox rates { \"nsb-1\" limit rate over 1000 bytes/second burst 131072 bytes }\n",
	};
	net_elements e = elements_of(BRIDGE BOTH NO_NAT
				     "rate 8000\nconnections 0\nallow 10.9.0.7:80/tcp\nallow host:22/tcp\nallow boxes\ndeny any\nend\n");

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strstr(e.make, wanted[i]) == NULL)
			fail_msg("no \"%s\" in:\n%s", wanted[i], e.make);
	assert_null(strstr(e.make, "inet nsbox rates"));
	assert_null(strstr(e.make, "bridge nsbox allow_"));
	net_elements_free(&e);
}

/* ---- rules that do not overlap ---- */

static const struct {
	const char *words[4], *list;
} reaches[] = {
	{ { "any", "10.0.0.0/8", "10.0.0.1:80" }, "0.0.0.0/0 0;" },
	{ { "10.0.0.0/8", "10.0.0.0/8" }, "10.0.0.0/8 0;" },
	{ { "10.1.0.0/16", "10.2.0.0/16" }, "10.1.0.0/16 0;10.2.0.0/16 0;" },
	{ { "10.0.0.0/8:80-90/tcp", "10.0.0.0/8:85-100/tcp" }, "10.0.0.0/8 6 80-90;10.0.0.0/8 6 91-100;" },
	{ { "10.0.0.0/8:80-90/tcp", "10.1.0.0/16:70-100/tcp" }, "10.0.0.0/8 6 80-90;10.1.0.0/16 6 70-79;10.1.0.0/16 6 91-100;" },
	{ { "10.0.0.0/8:80-90/tcp", "10.1.0.0/16:82/tcp" }, "10.0.0.0/8 6 80-90;" },
	{ { "10.0.0.0/8:80-90/tcp", "10.0.0.0/8:92-94/tcp", "10.1.0.0/16:91-95/tcp" },
	  "10.0.0.0/8 6 80-90;10.0.0.0/8 6 92-94;10.1.0.0/16 6 91-91;10.1.0.0/16 6 95-95;" },
	{ { "10.0.0.0/8:80-90/tcp", "10.0.0.0/8:94-96/tcp", "10.1.0.0/16:85-95/tcp", "10.1.0.0/16:1-65535/udp" },
	  "10.0.0.0/8 6 80-90;10.0.0.0/8 6 94-96;10.1.0.0/16 17 1-65535;10.1.0.0/16 6 91-93;" },
	{ { "10.0.0.0/8/udp", "10.0.0.0/8:53" }, "10.0.0.0/8 17 0-65535;10.0.0.0/8 6 53-53;" },
	/* an element of the sets without protocol is in nobody's way in the sets with */
	{ { "10.0.0.0/8:80/tcp", "10.0.0.0/16" }, "10.0.0.0/16 0;10.0.0.0/8 6 80-80;" },
	{ { "host", "host:22/tcp", "boxes:22/tcp" }, "host 0;boxes 6 22-22;" },
	{ { "fd00::/8", "10.0.0.0/8/icmp", "any/icmp" }, "0.0.0.0/0 1 0-65535;" },
};

static void rules_do_not_overlap(void **state)
{
	static const char *const peers[] = { [NSB_PEER_HOST] = "host", [NSB_PEER_BOXES] = "boxes" };

	(void)state;
	for (size_t i = 0; i < sizeof(reaches) / sizeof(reaches[0]); i++) {
		static char words[4][NSB_RECORD_WORD];
		char text[1024] = "", address[NSB_ADDRESS_SIZE];
		net_reach *list = NULL;
		size_t n_words = 0, n = 0;

		for (; n_words < 4 && reaches[i].words[n_words] != NULL; n_words++)
			snprintf(words[n_words], NSB_RECORD_WORD, "%s", reaches[i].words[n_words]);
		assert_int_equal(net_reach_list(words, n_words, AF_INET, &list, &n), 0);
		for (size_t k = 0; k < n; k++) {
			size_t used = strlen(text);

			nsb_address_text(&list[k].network, address);
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %d",
						 list[k].peer == NSB_PEER_ADDRESS ? address : peers[list[k].peer],
						 list[k].protocol);
			if (list[k].protocol != 0)
				used += (size_t)snprintf(text + used, sizeof(text) - used, " %u-%u", list[k].first, list[k].last);
			snprintf(text + used, sizeof(text) - used, ";");
		}
		assert_string_equal(text, reaches[i].list);
		free(list);
	}
}

static void words_that_are_none_are_refused(void **state)
{
	net_elements e = { 0 };

	(void)state;
	read_record(HEAD FOUR NO_NAT FREELY "publish 1:1\nend\n", &record);
	record.publish[0][0] = 'x';
	assert_int_equal(net_elements_make(&record, &e), -EINVAL);
	read_record(HEAD FOUR NO_NAT FREELY "allow host\nend\n", &record);
	record.allow[0][0] = 'x';
	assert_int_equal(net_elements_make(&record, &e), -EINVAL);
	read_record(BRIDGE FOUR NO_NAT FREELY "deny any\nend\n", &record);
	record.deny[0][0] = 'x';
	assert_int_equal(net_elements_make(&record, &e), -EINVAL);
	assert_null(e.make);
}

static void without_memory(void **state)
{
	bool failed = true;

	(void)state;
	read_record(BRIDGE BOTH NO_NAT FREELY "allow host\nallow 10.0.0.0/8:1-9\nallow 10.1.0.0/16:2-10\ndeny any\nend\n", &record);
	for (long n = 0; failed; n++) {
		net_elements e = { 0 };
		int r;

		alloc_fail_at(n);
		r = net_elements_make(&record, &e);
		failed = alloc_fail_end();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(e.make == NULL, failed);
		net_elements_free(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_box_of_one_address),	    cmocka_unit_test(each_line_adds_its_elements),
		cmocka_unit_test(removes_what_it_adds),	    cmocka_unit_test(a_box_on_a_bridge),
		cmocka_unit_test(rules_do_not_overlap),	    cmocka_unit_test(words_that_are_none_are_refused),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
