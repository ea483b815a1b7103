/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader, the keys, the settings and the shipped nsbox.conf. The files it comes from: test_config_files.c. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/config.h"
#include "common/namespace-table.h"
#include "common/string-util.h"
#include "tests/unit/alloc-fail.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define P	     "[profile p]\nusers = a\n" /* the line after it is line 3 */

typedef struct fault {
	const char *text, *line; /* the only problem of the text, in file "x" */
} fault;

static nsb_config *read_text(const char *text, size_t size, nsb_problems *problems)
{
	nsb_config *config = NULL;

	assert_int_equal(nsb_config_parse("x", text, size, &config, problems), 0);
	assert_int_equal(nsb_config_finish(config, problems), 0);
	return config;
}

static void expect_fault_sized(const char *text, size_t size, const char *line)
{
	nsb_problems problems = { 0 };
	nsb_config *config = read_text(text, size, &problems);

	for (size_t i = 1; i < problems.n; i++)
		print_error("too much: %s\n", problems.lines[i]);
	assert_int_equal(problems.n, 1);
	assert_int_equal(problems.dropped, 0);
	assert_string_equal(problems.lines[0], line);
	nsb_problems_done(&problems);
	nsb_config_free(config);
}

static void expect_faults(const fault *faults, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_fault_sized(faults[i].text, strlen(faults[i].text), faults[i].line);
}

static nsb_config *read_good(const char *text)
{
	nsb_problems problems = { 0 };
	nsb_config *config = read_text(text, strlen(text), &problems);

	for (size_t i = 0; i < problems.n; i++)
		print_error("%s\n", problems.lines[i]);
	assert_int_equal(problems.n + problems.dropped, 0);
	nsb_problems_done(&problems);
	return config;
}

static nsb_settings settings_of(const nsb_config *config, const char *profile)
{
	nsb_settings settings = { 0 };
	nsb_error error = { 0 };

	assert_int_equal(nsb_config_settings(config, nsb_config_find(config, profile), &settings, &error), 0);
	assert_string_equal(error.words, "");
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

static void syntax(void **state)
{
	static const fault faults[] = {
		{ "users = a\nservices = b\n", "x:1: \"users\" stands before the first section" },
		{ "[profile p\nusers = a", "x:1: the section's name is not closed: \"]\" is missing" },
		{ "[profile p #]\nusers = a", "x:1: the section's name is not closed: \"]\" is missing" },
		{ P "[profile q] x\nusers = a", "x:3: \"x\" is too much behind the section's name" },
		{ P "[profile q]]\nusers=a", "x:3: \"]\" is too much behind the section's name" },
		{ "[profile]", "x:1: the profile has no name: write [profile NAME]" },
		{ "[ profile\t]", "x:1: the profile has no name: write [profile NAME]" },
		{ "[profile a b]",
		  "x:1: the profile's name \"a b\" is not 1 to 64 of A-Z a-z 0-9 . _ - (and not \".\" or \"..\")" },
		{ "[profile ..]",
		  "x:1: the profile's name \"..\" is not 1 to 64 of A-Z a-z 0-9 . _ - (and not \".\" or \"..\")" },
		{ "[profile a/b]",
		  "x:1: the profile's name \"a/b\" is not 1 to 64 of A-Z a-z 0-9 . _ - (and not \".\" or \"..\")" },
		{ "[profile 0123456789012345678901234567890123456789012345678901234567890123x]",
		  "x:1: the profile's name \"0123456789012345678901234567890123456789012345678901234567890123x\" is "
		  "not 1 to 64 "
		  "of A-Z a-z 0-9 . _ - (and not \".\" or \"..\")" },
		{ "[profiles a]", "x:1: there is no section [profiles a]: write [profile NAME] or [defaults]" },
		{ "[]", "x:1: there is no section []: write [profile NAME] or [defaults]" },
		{ "[default]", "x:1: there is no section [default]: write [profile NAME] or [defaults]" },
		{ "[defaults x]", "x:1: there is no section [defaults x]: write [profile NAME] or [defaults]" },
		{ P "[profile p]\nusers = b\nusers = c\npids_max = 1\n",
		  "x:3: profile \"p\" is defined already in x:1" },
		{ P "junk # x", "x:3: \"junk # x\" is neither a section nor \"key = value\" (a value cannot go on in "
				"the next line)" },
		{ P "= 3", "x:3: there is no key before \"=\"" },
		{ P "pid_max = 3", "x:3: there is no key \"pid_max\"; the nearest is \"pids_max\"" },
		{ P "usres = 3", "x:3: there is no key \"usres\"; the nearest is \"users\"" },
		{ P "form = 3", "x:3: there is no key \"form\"; the nearest is \"from\"" },
		{ P "color = 3", "x:3: there is no key \"color\"" },
		{ P "memory_mx = 3G", "x:3: there is no key \"memory_mx\"; the nearest is \"memory_max\"" },
		{ P "Network = host", "x:3: there is no key \"Network\"; the nearest is \"network\"" },
		{ P "\"network\" = host", "x:3: there is no key \"\"network\"\"; the nearest is \"network\"" },
		{ P "pids_max = 3\nroot = host\npids_max = 4", "x:5: pids_max is set already in x:3" },
		{ P "namespaces = pid mount\nnamespaces = uts pid mount", "x:4: namespaces is set already in x:3" },
		{ "[defaults]\nusers = a", "x:2: users belongs into a profile, not into [defaults]" },
		{ "[defaults]\nfrom = local", "x:2: from belongs into a profile, not into [defaults]" },
		{ "[defaults]\npids_max = 1\n[profile p]\nusers = a\n[defaults]\npids_max = 2",
		  "x:6: pids_max is set already in x:2" },
		{ P "pids_max = 3\r\nroot = host\r\n",
		  "x:3: the line ends with a carriage return: save the file with Unix line ends" },
		{ P "root = \rhost", "x:3: the line holds the control character 0x0d" },
		{ P "root = \x1b[2J", "x:3: the line holds the control character 0x1b" },
		{ P "# \x7f", "x:3: the line holds the control character 0x7f" },
		{ P "[profile \x01]\nusers = b\nusers = c\npids_max = 3",
		  "x:3: the line holds the control character 0x01" },
		{ "\xef\xbb\xbf" P, "x:1: the file begins with a byte order mark: save it as plain UTF-8" },
		{ "[profile p]\nroot = host",
		  "x:1: profile \"p\" does not say for which users it is (\"users =\" with nothing "
		  "behind: nobody)" },
	};
	static const char nul[] = P "root = host\0\n";

	(void)state;
	expect_faults(faults, COUNT(faults));
	expect_fault_sized(nul, sizeof(nul) - 1, "x:3: the line holds the control character 0x00 (NUL)");
}

static void inheritance_faults(void **state)
{
	static const fault faults[] = {
		{ P "inherits = q", "x:3: inherits: there is no profile q" },
		{ P "inherits = p", "x:3: inherits: profile \"p\" inherits itself" },
		/* who inherits from the faulty one is not told, too */
		{ P "inherits = q\n[profile r]\nusers=a\ninherits = p\n", "x:3: inherits: there is no profile q" },
		{ P "inherits = p\n[profile r]\nusers=a\ninherits = p\n",
		  "x:3: inherits: profile \"p\" inherits itself" },
		{ P "inherits = a b",
		  "x:3: inherits: one value is allowed, \"b\" is too much (a value with blanks needs quotes)" },
		{ P "inherits =", "x:3: inherits: the value is missing" },
		{ P "inherits = \"\"",
		  "x:3: inherits: \"\" is no name: it takes 1 to 64 of A-Z a-z 0-9 . _ - (not \".\" or \"..\")" },
		{ P "inherits = a/b",
		  "x:3: inherits: \"a/b\" is no name: it takes 1 to 64 of A-Z a-z 0-9 . _ - (not \".\" or \"..\")" },
	};
	static const char circle[] = "[profile a]\nusers=x\ninherits=b\n[profile b]\nusers=x\ninherits=c\n"
				     "[profile c]\nusers=x\ninherits=\"a\"\n[profile d]\nusers=x\ninherits=a\n";
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_settings settings;
	nsb_error error = { 0 };
	char text[64];

	(void)state;
	expect_faults(faults, COUNT(faults));
	config = read_text(circle, strlen(circle), &problems);
	assert_int_equal(problems.n, 3);
	assert_string_equal(problems.lines[0], "x:3: inherits: profile \"a\" comes back to itself by way of \"c\"");
	assert_string_equal(problems.lines[1], "x:6: inherits: profile \"b\" comes back to itself by way of \"a\"");
	assert_string_equal(problems.lines[2], "x:9: inherits: profile \"c\" comes back to itself by way of \"b\"");
	assert_int_equal(nsb_config_settings(config, nsb_config_find(config, "d"), &settings, &error), -EBADMSG);
	assert_string_equal(error.words, "profile \"d\" is faulty or inherits a faulty one");
	nsb_problems_done(&problems);
	nsb_config_free(config);

	config = NULL;
	for (int i = 0; i <= NSB_CONFIG_INHERITS_MAX; i++) {
		snprintf(text, sizeof(text), "[profile p%d]\nusers =\n%sp%d\n", i,
			 i < NSB_CONFIG_INHERITS_MAX ? "inherits = " : "# ", i + 1);
		assert_int_equal(nsb_config_parse("x", text, strlen(text), &config, &problems), 0);
	}
	assert_int_equal(nsb_config_finish(config, &problems), 0);
	assert_int_equal(problems.n, 1);
	assert_string_equal(problems.lines[0], "x:3: inherits: more than 16 profiles in one line of inheritance");
	nsb_problems_done(&problems);
	nsb_config_free(config);
}

static void values_of_lists(void **state)
{
	static const fault faults[] = {
		{ P "users = \"\"", "x:3: users: an item is empty (\"\")" },
		{ P "users = !!b c", "x:3: users: \"!!b\" has more than one \"!\"" },
		{ P "from = 10.0.0.0/8 10.0.0.300",
		  "x:3: from: \"10.0.0.300\" is not an IPv4 or IPv6 address, nor ADDRESS/PREFIX" },
		{ P "services =", "x:3: services: the value is missing" },
		{ P "services = # all", "x:3: services: the value is missing" },
		{ P "services = !", "x:3: services: \"!\" names nothing" },
		{ P "bind = \"/a", "x:3: bind: the quote in \"\"/a\" is not closed" },
		{ P "bind = /b\"/a # x", "x:3: bind: the quote in \"/b\"/a # x\" is not closed" },
		{ P "bind = \"/a\\",
		  "x:3: bind: a backslash in quotes stands before \\ or \" only: write \\\\ for one of them" },
		{ P "bind = \"/a\\n\"",
		  "x:3: bind: a backslash in quotes stands before \\ or \" only: write \\\\ for one of them" },
		{ P "bind = a", "x:3: bind: \"a\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "bind = /a:", "x:3: bind: \"\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "bind = :/a", "x:3: bind: \"\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "bind = %u/a", "x:3: bind: \"%u/a\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "bind = %hx", "x:3: bind: \"%hx\": a \"/\" must follow \"%h\"" },
		{ P "bind = /a:/b:/c",
		  "x:3: bind: \"/a:/b:/c\" has more than one \":\": write SOURCE or SOURCE:TARGET" },
		{ P "bind = /a:/b:", "x:3: bind: \"/a:/b:\" has more than one \":\": write SOURCE or SOURCE:TARGET" },
		{ P "bind = /a/../b", "x:3: bind: \"/a/../b\" has a \"..\" in it: write the path without" },
		{ P "bind = /a:/b/.", "x:3: bind: \"/b/.\" has a \".\" in it: write the path without" },
		{ P "bind_ro = %h/..", "x:3: bind_ro: \"%h/..\" has a \"..\" in it: write the path without" },
		{ P "bind_ro = /", "x:3: bind_ro: the target \"/\" is made by the box itself and cannot be replaced" },
		{ P "bind_ro = /a:///",
		  "x:3: bind_ro: the target \"///\" is made by the box itself and cannot be replaced" },
		{ P "bind_optional = /proc",
		  "x:3: bind_optional: the target \"/proc\" is made by the box itself and cannot be replaced" },
		{ P "bind = /x://sys//",
		  "x:3: bind: the target \"//sys//\" is made by the box itself and cannot be replaced" },
		{ P "bind = /a:/dev/",
		  "x:3: bind: the target \"/dev/\" is made by the box itself and cannot be replaced" },
		{ P "bind = /a%x",
		  "x:3: bind: unknown specifier \"%x\" in \"/a%x\"; there are %u %U %g %G %h %H %s %i %%" },
		{ P "mask = /a:/b", "x:3: mask: \"/a:/b\" has a \":\" in it: write one path" },
		{ P "mask = a", "x:3: mask: \"a\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "mask = /sys", "x:3: mask: the target \"/sys\" is made by the box itself and cannot be replaced" },
		{ P "mask = /a%", "x:3: mask: \"/a%\" ends with a lone \"%\": write \"%%\" for a percent sign" },
		{ P "bind = /a:/proc/self/status",
		  "x:3: bind: /proc/self/status belongs to a process: only files of /proc that "
		  "tell of the machine can be targets" },
		{ P "bind_ro = /a:/proc//12",
		  "x:3: bind_ro: /proc/12 belongs to a process: only files of /proc that tell of the "
		  "machine can be targets" },
		{ P "bind = /a:/proc/sys/x",
		  "x:3: bind: /proc/sys/x is closed in every box: /proc/sys cannot be opened again" },
		{ P "mask = /proc/self",
		  "x:3: mask: /proc/self belongs to a process: only files of /proc that tell of the machine "
		  "can be targets" },
		{ P "tmpfs = //proc//driver:size=1m",
		  "x:3: tmpfs: /proc/driver is below /proc, where no directory can be made empty" },
		{ P "dev = fuse",
		  "x:3: dev: \"fuse\" is not the plain path of a device, like /dev/fuse or /dev/nvidia*" },
		{ P "dev = /dev",
		  "x:3: dev: \"/dev\" is not the plain path of a device, like /dev/fuse or /dev/nvidia*" },
		{ P "dev = /dev/../sda",
		  "x:3: dev: \"/dev/../sda\" is not the plain path of a device, like /dev/fuse or /dev/nvidia*" },
		{ P "dev = /dev/%u", "x:3: dev: \"/dev/%u\" has one of % : \\ in it, as no device's name may" },
		{ P "dev = /dev/pts/3", "x:3: dev: \"/dev/pts/3\" is made by the box itself and cannot be added" },
		{ P "dev = /dev/sda /dev/tty", "x:3: dev: \"/dev/tty\" is made by the box itself and cannot be added" },
		{ P "tmpfs = a", "x:3: tmpfs: \"a\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "tmpfs = /proc:size=1m",
		  "x:3: tmpfs: the target \"/proc\" is made by the box itself and cannot be replaced" },
		{ P "tmpfs = /a%q",
		  "x:3: tmpfs: unknown specifier \"%q\" in \"/a%q\"; there are %u %U %g %G %h %H %s %i %%" },
		{ P "tmpfs = /a:size=1m,mode=700,size=2m",
		  "x:3: tmpfs: the option \"size=2m\" comes after another of its kind" },
		{ P "tmpfs = /a:noexec,noexec", "x:3: tmpfs: the option \"noexec\" comes after another of its kind" },
	};
	static const char *const options[] = { "uid=0",	      "",	  "size=",   "size=0",	   "size=00m",
					       "size=1t",     "size=1mm", "size=-1", "size=50%",   "size=1234567890",
					       "nr_inodes=0", "mode=",	  "mode=77", "mode=17777", "mode=0778",
					       "noexec=1",    "exec",	  "noexe",   "Size=1",	   "a:b",
					       "10%" };

	(void)state;
	expect_faults(faults, COUNT(faults));
	for (size_t i = 0; i < COUNT(options); i++) {
		char *text = nsb_format(P "tmpfs = /a:%s\n", options[i]);
		char *line = nsb_format(
			"x:3: tmpfs: \"%s\" is not an option of tmpfs; there are size=AMOUNT nr_inodes=AMOUNT "
			"(a number from 1, perhaps with k, m or g), mode=OCTAL and noexec",
			options[i]);

		expect_fault_sized(text, strlen(text), line);
		free(text);
		free(line);
	}
}

static void values_of_others(void **state)
{
	static const fault faults[] = {
		{ P "on_error = maybe", "x:3: on_error: \"maybe\" is not one of deny, allow" },
		{ P "on_error =", "x:3: on_error: the value is missing" },
		{ P "on_error = \"\"", "x:3: on_error: \"\" is not one of deny, allow" },
		{ P "devpts = auto host",
		  "x:3: devpts: one value is allowed, \"host\" is too much (a value with blanks needs quotes)" },
		{ P "devpts = auto \"host", "x:3: devpts: the quote in \"\"host\" is not closed" },
		{ P "home = private", "x:3: home: \"private\" is not one of bind, tmpfs, overlay, none" },
		{ P "sys = rw", "x:3: sys: \"rw\" is not one of ro, none" },
		{ P "proc_subset = none", "x:3: proc_subset: \"none\" is not one of all, pid" },
		{ P "private_tmp = yes", "x:3: private_tmp: \"yes\" is not one of session, no" },
		{ P "network = vets", "x:3: network: \"vets\" is not one of loopback, host, veth, bridge:NAME, netns:NAME, join:USER" },
		{ P "network = Host", "x:3: network: \"Host\" is not one of loopback, host, veth, bridge:NAME, netns:NAME, join:USER" },
		{ P "share = group", "x:3: share: \"group\" is not one of session, user" },
		{ P "on_change = maybe", "x:3: on_change: \"maybe\" is not one of separate, refuse" },
		{ P "linger = for ever",
		  "x:3: linger: \"for ever\" is no duration like 2s, 500ms or \"1min 30s\", nor \"infinity\", nor "
		  "\"no\", nor \"yes\"" },
		{ P "linger = 400d", "x:3: linger: \"400d\" is too long: at most 366d are allowed, or \"infinity\"" },
		{ P "stop_timeout = soon",
		  "x:3: stop_timeout: \"soon\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = 5 parsecs",
		  "x:3: stop_timeout: \"5 parsecs\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = 1m 5",
		  "x:3: stop_timeout: \"1m 5\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = -1", "x:3: stop_timeout: \"-1\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = 1.5s",
		  "x:3: stop_timeout: \"1.5s\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = 1000000x",
		  "x:3: stop_timeout: \"1000000x\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = 1abcdefghijklmnopqrstuvw",
		  "x:3: stop_timeout: \"1abcdefghijklmnopqrstuvw\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = \"\"", "x:3: stop_timeout: \"\" is no duration like 2s, 500ms or \"1min 30s\"" },
		{ P "stop_timeout = \"1s\" 2s",
		  "x:3: stop_timeout: one value is allowed, \"2s\" is too much (a value with blanks needs quotes)" },
		{ P "stop_timeout = infinity",
		  "x:3: stop_timeout: \"infinity\" is too long: at most 300s are allowed" },
		{ P "stop_timeout = 301", "x:3: stop_timeout: \"301\" is too long: at most 300s are allowed" },
		{ P "stop_timeout = 5min 1ms",
		  "x:3: stop_timeout: \"5min 1ms\" is too long: at most 300s are allowed" },
		{ P "stop_timeout = 1h", "x:3: stop_timeout: \"1h\" is too long: at most 300s are allowed" },
		{ P "stop_timeout = 9223372036854775807h",
		  "x:3: stop_timeout: \"9223372036854775807h\" is too long: at most 300s are allowed" },
		{ P "hostname =", "x:3: hostname: the value is missing" },
		{ P "hostname = \"\"", "x:3: hostname: the value is empty" },
		{ P "hostname = a b",
		  "x:3: hostname: one value is allowed, \"b\" is too much (a value with blanks needs quotes)" },
		{ P "hostname = %z",
		  "x:3: hostname: unknown specifier \"%z\" in \"%z\"; there are %u %U %g %G %h %H %s %i %%" },
		{ P "domainname = 5%",
		  "x:3: domainname: \"5%\" ends with a lone \"%\": write \"%%\" for a percent sign" },
		{ P "namespaces = mount pid net",
		  "x:3: namespaces: \"net\" does not stand here: the key network decides about that namespace" },
		{ P "namespaces = mount pid mnt",
		  "x:3: namespaces: \"mnt\" is not one of uts, ipc, mount, pid, cgroup" },
		{ P "namespaces = uts pid",
		  "x:3: namespaces: \"mount\" and \"pid\" cannot be left out: without them there is "
		  "no root and no /proc of its own, hence no box" },
		{ P "namespaces = \"mount", "x:3: namespaces: the quote in \"\"mount\" is not closed" },
		{ P "namespaces =", "x:3: namespaces: the value is missing" },
		{ P "root = srv", "x:3: root: \"srv\" is neither \"host\" nor \"curated\" nor an absolute path" },
		{ P "root = Curated",
		  "x:3: root: \"Curated\" is neither \"host\" nor \"curated\" nor an absolute path" },
		{ P "root = /srv/a:/srv/b", "x:3: root: \"/srv/a:/srv/b\" has a \":\" in it: write one path" },
		{ P "overlay = yes", "x:3: overlay: \"yes\" is neither \"no\" nor \"ephemeral\" nor an absolute path" },
		{ P "overlay = /", "x:3: overlay: \"/\" is the host's own root: write a directory of its own" },
		{ P "overlay = /var/../x", "x:3: overlay: \"/var/../x\" has a \"..\" in it: write the path without" },
		{ P "layers = /a:b", "x:3: layers: \"b\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "layers = /a:", "x:3: layers: \"\" is not an absolute path: it must begin with \"/\" or \"%h\"" },
		{ P "layers = /a:/", "x:3: layers: \"/a:/\" names the host's own root as a layer" },
		{ P "layers = /a:/b/../c", "x:3: layers: \"/b/../c\" has a \"..\" in it: write the path without" },
		{ P "root_readonly = maybe", "x:3: root_readonly: \"maybe\" is neither \"yes\" nor \"no\"" },
		{ P "root = /srv/../etc", "x:3: root: \"/srv/../etc\" has a \"..\" in it: write the path without" },
		{ P "root = //", "x:3: root: \"//\" is the host's own root: write \"host\"" },
		{ P "root = /%y",
		  "x:3: root: unknown specifier \"%y\" in \"/%y\"; there are %u %U %g %G %h %H %s %i %%" },
		{ P "cgroup_parent = /a",
		  "x:3: cgroup_parent: \"/a\" is no name: it takes 1 to 64 of A-Z a-z 0-9 . _ - (not "
		  "\".\" or \"..\"), several parts with \"/\" between" },
		{ P "cgroup_parent = a/../b",
		  "x:3: cgroup_parent: \"a/../b\" is no name: it takes 1 to 64 of A-Z a-z 0-9 . "
		  "_ - (not \".\" or \"..\"), several parts with \"/\" between" },
		{ P "cgroup_parent = %u",
		  "x:3: cgroup_parent: \"%u\" is no name: it takes 1 to 64 of A-Z a-z 0-9 . _ - (not "
		  "\".\" or \"..\"), several parts with \"/\" between" },
		{ P "pids_max = 0", "x:3: pids_max: \"0\" is neither a number from 1 to 4194304 nor \"infinity\"" },
		{ P "pids_max = 4194305",
		  "x:3: pids_max: \"4194305\" is neither a number from 1 to 4194304 nor \"infinity\"" },
		{ P "pids_max = 1k", "x:3: pids_max: \"1k\" is neither a number from 1 to 4194304 nor \"infinity\"" },
		{ P "pids_max = 1 2",
		  "x:3: pids_max: one value is allowed, \"2\" is too much (a value with blanks needs quotes)" },
	};
	char *text, part[260];

	(void)state;
	expect_faults(faults, COUNT(faults));
	for (size_t i = 0; i < sizeof(part); i++)
		part[i] = i % 2 != 0 ? '/' : 'a';
	part[sizeof(part) - 1] = '\0';
	text = nsb_format(P "cgroup_parent = %s", part);
	expect_fault_sized(
		text, strlen(text),
		"x:3: cgroup_parent: \"a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/...\" is longer "
		"than 255 characters");
	free(text);
}

static void good_syntax(void **state)
{
	static const char text[] = "# comment\n"
				   "   # another\n"
				   "\t\n"
				   "[defaults] # x\n"
				   "pids_max=1\n"
				   "[\tprofile   a-b_c.D9\t]   \n"
				   "  users\t=\t al*  @\"domain users\"\t# comment\n"
				   "users = \"b # \\\"c\\\\\" d#e\n"
				   "users =#f\n"
				   "users = \xc3\xa4\xff\n"
				   "bind = \"/a b\":\"/c d\" /e\"\"f\n"
				   "hostname = \"my # host\"#no-comment"; /* "#" after no blank; no newline */
	nsb_config *config;
	nsb_settings s;

	(void)state;
	config = read_good(text);
	assert_int_equal(nsb_config_n_profiles(config), 1);
	assert_string_equal(nsb_config_profile(config, 0)->name, "a-b_c.D9");
	assert_int_equal(nsb_config_profile(config, 0)->at.line, 6);
	assert_string_equal(nsb_config_profile(config, 0)->at.file, "x");
	assert_int_equal(nsb_config_defaults(config)->at.line, 4);
	assert_null(nsb_config_profile(config, 1));
	assert_null(nsb_config_find(config, "x"));
	s = settings_of(config, "a-b_c.D9");
	assert_list(&s.users, "<al*> <@domain users> <b # \"c\\> <d#e> <#f> <\xc3\xa4\xff>");
	assert_int_equal(s.users.origins[0].line, 7);
	assert_int_equal(s.users.origins[3].line, 8);
	assert_list(&s.bind, "</a b:/c d> </ef>");
	assert_string_equal(s.hostname, "my # host#no-comment");
	nsb_settings_done(&s);
	nsb_config_free(config);
}

static void good_values(void **state)
{
	static const struct {
		const char *value;
		int64_t milliseconds;
	} durations[] = {
		{ "0", 0 },
		{ "2", 2000 },
		{ "2s", 2000 },
		{ "500ms", 500 },
		{ "1min 30s", 90000 },
		{ "\"1min 30s\"", 90000 },
		{ "1min30s", 90000 },
		{ "2 sec", 2000 },
		{ "5m", 300000 },
		{ "1 minute", 60000 },
		{ "3 seconds", 3000 },
		{ "1second 1msec", 1001 },
		{ "0h", 0 },
		{ "00000000000000005", 5000 },
	};
	static const char *const good[] = {
		"bind = /a:/proc/x /b:/dev/shm %h %h/.ssh:/x /:/host /a//b/ /...",
		"tmpfs = /a /c:size=64m,mode=1777,nr_inodes=10K,noexec %h/tmp:mode=700",
		"mask = /sys/x /procx %h/x /srv/%u",
		"root = /srv/root-%g",
		"root = curated",
		"overlay = ephemeral",
		"overlay = /var/lib/nsbox/%u",
		"overlay_size = 1G",
		"overlay_size = 12%",
		"layers = /a:/b/%g:/c /d",
		"root_readonly = yes",
		"root = %h",
		"cgroup_parent = user.slice/nsbox",
		"namespaces = pid mount",
		"domainname =",
		"inherits = p0",
		"bind =",
		"users =",
		"from = !local 10.0.0.0/8",
	};
	nsb_settings s = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(durations); i++) {
		assert_int_equal(
			nsb_key_apply(nsb_key_find("stop_timeout"), durations[i].value, (nsb_origin){ 0 }, &s, NULL),
			0);
		assert_int_equal(s.stop_timeout, durations[i].milliseconds);
	}
	nsb_settings_done(&s);
	for (size_t i = 0; i < COUNT(good); i++) {
		char *text = nsb_format("[profile p0]\nusers=\n" P "%s\n", good[i]);

		nsb_config_free(read_good(text));
		free(text);
	}
}

/* What each kind of number takes and refuses: test_config_amounts.c. */
static void limit_faults(void **state)
{
	static const fault faults[] = {
		{ P "memory_max = 512", "x:3: memory_max: \"512\" is less than 1M: did you forget the unit?" },
		{ P "cpuset = 0\ncpuset = 1", "x:4: cpuset is set already in x:3" },
		{ P "limits_optional =", "x:3: limits_optional: the value is missing" },
		{ P "io_max = /dev/sda rbps=1\nio_max = /dev/sda \"",
		  "x:4: io_max: the quote in \"\"\" is not closed" },
	};

	(void)state;
	expect_faults(faults, COUNT(faults));
}

static void good_io_and_words(void **state)
{
	nsb_config *config = read_good("[defaults]\nio_max = /dev/sda rbps=10M\nlimits_optional = \"yes\"\n" P
				       "io_max =\nio_max = /dev/sda wiops=1.5K wbps=5000 riops=100 rbps=1G # x\n"
				       "io_max = \"/srv/data\" \"wbps=1000000T\"\nio_max = / riops=4294967294\n"
				       "cgroup_manager = systemd\n[profile q]\nusers = a\ncgroup_manager = cgroupfs\n"
				       "limits_optional = no\n");
	nsb_settings s = settings_of(config, "p");

	(void)state;
	assert_list(&s.io_max, "</dev/sda rbps=10000000> "
			       "</dev/sda rbps=1000000000 wbps=5000 riops=100 wiops=1500> "
			       "</srv/data wbps=1000000000000000000> </ riops=4294967294>");
	assert_int_equal(s.io_max.origins[0].line, 2);
	assert_int_equal(s.io_max.origins[1].line, 7);
	assert_true(s.limits_optional);
	assert_int_equal(s.cgroup_manager, NSB_CGROUP_MANAGER_SYSTEMD);
	nsb_settings_done(&s);
	s = settings_of(config, "q");
	assert_false(s.limits_optional);
	assert_int_equal(s.cgroup_manager, NSB_CGROUP_MANAGER_CGROUPFS);
	nsb_settings_done(&s);
	nsb_config_free(config);
}

/* All problems at once, in the order of the lines; nothing after one is lost. */
static void all_at_once(void **state)
{
	static const char text[] = "x = 1\n[profile a]\nusers = !!\nbnd = /a\n[profile a]\nusers = b\nroot = x\njunk\n"
				   "[profile c]\ninherits = d\n";
	static const char *const wanted[] = { "x:1: ", "x:1: ", "x:3: ", "x:4: ", "x:5: ",
					      "x:7: ", "x:8: ", "x:9: ", "x:10: " };
	nsb_problems problems = { 0 };
	nsb_config *config = read_text(text, strlen(text), &problems);

	(void)state;
	assert_int_equal(problems.n, COUNT(wanted));
	for (size_t i = 0; i < COUNT(wanted); i++)
		assert_ptr_equal(nsb_after_prefix(problems.lines[i], wanted[i]), problems.lines[i] + strlen(wanted[i]));
	nsb_problems_done(&problems);
	nsb_config_free(config);
}

static void many(void **state)
{
	const size_t n = 5 * NSB_CONFIG_PROBLEMS_MAX;
	char *text = calloc(n, 8), *long_value;
	nsb_problems problems = { 0 };
	nsb_config *config;
	nsb_settings s;

	(void)state;
	for (size_t i = 0; i < n; i++)
		memcpy(text + 2 * i, "?\n", 3);
	config = read_text(text, strlen(text), &problems);
	assert_int_equal(problems.n, NSB_CONFIG_PROBLEMS_MAX);
	assert_int_equal(problems.dropped, n - NSB_CONFIG_PROBLEMS_MAX);
	assert_ptr_equal(nsb_after_prefix(problems.lines[99], "x:100: "), problems.lines[99] + 7);
	nsb_problems_done(&problems);
	assert_int_equal(problems.dropped, 0);
	nsb_config_free(config);
	free(text);

	/* one line may be as long as the file */
	long_value = nsb_format("[profile p]\nusers = %*s\n", NSB_CONFIG_FILE_MAX - 100, "a");
	config = read_good(long_value);
	s = settings_of(config, "p");
	assert_list(&s.users, "<a>");
	nsb_settings_done(&s);
	nsb_config_free(config);
	free(long_value);

	config = NULL;
	for (int i = 0; i <= NSB_CONFIG_PROFILES_MAX; i++) {
		text = nsb_format("[profile p%d]\nusers = a\n", i);
		assert_int_equal(nsb_config_parse("x", text, strlen(text), &config, &problems), 0);
		free(text);
	}
	assert_int_equal(problems.n, 1);
	assert_string_equal(problems.lines[0], "x:1: there are more than 1000 profiles");
	assert_int_equal(nsb_config_n_profiles(config), NSB_CONFIG_PROFILES_MAX);
	nsb_problems_done(&problems);
	nsb_config_free(config);
}

static void several_files(void **state)
{
	static const char a[] = "[defaults]\npids_max = 5\nmask = /a\n[profile p]\nusers = a\n";
	static const char b[] = "[defaults]\nmask = /b\nroot = host\n[profile q]\nusers = a\ninherits = p\n";
	static const char c[] = "[defaults]\npids_max = 6\n[profile q]\nusers = a\n";
	nsb_problems problems = { 0 };
	nsb_config *config = NULL;
	nsb_settings s;

	(void)state;
	assert_int_equal(nsb_config_parse("a.conf", a, strlen(a), &config, &problems), 0);
	assert_int_equal(nsb_config_parse("b.conf", b, strlen(b), &config, &problems), 0);
	assert_int_equal(nsb_config_finish(config, &problems), 0);
	assert_int_equal(problems.n, 0);
	s = settings_of(config, "p");
	assert_list(&s.mask, "</a> </b>");
	assert_string_equal(s.mask.origins[1].file, "b.conf");
	assert_int_equal(s.pids_max, 5);
	nsb_settings_done(&s);
	assert_int_equal(nsb_config_parse("c.conf", c, strlen(c), &config, &problems), 0);
	assert_int_equal(problems.n, 2);
	assert_string_equal(problems.lines[0], "c.conf:2: pids_max is set already in a.conf:2");
	assert_string_equal(problems.lines[1], "c.conf:3: profile \"q\" is defined already in b.conf:4");
	nsb_problems_done(&problems);
	nsb_config_free(config);
}

static void check_builtin(const nsb_settings *s)
{
	const uint64_t wanted = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID | 0x02000000 /* cgroup */;

	assert_list(&s->services, "<*>");
	assert_list(&s->from, "");
	assert_null(s->inherits);
	assert_int_equal(s->on_error, NSB_ON_ERROR_DENY);
	assert_int_equal(s->stop_timeout, 2000);
	assert_string_equal(s->hostname, "%H");
	assert_string_equal(s->domainname, "");
	assert_true(s->namespaces == wanted);
	assert_string_equal(s->root, "host");
	assert_list(&s->bind, "");
	assert_list(&s->bind_ro, "");
	assert_list(&s->bind_optional, "");
	assert_list(&s->tmpfs, "");
	assert_list(&s->mask, "");
	assert_int_equal(s->private_tmp, NSB_PRIVATE_TMP_SESSION);
	assert_int_equal(s->devpts, NSB_DEVPTS_AUTO);
	assert_true(s->sessions_max == NSB_INFINITY);
	assert_true(s->runtime_max == NSB_INFINITY);
	assert_int_equal(s->cgroup_manager, NSB_CGROUP_MANAGER_AUTO);
	assert_string_equal(s->cgroup_parent, "nsbox");
	assert_int_equal(s->pids_max, 2048);
	assert_true(s->memory_max == NSB_INFINITY);
	assert_true(s->memory_high == NSB_INFINITY);
	assert_true(s->swap_max == NSB_INFINITY);
	assert_true(s->cpu_max == NSB_INFINITY);
	assert_int_equal(s->cpu_weight, NSB_WEIGHT_DEFAULT);
	assert_string_equal(s->cpuset, "");
	assert_int_equal(s->io_weight, NSB_WEIGHT_DEFAULT);
	assert_list(&s->io_max, "");
	assert_true(s->user_pids_max == NSB_INFINITY);
	assert_true(s->user_memory_max == NSB_INFINITY);
	assert_true(s->user_cpu_max == NSB_INFINITY);
	assert_false(s->limits_optional);
	assert_string_equal(s->network, "loopback");
	assert_false(s->network_named);
}

static void builtin_values(void **state)
{
	nsb_config *config = read_good("[profile p]\nusers =\n");
	nsb_settings s = settings_of(config, "p");

	(void)state;
	check_builtin(&s);
	assert_list(&s.users, "");
	assert_null(s.services.origins[0].file);
	nsb_settings_done(&s);
	nsb_config_free(config);
}

static void precedence(void **state)
{
	nsb_config *config = read_good("[profile child]\nusers = c\ninherits = parent\npids_max = 3\nmask = /child\n"
				       "[profile parent]\nusers = p\nservices = sshd\nfrom = local\ninherits = grand\n"
				       "pids_max = 2\nmask = /parent /parent2\nhostname = parent\n"
				       "[profile grand]\nusers =\nnetwork = host\npids_max = 1\nmask = /grand\n"
				       "on_error = allow\nhostname = grand\nnamespaces = mount pid\n"
				       "[profile alone]\nusers =\n"
				       "[defaults]\nmask = /defaults\nhostname = defaults\nroot = /srv/root\n"
				       "network = loopback\nstop_timeout = 7s\npids_max = infinity\n");
	nsb_settings s = settings_of(config, "child");

	(void)state;
	assert_list(&s.mask, "</defaults> </grand> </parent> </parent2> </child>");
	assert_int_equal(s.mask.origins[3].line, 12);
	assert_list(&s.users, "<c>");
	assert_list(&s.services, "<*>");
	assert_list(&s.from, "");
	assert_string_equal(s.inherits, "parent");
	assert_int_equal(s.pids_max, 3);
	assert_string_equal(s.hostname, "parent");
	assert_string_equal(s.root, "/srv/root");
	assert_string_equal(s.network, "host");
	assert_true(s.network_named);
	assert_int_equal(s.on_error, NSB_ON_ERROR_ALLOW);
	assert_int_equal(s.stop_timeout, 7000);
	assert_true(s.namespaces == (CLONE_NEWNS | CLONE_NEWPID));
	nsb_settings_done(&s);

	s = settings_of(config, "parent");
	assert_list(&s.services, "<sshd>");
	assert_list(&s.from, "<local>");
	nsb_settings_done(&s);

	/* in [defaults] the key is not named by the profile */
	s = settings_of(config, "alone");
	assert_false(s.network_named);
	assert_true(s.pids_max == NSB_INFINITY);
	nsb_settings_done(&s);
	nsb_settings_done(&s); /* harmless */
	nsb_config_free(config);
}

static void failed_value_changes_nothing(void **state)
{
	nsb_settings s = { 0 };
	nsb_error error = { 0 };
	nsb_origin at = { "x", 1 };

	(void)state;
	assert_int_equal(nsb_key_apply(nsb_key_find("mask"), "/a", at, &s, &error), 0);
	assert_int_equal(nsb_key_apply(nsb_key_find("mask"), "/b /c d", at, &s, &error), -EINVAL);
	assert_list(&s.mask, "</a>");
	assert_int_equal(nsb_key_apply(nsb_key_find("mask"), "/d", at, &s, &error), 0);
	assert_list(&s.mask, "</a> </d>");
	assert_int_equal(nsb_key_apply(nsb_key_find("hostname"), "a", at, &s, &error), 0);
	assert_int_equal(nsb_key_apply(nsb_key_find("hostname"), "%", at, &s, &error), -EINVAL);
	assert_string_equal(s.hostname, "a");
	assert_int_equal(nsb_key_apply(nsb_key_find("io_max"), "/d rbps=1 wbps=x", at, &s, &error), -EINVAL);
	assert_list(&s.io_max, "");
	assert_int_equal(nsb_key_apply(nsb_key_find("cpuset"), "3", at, &s, &error), 0);
	assert_int_equal(nsb_key_apply(nsb_key_find("cpuset"), "4 x", at, &s, &error), -EINVAL);
	assert_string_equal(s.cpuset, "3");
	assert_int_equal(nsb_key_apply(nsb_key_find("memory_max"), "5M", at, &s, &error), 0);
	assert_int_equal(nsb_key_apply(nsb_key_find("memory_max"), "5", at, &s, &error), -EINVAL);
	assert_int_equal(s.memory_max, 5 << 20);
	/* the first sentence stays */
	assert_non_null(strstr(error.words, "mask: "));
	nsb_settings_done(&s);
}

static void key_table(void **state)
{
	nsb_settings s = { 0 };

	(void)state;
	for (size_t i = 0; i < nsb_n_keys; i++) {
		const nsb_key *key = &nsb_keys[i];
		size_t length = strlen(key->summary);

		assert_ptr_equal(nsb_key_find(key->name), key);
		assert_non_null(key->fallback);
		assert_non_null(key->subject);
		/* it stands in one line of nsbox.conf */
		assert_in_range(length, 10, 116);
		assert_int_equal(key->summary[length - 1], '.');
		if (key->type != NSB_KEY_DURATION) /* it may have words besides times */
			assert_int_equal(key->type == NSB_KEY_ENUM || key->type == NSB_KEY_FLAGS, key->choices != NULL);
		if (key->type != NSB_KEY_NAME || key->fallback[0] != '\0')
			assert_int_equal(nsb_key_apply(key, key->fallback, (nsb_origin){ 0 }, &s, NULL), 0);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(nsb_keys[j].offset, key->offset);
	}
	nsb_settings_done(&s);
	assert_null(nsb_key_find(""));
	assert_null(nsb_key_find("user"));
	/* the words are those of the table of namespaces, in its order, without the two that have keys of their own */
	for (size_t i = 0, j = 0; i < nsb_n_namespaces; i++) {
		const nsb_choice_word *word = &nsb_key_find("namespaces")->choices[j];

		if (strcmp(nsb_namespaces[i].key, "net") == 0 || strcmp(nsb_namespaces[i].key, "user") == 0)
			continue;
		assert_string_equal(word->word, nsb_namespaces[i].key);
		assert_int_equal(word->value, nsb_namespaces[i].flag);
		assert_int_equal(word[1].word == NULL, i + 2 == nsb_n_namespaces);
		j++;
	}
}

static void nearest(void **state)
{
	(void)state;
	assert_string_equal(nsb_key_nearest("networks"), "network");
	assert_string_equal(nsb_key_nearest("bind-optional"), "bind_optional");
	assert_string_equal(nsb_key_nearest("private_temp"), "private_tmp");
	assert_string_equal(nsb_key_nearest("stoptimeot"), "stop_timeout");
	assert_string_equal(nsb_key_nearest("cgroup_praent"), "cgroup_parent");
	assert_null(nsb_key_nearest(""));
	assert_null(nsb_key_nearest("b"));
	assert_null(nsb_key_nearest("xyzzy"));
	/* half of its length is wrong */
	assert_null(nsb_key_nearest("mesh"));
	assert_null(nsb_key_nearest("networknetworknetworknetworknetwork"));
}

static char *read_shipped(void)
{
	const char *srcdir = getenv("srcdir"); /* set by automake's test driver */
	char *path = nsb_format("%s/conf/nsbox.conf", srcdir != NULL ? srcdir : ".");
	char *text = calloc(1, 65536);
	FILE *file = fopen(path, "re");

	if (file == NULL)
		fail_msg("cannot open %s", path);
	assert_in_range(fread(text, 1, 65535, file), 1, 65534);
	fclose(file);
	free(path);
	return text;
}

static void shipped_file(void **state)
{
	char *text = read_shipped(), *line;
	nsb_config *config = read_good(text);
	const nsb_section *defaults = nsb_config_defaults(config);
	size_t named = 0;
	nsb_problems problems = { 0 };
	static const char probe[] = "[profile probe]\nusers =\n";
	nsb_settings s;

	(void)state;
	assert_int_equal(nsb_config_n_profiles(config), 0);
	for (size_t i = 0; i < nsb_n_keys; i++) {
		if (nsb_keys[i].profile_only)
			continue;
		/* the summary as a comment, and the default right below it */
		line = nsb_format("\n# %s\n%s =%s%s\n", nsb_keys[i].summary, nsb_keys[i].name,
				  nsb_keys[i].fallback[0] != '\0' ? " " : "", nsb_keys[i].fallback);
		if (strstr(text, line) == NULL)
			fail_msg("conf/nsbox.conf lacks:%s", line);
		free(line);
		named++;
	}
	assert_int_equal(defaults->n_assignments, named);
	assert_int_equal(nsb_config_parse("probe", probe, strlen(probe), &config, &problems), 0);
	assert_int_equal(problems.n, 0);
	s = settings_of(config, "probe");
	check_builtin(&s);
	nsb_settings_done(&s);
	nsb_config_free(config);
	free(text);
}

/* The example is what stands in lines that begin with "#" and have no blank behind it. */
static void shipped_example(void **state)
{
	char *text = read_shipped();
	nsb_config *config;
	nsb_settings s;

	(void)state;
	for (char *at = strstr(text, "\n#[profile "); at != NULL; at = strstr(at + 1, "\n#"))
		if (at[2] != ' ' && at[2] != '\n')
			memmove(at + 1, at + 2, strlen(at + 2) + 1);
	config = read_good(text);
	assert_int_equal(nsb_config_n_profiles(config), 1);
	s = settings_of(config, "students");
	assert_int_equal(s.pids_max, 256);
	assert_true(s.network_named);
	assert_list(&s.users, "<@students> <20000-29999> <!@sudo>");
	assert_list(&s.bind_ro, "</srv/courses/%g:/srv/course>");
	nsb_settings_done(&s);
	nsb_config_free(config);
	free(text);
}

/* Every allocation fails once: -ENOMEM, nothing leaks, and a problem is never made out of it. */
static void no_memory(void **state)
{
	static const char text[] =
		"[defaults]\nmask = /a /b\n[profile a]\nusers = x y\ninherits = b\nhostname = \"q r\"\n"
		"stop_timeout = 1s\n[profile b]\nusers=\nnamespaces = mount pid\npids_max = 3\n"
		"memory_max = 1G\ncpuset = 0 2\nio_max = /dev/sda rbps=1M\nlimits_optional = yes\n";
	nsb_settings s = { 0 };
	nsb_config *config;
	int n, r;

	(void)state;
	for (n = 0;; n++) {
		nsb_problems problems = { 0 };

		config = NULL;
		alloc_fail_at(n);
		r = nsb_config_parse("x", text, strlen(text), &config, &problems);
		if (r == 0)
			r = nsb_config_finish(config, &problems);
		assert_int_equal(problems.n + problems.dropped, 0);
		if (!alloc_fail_end())
			break;
		assert_int_equal(r, -ENOMEM);
		nsb_config_free(config);
	}
	assert_int_equal(r, 0);
	assert_true(n > 40);
	for (n = 0;; n++) {
		nsb_error error = { 0 };

		alloc_fail_at(n);
		r = nsb_config_settings(config, nsb_config_find(config, "a"), &s, &error);
		if (!alloc_fail_end())
			break;
		assert_int_equal(r, -ENOMEM);
		assert_string_equal(error.words, "no memory for the settings of profile \"a\"");
		assert_null(s.hostname);
	}
	assert_int_equal(r, 0);
	assert_true(n > 20);
	assert_string_equal(s.hostname, "q r");
	nsb_settings_done(&s);
	nsb_config_free(config);
}

static void no_memory_for_problems(void **state)
{
	nsb_problems problems = { 0 };

	(void)state;
	nsb_problems_add(&problems, (nsb_origin){ NULL, 0 }, "%s", "a\nb");
	nsb_problems_add(&problems, (nsb_origin){ "f", 0 }, "b");
	for (int i = 0; i < 2; i++) {
		alloc_fail_at(i);
		nsb_problems_add(&problems, (nsb_origin){ "f", 3 }, "c");
		assert_true(alloc_fail_end());
	}
	nsb_problems_add(&problems, (nsb_origin){ "f", 3 }, "d");
	assert_int_equal(problems.n, 3);
	assert_int_equal(problems.dropped, 2);
	assert_string_equal(problems.lines[0], "a?b");
	assert_string_equal(problems.lines[1], "f: b");
	assert_string_equal(problems.lines[2], "f:3: d");
	nsb_problems_done(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syntax),
		cmocka_unit_test(inheritance_faults),
		cmocka_unit_test(values_of_lists),
		cmocka_unit_test(values_of_others),
		cmocka_unit_test(good_syntax),
		cmocka_unit_test(good_values),
		cmocka_unit_test(limit_faults),

		cmocka_unit_test(good_io_and_words),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(many),
		cmocka_unit_test(several_files),
		cmocka_unit_test(builtin_values),
		cmocka_unit_test(precedence),
		cmocka_unit_test(failed_value_changes_nothing),
		cmocka_unit_test(key_table),
		cmocka_unit_test(nearest),
		cmocka_unit_test(shipped_file),
		cmocka_unit_test(shipped_example),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(no_memory_for_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
