/* SPDX-License-Identifier: BSD-3-Clause */
/* resolv.conf of a box out of that of the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/resolv-text.h"

static void expect(const char *text, const char *servers, size_t n, const char *wanted)
{
	size_t got_n = 99;
	char *got = nsb_resolv_text(text, servers, &got_n);

	assert_non_null(got);
	/* behind the line that says who made it */
	assert_non_null(strchr(got, '\n'));
	assert_string_equal(strchr(got, '\n') + 1, wanted);
	assert_int_equal(got_n, n);
	free(got);
}

static void stub(void **state)
{
	(void)state;
	assert_true(nsb_resolv_is_stub("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"));
	assert_true(nsb_resolv_is_stub("# x\nnameserver\t127.0.0.54 \n"));
	assert_true(nsb_resolv_is_stub("nameserver 127.0.0.1\nnameserver 127.0.0.53"));
	assert_false(nsb_resolv_is_stub("nameserver 127.0.0.53\nnameserver 192.0.2.1\n"));
	assert_false(nsb_resolv_is_stub("nameserver 127.0.0.1\nnameserver ::1\n"));
	assert_false(nsb_resolv_is_stub(""));
	assert_false(nsb_resolv_is_stub("search 127.0.0.53\n#nameserver 127.0.0.53\n nameserver 127.0.0.53\n"));
}

static void host(void **state)
{
	(void)state;
	expect("# by hand\ndomain example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions ndots:2\n", "host",
	       2, "domain example.org\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions ndots:2\n");
	/* what cannot be reached from a box */
	expect("nameserver 127.0.0.1\nnameserver ::1\nnameserver 0.0.0.0\nnameserver ::\nnameserver 127.8.9.10\n"
	       "nameserver ::ffff:127.0.0.1\nnameserver fe80::1%eth0\nsearch a b",
	       "host", 0, "search a b\n");
	expect("nameserver 127.0.0.1\nnameserver 192.0.2.1 # mine\n", "host", 1, "nameserver 192.0.2.1\n");
	expect("nameserver ::ffff:192.0.2.1\r\n", "host", 1, "nameserver 192.0.2.1\n");
	/* no lines, or none that mean something */
	expect("", "host", 0, "");
	expect("\n\nnameserver\nnameserver \nnameserver example.org\nnameservers 192.0.2.1\nsearching a\nsearch\n "
	       "search a\n",
	       "host", 0, "");
	expect("sortlist 10.0.0.0/8\noptions\trotate", "host", 0, "sortlist 10.0.0.0/8\noptions\trotate\n");
}

static void named(void **state)
{
	(void)state;
	expect("nameserver 192.0.2.1\nsearch example.org\noptions rotate\n", "10.0.0.53 fd00::53", 2,
	       "nameserver 10.0.0.53\nnameserver fd00::53\nsearch example.org\noptions rotate\n");
	/* as it is told, also where only the administrator knows why */
	expect("", "127.0.0.1", 1, "nameserver 127.0.0.1\n");
	expect("nameserver 192.0.2.1\nsearch example.org\n", "none", 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stub),
		cmocka_unit_test(host),
		cmocka_unit_test(named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
