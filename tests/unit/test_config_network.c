/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the network: what they take, and whose lists take the place of others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/config-keys.h"
#include "common/config.h"
#include "common/string-util.h"
#include "tests/unit/alloc-fail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POOLS	     "<10.213.0.0/16> <fd6e:7362:6f78::/64>"

/* The reader refuses the line with this sentence, and nothing has changed. */
static void expect_refusal(const char *name, const char *value, const char *words)
{
	const nsb_settings before = { 0 };
	nsb_settings s = { 0 };
	nsb_error error = { 0 };
	const char *sentence;

	assert_int_equal(nsb_key_apply(nsb_key_find(name), value, (nsb_origin){ 0 }, &s, &error), -EINVAL);
	sentence = nsb_after_prefix(error.words, name);
	assert_non_null(sentence);
	if (strstr(sentence, words) == NULL)
		fail_msg("%s = %s: %s", name, value, error.words);
	/* a list may have got room */
	assert_true(s.network_pool.n + s.dns.n + s.publish.n + s.allow.n + s.deny.n == 0);
	nsb_list_done(&s.network_pool);
	nsb_list_done(&s.dns);
	nsb_list_done(&s.publish);
	nsb_list_done(&s.allow);
	nsb_list_done(&s.deny);
	assert_memory_equal(&s, &before, sizeof(s));
}

static void refused(void **state)
{
	static const struct {
		const char *key, *value, *words;
	} faults[] = {
		{ "network", "", "the value is missing" },
		{ "network", "\"\"", "the value is empty" },
		{ "network", "none",
		  "\"none\" is not one of loopback, host, veth, bridge:NAME, netns:NAME, join:USER" },
		{ "network", "veth host", "one value is allowed, \"host\" is too much" },
		{ "network", "bridge", "\"bridge\" is not one of loopback" },
		{ "network", "bridge:", "\"bridge:\" is not one of loopback" },
		{ "network", "bridge:0123456789abcdef", "the name takes 1 to 15 of A-Z a-z 0-9 . _ -" },
		{ "network", "netns:../mnt", "the name takes 1 to 64 of A-Z a-z 0-9 . _ -" },
		{ "network", "netns:%u", "the name takes 1 to 64 of A-Z a-z 0-9 . _ -" },
		{ "network", "join:%z", "%z" },
		{ "network_pool", "", "the value is missing" },
		{ "network_pool", "10.213.0.0", "is no pool: write NETWORK/PREFIX with a prefix from 1 to 30" },
		{ "network_pool", "10.99.0.0/16 10.98.0.1/16",
		  "\"10.98.0.1/16\" has bits set beyond its prefix of 16" },
		{ "network_pool", "169.254.0.0/16", "of which no box can have an address" },
		{ "network_connections", "0", "\"0\" is neither a number from 1 to 2147483647 nor \"infinity\"" },
		{ "network_connections", "many", "\"many\" is neither a number from 1 to 2147483647 nor \"infinity\"" },
		{ "network_rate", "20", "\"20\" is no rate like 500kbit, 20Mbit or 1Gbit, nor \"infinity\"" },
		{ "network_rate", "20M", "\"20M\" is no rate like 500kbit" },
		{ "network_rate", "20 Mbit", "one value is allowed, \"Mbit\" is too much" },
		{ "network_rate", "1kbit", "\"1kbit\" is not from 8kbit to 1000Gbit" },
		{ "network_rate", "0kbit", "\"0kbit\" is not from 8kbit to 1000Gbit" },
		{ "network_rate", "2000Gbit", "\"2000Gbit\" is not from 8kbit to 1000Gbit" },
		{ "nat", "maybe", "\"maybe\" is neither \"yes\" nor \"no\"" },
		{ "forwarding", "yes", "\"yes\" is not one of check, set" },
		{ "dns", "", "the value is missing" },
		{ "dns", "1.1.1.1 dns.example.org", "\"dns.example.org\" is neither host nor none nor the address" },
		{ "publish", "80", "\"80\" publishes nothing: write PORT:PORT" },
		{ "publish", "8080:80 0:1", "\"0:1\" publishes nothing" },
		{ "allow", "hosts:53", "\"hosts:53\" is no rule: write PEER, PEER:PORT, PEER:PORT-PORT" },
		{ "allow", "host:53 \"\"", "an item is empty" },
		{ "deny", "any:25/icmp", "\"any:25/icmp\": ICMP has no ports" },
		{ "deny", "10.0.0.0/8 10.0.0.1/8", "\"10.0.0.1/8\" has bits set beyond" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++)
		expect_refusal(faults[i].key, faults[i].value, faults[i].words);
}

static nsb_config *read_good(const char *text)
{
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;

	assert_int_equal(nsb_config_parse("x", text, strlen(text), &config, &problems), 0);
	assert_int_equal(nsb_config_finish(config, &problems), 0);
	for (size_t i = 0; i < problems.n; i++)
		print_error("%s\n", problems.lines[i]);
	assert_int_equal(problems.n + problems.dropped, 0);
	nsb_problems_done(&problems);
	return config;
}

static nsb_settings settings_of(const nsb_config *config, const char *profile)
{
	nsb_settings settings = { 0 };

	assert_int_equal(nsb_config_settings(config, nsb_config_find(config, profile), &settings, NULL), 0);
	return settings;
}

static void assert_list(const nsb_list *list, const char *wanted)
{
	char got[512] = "";

	for (size_t i = 0; i < list->n; i++) {
		size_t used = strlen(got);

		snprintf(got + used, sizeof(got) - used, "%s<%s>", i > 0 ? " " : "", list->items[i]);
	}
	assert_string_equal(got, wanted);
}

static void builtin(void **state)
{
	nsb_config *config = read_good("[profile p]\nusers =\n");
	nsb_settings s = settings_of(config, "p");

	(void)state;
	assert_string_equal(s.network, "loopback");
	assert_false(s.network_named);
	assert_list(&s.network_pool, POOLS);
	assert_true(s.network_rate == NSB_INFINITY && s.network_connections == 4096 && s.nat);
	assert_int_equal(s.forwarding, NSB_FORWARDING_CHECK);
	assert_list(&s.dns, "<host>");
	assert_list(&s.publish, "");
	assert_list(&s.allow, "");
	assert_list(&s.deny, "");
	nsb_settings_done(&s);
	nsb_config_free(config);
}

static void taken(void **state)
{
	nsb_config *config =
		read_good("[profile p]\nusers =\nnetwork = bridge:br-lan.1\nnetwork_pool = 192.0.2.0/24\n"
			  "network_pool = 2001:db8::/64\nnetwork_rate = 20Mbit\nnetwork_connections = 100\nnat = no\nforwarding = set\n"
			  "dns = 192.0.2.53\ndns = 2001:db8::53\npublish = 8080:80 53:53/udp\n"
			  "allow = host:53 boxes\nallow = [2001:db8::/32]:443/tcp\ndeny = any:25/tcp\n");
	nsb_settings s = settings_of(config, "p");

	(void)state;
	assert_string_equal(s.network, "bridge:br-lan.1");
	assert_true(s.network_named);
	/* within a section lines add up */
	assert_list(&s.network_pool, "<192.0.2.0/24> <2001:db8::/64>");
	assert_int_equal(s.network_pool.origins[1].line, 5);
	assert_list(&s.dns, "<192.0.2.53> <2001:db8::53>");
	assert_true(s.network_rate == 20000000 && s.network_connections == 100 && !s.nat);
	assert_int_equal(s.forwarding, NSB_FORWARDING_SET);
	assert_list(&s.publish, "<8080:80> <53:53/udp>");
	assert_list(&s.allow, "<host:53> <boxes> <[2001:db8::/32]:443/tcp>");
	assert_list(&s.deny, "<any:25/tcp>");
	nsb_settings_done(&s);
	nsb_config_free(config);
}

/* Pools and name servers take the place of what is inherited; rules add up. */
static void inherited(void **state)
{
	static const char text[] =
		"[defaults]\nnetwork_pool = 10.1.0.0/16\nallow = host:53\nnetwork = veth\nnetwork_rate = 1Gbit\n"
		"[profile grand]\nusers =\ndns = 192.0.2.1\ndeny = any:25\n"
		"[profile parent]\nusers =\ninherits = grand\nnetwork_pool = 10.2.0.0/16\nnetwork_pool = fd02::/64\n"
		"allow = boxes\n"
		"[profile child]\nusers =\ninherits = parent\ndns = none\ndeny = any:26\n"
		"[profile alone]\nusers =\nnetwork_rate = infinity\n"
		"[defaults]\nnetwork_pool = fd01::/64\n";
	static const struct {
		const char *profile, *pools, *dns, *allow, *deny;
	} cases[] = {
		{ "grand", "<10.1.0.0/16> <fd01::/64>", "<192.0.2.1>", "<host:53>", "<any:25>" },
		{ "parent", "<10.2.0.0/16> <fd02::/64>", "<192.0.2.1>", "<host:53> <boxes>", "<any:25>" },
		{ "child", "<10.2.0.0/16> <fd02::/64>", "<none>", "<host:53> <boxes>", "<any:25> <any:26>" },
		{ "alone", "<10.1.0.0/16> <fd01::/64>", "<host>", "<host:53>", "" },
	};
	nsb_config *config = read_good(text);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		nsb_settings s = settings_of(config, cases[i].profile);

		assert_list(&s.network_pool, cases[i].pools);
		assert_list(&s.dns, cases[i].dns);
		assert_list(&s.allow, cases[i].allow);
		assert_list(&s.deny, cases[i].deny);
		assert_string_equal(s.network, "veth");
		assert_false(s.network_named);
		assert_true(s.network_rate == (i == 3 ? NSB_INFINITY : 1000000000));
		nsb_settings_done(&s);
	}
	nsb_config_free(config);
}

/* Every allocation fails once: -ENOMEM, and nothing is lost or freed twice. */
static void no_memory(void **state)
{
	nsb_config *config = read_good("[defaults]\nnetwork_pool = 10.1.0.0/16\ndns = none\n[profile p]\nusers =\n"
				       "network = join:%u\nnetwork_pool = 10.2.0.0/16 10.3.0.0/16\ndns = 192.0.2.1\n"
				       "network_rate = 20Mbit\nallow = host:53\n");
	int r;

	(void)state;
	for (int n = 0;; n++) {
		nsb_settings s = { 0 };

		alloc_fail_at(n);
		r = nsb_config_settings(config, nsb_config_find(config, "p"), &s, NULL);
		if (!alloc_fail_end()) {
			assert_list(&s.network_pool, "<10.2.0.0/16> <10.3.0.0/16>");
			nsb_settings_done(&s);
			break;
		}
		assert_int_equal(r, -ENOMEM);
		assert_null(s.network);
		assert_int_equal(s.network_pool.n, 0);
	}
	assert_int_equal(r, 0);
	nsb_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),   cmocka_unit_test(builtin),	  cmocka_unit_test(taken),
		cmocka_unit_test(inherited), cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
