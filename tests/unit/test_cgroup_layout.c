/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which control group trees are used, from texts of many kinds of machines, and who makes groups in them. NSB_RUNDIR is
 * "run" here, below a directory of the test's own. Linked with --wrap=faccessat,--wrap=fopen: what this process may
 * write, and where /proc and /run/systemd are.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/registry.h"
#include "common/settings.h"
#include "common/string-util.h"
#include "helper/cgroup.h"

/* --- which trees --- */

#define PIDS	(1u << NSB_CONTROLLER_PIDS)
#define MEMORY	(1u << NSB_CONTROLLER_MEMORY)
#define CPU	(1u << NSB_CONTROLLER_CPU)
#define CPUSET	(1u << NSB_CONTROLLER_CPUSET)
#define IO	(1u << NSB_CONTROLLER_IO)
#define CPUACCT (1u << NSB_CONTROLLER_CPUACCT)
#define ALL	((1u << NSB_CONTROLLERS) - 1)

/* mountinfo and /proc/self/cgroup of real machines, cut to what matters. */
#define MOUNTS_HEAD \
	"21 26 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\n" \
	"22 26 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw\n"
#define V2_MOUNT "30 21 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_PIDS "35 30 0:31 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,pids\n"
#define V1_CPU "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:14 - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_SYSTEMD "32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd\n"
#define V2_UNIFIED "31 30 0:27 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_OWN(name) "4 30 0:3 / /cg/" name " rw,relatime shared:1 - cgroup cgroup rw," name "\n"
#define V1_ALL V1_OWN("cpuacct") V1_OWN("blkio") V1_OWN("cpuset") V1_OWN("cpu") V1_OWN("memory") V1_OWN("pids")
#define SELF_ALL "9:pids:/p\n8:cpuset:/s\n7:cpuacct:/a\n6:memory:/m\n5:blkio:/b\n2:cpu:/c\n1:name=systemd:/x\n0::/u\n"

/* `layout`: what describe() says of it. "" where it is refused. */
static const struct {
	const char *name, *mounts, *self, *unified;
	unsigned wanted, accounting;
	int r;
	const char *layout;
} machines[] = {
	/* one controller */
	{ "nine v1 lines before 0::, in a container",
	  "500 490 0:40 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755\n"
	  "501 500 0:41 / /sys/fs/cgroup/cpu rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,cpu\n"
	  "502 500 0:42 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,memory\n"
	  "503 500 0:43 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,pids\n"
	  "504 500 0:44 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw\n",
	  "9:freezer:/\n8:cpuset:/\n7:pids:/nsbox-test.42\n6:memory:/\n5:blkio:/\n4:devices:/\n3:cpuacct:/\n2:cpu:/\n"
	  "1:net_cls,net_prio:/\n0::/nsbox-test.42\n",
	  "", PIDS, 0, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/nsbox-test.42 pids\n"
	  "beside /sys/fs/cgroup/unified /sys/fs/cgroup/unified/nsbox-test.42\n" },
	{ "Debian 12 with systemd", MOUNTS_HEAD V2_MOUNT, "0::/system.slice/ssh.service\n", "pids", PIDS, 0, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/system.slice/ssh.service pids\n" },
	{ "in the root group", MOUNTS_HEAD V2_MOUNT, "0::/\n", "pids", PIDS, 0, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup pids\n" },
	{ "hybrid systemd: v1 has the controller", MOUNTS_HEAD V2_UNIFIED V1_SYSTEMD V1_CPU V1_PIDS,
	  "12:pids:/user.slice/user-0.slice/session-1.scope\n11:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice\n"
	  "0::/user.slice/user-0.slice/session-1.scope\n",
	  "", PIDS, 0, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/user.slice/user-0.slice/session-1.scope pids\n"
	  "beside /sys/fs/cgroup/unified /sys/fs/cgroup/unified/user.slice/user-0.slice/session-1.scope\n" },
	{ "hybrid, pids tree first", MOUNTS_HEAD V1_PIDS V2_UNIFIED, "12:pids:/a\n0::/b\n", "", PIDS, 0, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a pids\nbeside /sys/fs/cgroup/unified /sys/fs/cgroup/unified/b\n" },
	{ "v1 without pids, v2 beside it", MOUNTS_HEAD V1_CPU V1_SYSTEMD V2_UNIFIED, "11:cpu,cpuacct:/a\n0::/b\n", "pids",
	  PIDS, 0, 0, "2 /sys/fs/cgroup/unified /sys/fs/cgroup/unified/b pids\n" },
	{ "pids together with others", "40 30 0:31 / /cg rw - cgroup none rw,cpu,pids,memory\n",
	  "3:cpu,pids,memory:/x\n0::/y\n", "", PIDS, 0, 0, "1 /cg /cg/x pids\n" },
	{ "a controller whose name ends so", "40 30 0:31 / /cg rw - cgroup none rw,xpids\n" V2_MOUNT,
	  "3:xpids:/x\n0::/y\n", "pids", PIDS, 0, 0, "2 /sys/fs/cgroup /sys/fs/cgroup/y pids\n" },
	{ "a tree without controllers that is called so",
	  "40 30 0:31 / /cg rw - cgroup none rw,xattr,name=pids\n" V2_MOUNT, "3:name=pids:/x\n0::/y\n", "pids", PIDS, 0, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/y pids\n" },
	{ "docker, v1: the mount shows a part of the tree",
	  "700 690 0:31 /docker/x /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids\n", "12:pids:/docker/x\n0::/\n", "",
	  PIDS, 0, 0, "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids pids\n" },
	{ "the same, deeper", "700 690 0:31 /docker/x /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids\n",
	  "12:pids:/docker/x/user/a\n", "", PIDS, 0, 0, "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/user/a pids\n" },
	{ "a group beside the one that is shown", "700 690 0:31 /docker/x /cg ro - cgroup cgroup rw,pids\n",
	  "12:pids:/docker/xy\n", "", PIDS, 0, -EBADMSG, "" },
	{ "docker, v2, cgroup namespace", "700 690 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n", "0::/\n",
	  "pids", PIDS, 0, 0, "2 /sys/fs/cgroup /sys/fs/cgroup pids\n" },
	{ "outside of the cgroup namespace's root", V2_MOUNT, "0::/../../system.slice\n", "pids", PIDS, 0, -EBADMSG, "" },
	{ "a mount of a parent of the namespace's root", "700 690 0:26 /../.. /cg rw - cgroup2 cgroup2 rw\n", "0::/\n",
	  "pids", PIDS, 0, -EBADMSG, "" },
	{ "a blank and a backslash in the mount's path",
	  "700 690 0:26 / /mnt/my\\040cgroup\\134s rw - cgroup2 cgroup2 rw\n", "0::/a b\n", "pids", PIDS, 0, 0,
	  "2 /mnt/my cgroup\\s /mnt/my cgroup\\s/a b pids\n" },
	{ "a blank in the root of the mount", "700 690 0:31 /my\\040group /cg rw - cgroup cgroup rw,pids\n",
	  "1:pids:/my group/a\n", "", PIDS, 0, 0, "1 /cg /cg/a pids\n" },
	{ "a colon in the group's name", V2_MOUNT, "0::/a:b/c:pids:d\n", "pids", PIDS, 0, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/a:b/c:pids:d pids\n" },
	{ "fields of propagation, several of them",
	  "30 21 0:26 / /cg rw shared:9 master:4 propagate_from:2 unbindable - cgroup2 cgroup2 rw\n", "0::/a\n", "pids",
	  PIDS, 0, 0, "2 /cg /cg/a pids\n" },
	{ "dots in a name are no way up", V2_MOUNT, "0::/a..b/c..\n", "pids", PIDS, 0, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/a..b/c.. pids\n" },
	{ "two v2 mounts: the first", V2_MOUNT "31 21 0:26 / /second rw - cgroup2 cgroup2 rw\n", "0::/a\n", "pids", PIDS, 0,
	  0, "2 /sys/fs/cgroup /sys/fs/cgroup/a pids\n" },
	{ "two v1 mounts: the first", "1 1 0:3 / /one rw - cgroup none rw,pids\n1 1 0:3 / /two rw - cgroup none rw,pids\n",
	  "4:pids:/a\n", "", PIDS, 0, 0, "1 /one /one/a pids\n" },
	{ "nothing mounted", MOUNTS_HEAD, "0::/\n", "", PIDS, 0, -ENOENT, "" },
	{ "empty texts", "", "", "", PIDS, 0, -ENOENT, "" },
	{ "no line of this tree", V2_MOUNT, "1:pids:/x\n", "pids", PIDS, 0, -EBADMSG, "" },
	{ "no line of the v1 tree", V1_PIDS, "0::/x\n", "", PIDS, 0, -EBADMSG, "" },
	{ "a type that only begins so", "30 21 0:26 / /cg rw - cgroup2x cgroup2 rw\n", "0::/\n", "pids", PIDS, 0, -ENOENT, "" },
	{ "a device called cgroup2", "30 21 0:26 / /cg rw - tmpfs cgroup2 rw\n", "0::/\n", "pids", PIDS, 0, -ENOENT, "" },
	{ "a path that holds \" - cgroup2\"", "30 21 0:26 / /a\\040-\\040cgroup2 rw - tmpfs none rw\n", "0::/\n", "pids", PIDS,
	  0, -ENOENT, "" },
	{ "cut lines", "30 21 0:26 /\n30 21\n\n- cgroup2\n30 21 0:26 / /cg rw - cgroup2\n", "0::/\n", "pids", PIDS, 0, -ENOENT,
	  "" },
	{ "a relative path", V2_MOUNT, "0::a/b\n", "pids", PIDS, 0, -EBADMSG, "" },

	/* several */
	{ "v1, a tree for each", V1_ALL, SELF_ALL, "", ALL, 0, 0,
	  "1 /cg/pids /cg/pids/p pids\n1 /cg/memory /cg/memory/m memory\n1 /cg/cpu /cg/cpu/c cpu\n"
	  "1 /cg/cpuset /cg/cpuset/s cpuset\n1 /cg/blkio /cg/blkio/b io\n1 /cg/cpuacct /cg/cpuacct/a cpuacct\n" },
	{ "the same, with v2 beside", V1_ALL V2_UNIFIED, SELF_ALL, "", ALL, 0, 0,
	  "1 /cg/pids /cg/pids/p pids\n1 /cg/memory /cg/memory/m memory\n1 /cg/cpu /cg/cpu/c cpu\n"
	  "1 /cg/cpuset /cg/cpuset/s cpuset\n1 /cg/blkio /cg/blkio/b io\n1 /cg/cpuacct /cg/cpuacct/a cpuacct\n"
	  "beside /sys/fs/cgroup/unified /sys/fs/cgroup/unified/u\n" },
	{ "only what is asked for", V1_ALL, SELF_ALL, "", MEMORY | CPUSET, PIDS | CPUACCT, 0,
	  "1 /cg/pids /cg/pids/p pids\n1 /cg/memory /cg/memory/m memory\n1 /cg/cpuset /cg/cpuset/s cpuset\n"
	  "1 /cg/cpuacct /cg/cpuacct/a cpuacct\n" },
	{ "nothing asked for: home alone", V1_ALL, SELF_ALL, "", 0, 0, 0, "1 /cg/pids /cg/pids/p \n" },
	{ "cpu and cpuacct in one tree", V1_PIDS V1_CPU, "12:pids:/a\n11:cpu,cpuacct:/b\n", "", CPU | PIDS, PIDS | CPUACCT, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a pids\n"
	  "1 /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct/b cpu,cpuacct\n" },
	{ "the controllers named the other way round", V1_PIDS V1_CPU, "12:pids:/a\n11:cpuacct,cpu:/b\n", "", CPU, CPUACCT, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a \n"
	  "1 /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct/b cpu,cpuacct\n" },
	{ "all v1 controllers in one tree", "40 30 0:31 / /cg rw - cgroup none rw,cpuset,cpu,cpuacct,blkio,memory,pids\n",
	  "3:cpuset,cpu,cpuacct,blkio,memory,pids:/x\n", "", ALL, 0, 0, "1 /cg /cg/x pids,memory,cpu,cpuset,io,cpuacct\n" },
	{ "hybrid: pids in v1, memory in v2", V1_PIDS V2_UNIFIED, "12:pids:/a\n0::/b\n", "memory,io", MEMORY | IO, PIDS, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a pids\n2 /sys/fs/cgroup/unified /sys/fs/cgroup/unified/b memory,io\n" },
	{ "hybrid: v1 before v2, and a controller that is nowhere", V1_PIDS V1_CPU V2_UNIFIED,
	  "12:pids:/a\n11:cpu,cpuacct:/b\n0::/c\n", "memory,cpu", CPU | MEMORY | IO, PIDS | CPUACCT, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a pids\n2 /sys/fs/cgroup/unified /sys/fs/cgroup/unified/c memory\n"
	  "1 /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct/b cpu,cpuacct\nmissing io\n" },
	{ "hybrid: v2 is mounted, but has none of it", V1_PIDS V2_UNIFIED, "12:pids:/a\n0::/b\n", "cpu", MEMORY, PIDS, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a pids\nbeside /sys/fs/cgroup/unified /sys/fs/cgroup/unified/b\n"
	  "missing memory\n" },
	{ "v2 has all; CPU time is counted in every group", V2_MOUNT, "0::/a\n", "cpuset,cpu,io,memory,hugetlb,pids,rdma",
	  ALL & ~CPUACCT, PIDS | CPUACCT | MEMORY, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/a pids,memory,cpu,cpuset,io\nmissing cpuacct\n" },
	{ "v2 without io", V2_MOUNT, "0::/a\n", "cpuset,cpu,memory,pids", IO | PIDS, MEMORY, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/a pids,memory\nmissing io\n" },
	{ "v2 without any controller", V2_MOUNT, "0::/a\n", "", PIDS | MEMORY, PIDS, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/a \nmissing pids memory\n" },
	{ "controllers of v2 that only begin or end so", V2_MOUNT, "0::/a\n", "cpuset,blkio,xpids", CPU | IO | PIDS, 0, 0,
	  "2 /sys/fs/cgroup /sys/fs/cgroup/a \nmissing pids cpu io\n" },
	{ "a wanted tree in which this process cannot be found", V1_PIDS V1_OWN("memory"), "12:pids:/a\n", "", MEMORY, PIDS,
	  -EBADMSG, "" },
	{ "the same, only to account", V1_PIDS V1_OWN("memory"), "12:pids:/a\n", "", PIDS, MEMORY, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a pids\nmissing memory\n" },
	{ "v2 beside, but this process is out of its sight", V1_PIDS "1 1 0:3 /x /cg rw - cgroup2 none rw\n",
	  "12:pids:/a\n0::/y\n", "", PIDS, 0, 0,
	  "1 /sys/fs/cgroup/pids /sys/fs/cgroup/pids/a pids\nbeside /cg \n" },
	{ "memory in v2, of which this process is out of sight", V1_PIDS "1 1 0:3 /x /cg rw - cgroup2 none rw\n",
	  "12:pids:/a\n0::/y\n", "memory", MEMORY, 0, -EBADMSG, "" },
};

static void put(FILE *out, const char *divider, unsigned controllers)
{
	const char *before = "";

	for (int i = 0; i < NSB_CONTROLLERS; i++)
		if (controllers & 1u << i) {
			const char *name = nsb_controller_name((nsb_controller)i, 2);

			fprintf(out, "%s%s", before, name != NULL ? name : nsb_controller_name((nsb_controller)i, 1));
			before = divider;
		}
	fputc('\n', out);
}

/* The layout as text: a line for each tree, for a version 2 tree beside, for controllers asked for that are nowhere. The
 * caller frees. */
static char *describe(const nsb_cgroup_layout *layout, unsigned asked)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	unsigned found = 0;

	for (size_t i = 0; i < layout->n_trees; i++) {
		const nsb_cgroup_tree *tree = &layout->trees[i];

		fprintf(out, "%d %s %s ", tree->version, tree->mount, tree->own);
		put(out, ",", tree->controllers);
		assert_int_equal(found & tree->controllers, 0);
		found |= tree->controllers;
		for (int j = 0; j < NSB_CONTROLLERS; j++)
			if (tree->controllers & 1u << j)
				assert_int_equal(layout->tree_of[j], i);
	}
	for (int j = 0; j < NSB_CONTROLLERS; j++)
		if (!(found & 1u << j))
			assert_int_equal(layout->tree_of[j], -1);
	if (layout->unified[0] != '\0')
		fprintf(out, "beside %s %s\n", layout->unified, layout->unified_own);
	if (asked & ~found) {
		fputs("missing ", out);
		put(out, " ", asked & ~found);
	}
	fclose(out);
	return text;
}

static void choose(void **state)
{
	nsb_cgroup_layout *layout = malloc(sizeof(*layout));
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		nsb_error error = { 0 };
		char *text;
		int r;

		memset(layout, 0x55, sizeof(*layout));
		r = nsb_cgroup_choose(machines[i].mounts, machines[i].self, machines[i].unified, machines[i].wanted,
				      machines[i].accounting, layout, &error);
		text = r < 0 ? strdup("") : describe(layout, machines[i].wanted | machines[i].accounting);
		if (r != machines[i].r || (r < 0) != (error.words[0] != '\0') || strcmp(text, machines[i].layout) != 0) {
			print_error("%s: %d, %s\n%s", machines[i].name, r, error.words, text);
			wrong++;
		}
		free(text);
	}
	assert_int_equal(wrong, 0);
	free(layout);
}

/* About as long as there is room for, and longer than any buffer: right or refused in words, never a part of it. */
static void choose_long(void **state)
{
	static const char home[] = "1 2 0:1 / /pids rw - cgroup none rw,pids\n";
	nsb_cgroup_layout *layout = malloc(sizeof(*layout));
	char *path = malloc(2 * PATH_MAX), *self = malloc(2 * PATH_MAX + 64), *mounts = malloc(2 * PATH_MAX + 128);

	(void)state;
	for (size_t length = 200; length < 2 * PATH_MAX - 2; length++) {
		bool mount_fits = length < NSB_CGROUP_MOUNT_MAX;
		bool own_fits = length + strlen("/sys/fs/cgroup") < NSB_CGROUP_OWN_MAX;
		nsb_error error = { 0 };
		int r;

		memset(path, 'x', length);
		path[0] = '/';
		path[length] = '\0';
		sprintf(self, "0::%s\n", path);
		r = nsb_cgroup_choose(V2_MOUNT, self, "pids", PIDS, 0, layout, &error);
		assert_int_equal(r, own_fits ? 0 : -ENAMETOOLONG);
		if (r == 0)
			assert_int_equal(strlen(layout->trees[0].own), length + strlen("/sys/fs/cgroup"));
		else
			assert_non_null(strstr(error.words, "too long: /sys/fs/cgroup"));

		sprintf(mounts, "1 2 0:1 / %s rw - cgroup2 none rw\n", path);
		error = (nsb_error){ 0 };
		r = nsb_cgroup_choose(mounts, "0::/a\n", "pids", PIDS, 0, layout, &error);
		assert_int_equal(r, mount_fits ? 0 : -ENAMETOOLONG);
		if (r == 0)
			assert_int_equal(strlen(layout->trees[0].mount), length);
		else
			assert_non_null(strstr(error.words, "too long: /xxx"));

		/* beside the box's own tree */
		sprintf(mounts, "%s" V2_MOUNT, home);
		sprintf(self, "1:pids:/a\n0::%s\n", path);
		r = nsb_cgroup_choose(mounts, self, "", PIDS, 0, layout, &error);
		assert_int_equal(r, own_fits ? 0 : -ENAMETOOLONG);
		if (r == 0)
			assert_int_equal(strlen(layout->unified_own), length + strlen("/sys/fs/cgroup"));
		sprintf(mounts, "%s1 2 0:1 / %s rw - cgroup2 none rw\n", home, path);
		r = nsb_cgroup_choose(mounts, "1:pids:/a\n0::/a\n", "", PIDS, 0, layout, &error);
		assert_int_equal(r, mount_fits ? 0 : -ENAMETOOLONG);
		sprintf(mounts, "%s1 2 0:1 / %s rw - cgroup none rw,freezer\n", home, path);
		r = nsb_cgroup_choose(mounts, "2:freezer:/a\n1:pids:/a\n", "", PIDS, 0, layout, &error);
		assert_int_equal(r, mount_fits ? 0 : -ENAMETOOLONG);
		if (r == 0)
			assert_int_equal(strlen(layout->freezer), length);
	}
	free(mounts);
	free(self);
	free(path);
	free(layout);
}

/* --- this process, on a machine of plain files --- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_faccessat(int dirfd, const char *path, int mode, int flags);
int __wrap_faccessat(int dirfd, const char *path, int mode, int flags);

static char base[] = "/tmp/nsbox-test-layout-XXXXXX";
static nsb_cgroup_layout *layout;
static bool systemd;	       /* booted this machine */
static const char *unwritable; /* this tree, below `base` */
static bool real_proc;

/* /proc/self/cgroup is the file `cgroup` in `base`. */
int __wrap_open(const char *path, int flags, ...)
{
	const char *name = nsb_after_prefix(path, "/proc/self/");

	assert_int_equal(flags & O_CREAT, 0); /* no mode */
	return __real_open(name != NULL && !real_proc ? name : path, flags);
}

int __wrap_faccessat(int dirfd, const char *path, int mode, int flags)
{
	const char *below = nsb_after_prefix(path, base);

	if (strcmp(path, "/run/systemd/system") == 0) {
		errno = ENOENT;
		return systemd ? 0 : -1;
	}
	if (mode == W_OK && unwritable != NULL && below != NULL && strcmp(below, unwritable) == 0) {
		errno = EROFS;
		return -1;
	}
	return __real_faccessat(dirfd, path, mode, flags);
}

/* A file below `base`. */
static void put_file(const char *name, const char *text)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static int make_base(void **state)
{
	(void)state;
	strcpy(base + strlen(base) - 6, "XXXXXX");
	layout = malloc(sizeof(*layout));
	systemd = real_proc = false;
	unwritable = NULL;
	return mkdtemp(base) != NULL && chdir(base) == 0 ? 0 : -1;
}

static int remove_base(void **state)
{
	char command[128];

	(void)state;
	free(layout);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return chdir("/") < 0 ? -1 : system(command);
}

/* Directories of the trees, and what /proc says of them: each "TYPE OPTIONS NAME", by NULL ended. */
static void mount_trees(const char *const trees[][3], const char *self)
{
	FILE *out = fopen("mountinfo", "we");

	for (size_t i = 0; trees[i][0] != NULL; i++) {
		fprintf(out, "1 1 0:1 / %s/%s rw - %s none rw,%s\n", base, trees[i][2], trees[i][0], trees[i][1]);
		assert_int_equal(mkdir(trees[i][2], 0755), 0);
	}
	fclose(out);
	put_file("cgroup", self);
}

static const char *const v1_trees[][3] = { { "cgroup", "pids", "pids" },
					   { "cgroup", "memory", "memory" },
					   { "cgroup", "cpu,cpuacct", "cpu" },
					   { NULL, NULL, NULL } };
#define V1_SELF "3:pids:/a\n2:memory:/b\n1:cpu,cpuacct:/c\n"

static const char *const v2_trees[][3] = { { "cgroup2", "nsdelegate", "cg" }, { NULL, NULL, NULL } };

static void mount_v2(const char *controllers)
{
	mount_trees(v2_trees, "0::/a\n");
	put_file("cg/cgroup.controllers", controllers);
}

/* Whether it is found so; of paths the base is left out. */
static void assert_found(unsigned wanted, const char *expected)
{
	nsb_error error = { 0 };
	char *text, *at;

	assert_int_equal(nsb_cgroup_find(wanted, layout, &error), 0);
	text = describe(layout, wanted);
	while ((at = strstr(text, base)) != NULL)
		memmove(at, at + strlen(base), strlen(at + strlen(base)) + 1);
	assert_string_equal(text, expected);
	free(text);
}

/* Accounting takes what it gets for little: the trees of processes and of the CPU; in version 2 memory as well. */
static void find_v1(void **state)
{
	(void)state;
	mount_trees(v1_trees, V1_SELF);
	assert_found(0, "1 /pids /pids/a pids\n1 /cpu /cpu/c cpu,cpuacct\n");
	assert_found(MEMORY | CPU, "1 /pids /pids/a pids\n1 /memory /memory/b memory\n1 /cpu /cpu/c cpu,cpuacct\n");
	assert_found(IO, "1 /pids /pids/a pids\n1 /cpu /cpu/c cpu,cpuacct\nmissing io\n");
}

static void find_v2(void **state)
{
	(void)state;
	mount_v2("cpuset cpu io memory pids\n");
	assert_found(0, "2 /cg /cg/a pids,memory,cpu\n");
	assert_found(CPU | IO, "2 /cg /cg/a pids,memory,cpu,io\n");
	put_file("cg/cgroup.controllers", "cpu pids\n");
	assert_found(MEMORY | CPU, "2 /cg /cg/a pids,cpu\nmissing memory\n");
	assert_int_equal(unlink("cg/cgroup.controllers"), 0);
	assert_found(0, "2 /cg /cg/a \n");
}

/* What only accounts goes if it cannot be written, wherever it stands; what is wanted is refused by its name. */
static void find_unwritable(void **state)
{
	nsb_error error = { 0 };

	(void)state;
	mount_trees(v1_trees, V1_SELF);
	unwritable = "/cpu";
	assert_found(PIDS, "1 /pids /pids/a pids\n");
	assert_found(MEMORY, "1 /pids /pids/a pids\n1 /memory /memory/b memory\n");
	assert_int_equal(nsb_cgroup_find(CPU, layout, &error), -EROFS);
	assert_non_null(strstr(error.words, "/cpu cannot be written"));
	unwritable = "/pids";
	error = (nsb_error){ 0 };
	assert_int_equal(nsb_cgroup_find(MEMORY, layout, &error), -EROFS);
	assert_non_null(strstr(error.words, "/pids cannot be written"));
}

/* One that is left out leaves the others as they are; one beside need not be written. */
static void find_unwritable_hybrid(void **state)
{
	static const char *const trees[][3] = { { "cgroup", "pids", "pids" },
						{ "cgroup", "cpuacct", "cpuacct" },
						{ "cgroup2", "nsdelegate", "cg" },
						{ NULL, NULL, NULL } };

	(void)state;
	mount_trees(trees, "3:pids:/a\n2:cpuacct:/b\n0::/c\n");
	put_file("cg/cgroup.controllers", "memory io\n");
	unwritable = "/cpuacct";
	assert_found(IO, "1 /pids /pids/a pids\n2 /cg /cg/c io\n");
	unwritable = "/cg"; /* beside, and nothing is wanted of it */
	assert_found(PIDS, "1 /pids /pids/a pids\n1 /cpuacct /cpuacct/b cpuacct\nbeside /cg /cg/c\n");
}

static void find_nothing(void **state)
{
	nsb_error error = { 0 };

	(void)state;
	assert_int_equal(nsb_cgroup_find(0, layout, &error), -ENOENT);
	assert_non_null(strstr(error.words, "/proc/self/mountinfo"));
	error = (nsb_error){ 0 };
	put_file("mountinfo", "");
	assert_int_equal(nsb_cgroup_find(0, layout, &error), -ENOENT);
	assert_non_null(strstr(error.words, "/proc/self/cgroup"));
	error = (nsb_error){ 0 };
	put_file("cgroup", "0::/\n");
	assert_int_equal(nsb_cgroup_find(0, layout, &error), -ENOENT);
	assert_non_null(strstr(error.words, "no cgroup tree is mounted"));
}

/* A user with fusermount(1) makes mountinfo as long as the user likes. */
static void find_behind_many_mounts(void **state)
{
	FILE *out;

	(void)state;
	mount_v2("pids\n");
	out = fopen("mountinfo", "we");
	for (int i = 0; i < 1000; i++)
		fprintf(out, "1 1 0:1 / /home/mallory/%03500d rw - fuse x rw\n", i);
	fprintf(out, "1 1 0:1 / %s/cg rw - cgroup2 none rw\n", base);
	fclose(out);
	assert_found(PIDS, "2 /cg /cg/a pids\n");
}

/* What this machine has: chosen or refused in words. */
static void find_on_this_machine(void **state)
{
	(void)state;
	real_proc = true;
	for (unsigned wanted = 0; wanted <= ALL; wanted++) {
		nsb_error error = { 0 };
		int r = nsb_cgroup_find(wanted, layout, &error);

		if (r == 0)
			free(describe(layout, wanted));
		assert_true(r == 0 ? layout->n_trees > 0 : error.words[0] != '\0');
	}
}

/* --- who makes groups --- */

static int manage(int manager, nsb_error *error)
{
	*error = (nsb_error){ 0 };
	memset(layout->base, 0x55, sizeof(layout->base));
	memset(layout->scope_unit, 0x55, sizeof(layout->scope_unit));
	layout->delegated = true;
	return nsb_cgroup_manage(layout, manager, "lab/boxes", error);
}

static void assert_own(int manager)
{
	nsb_error error;

	assert_int_equal(manage(manager, &error), 0);
	assert_string_equal(layout->base, "lab/boxes");
	assert_string_equal(layout->scope_unit, "");
	assert_false(layout->delegated);
}

static void assert_refused(int manager, int r, const char *words)
{
	nsb_error error;

	assert_int_equal(manage(manager, &error), r);
	if (strstr(error.words, words) == NULL)
		print_error("%s\n", error.words);
	assert_non_null(strstr(error.words, words));
}

static void manage_v1(void **state)
{
	(void)state;
	mount_trees(v1_trees, V1_SELF);
	assert_int_equal(nsb_cgroup_find(0, layout, NULL), 0);
	for (int booted = 0; booted < 2; booted++) {
		systemd = booted;
		assert_own(NSB_CGROUP_MANAGER_AUTO);
		assert_own(NSB_CGROUP_MANAGER_CGROUPFS);
		assert_refused(NSB_CGROUP_MANAGER_SYSTEMD, -ENOTSUP, "has control groups version 1: write auto or cgroupfs");
	}
}

static void manage_v2_without_systemd(void **state)
{
	(void)state;
	mount_v2("pids\n");
	assert_int_equal(nsb_cgroup_find(0, layout, NULL), 0);
	assert_own(NSB_CGROUP_MANAGER_AUTO);
	assert_own(NSB_CGROUP_MANAGER_CGROUPFS);
	assert_refused(NSB_CGROUP_MANAGER_SYSTEMD, -ENOTSUP, "was not booted with systemd");
}

static void manage_v2_without_service(void **state)
{
	/* what should be a path */
	static const char *const texts[] = { "", "/", "nsbox.slice/nsbox.service", "/nsbox.slice/../nsbox.service", "\n" };

	(void)state;
	mount_v2("pids\n");
	systemd = true;
	assert_int_equal(nsb_cgroup_find(0, layout, NULL), 0);
	assert_own(NSB_CGROUP_MANAGER_CGROUPFS);
	assert_refused(NSB_CGROUP_MANAGER_AUTO, -ENOENT, "systemctl enable --now nsbox.service");
	assert_refused(NSB_CGROUP_MANAGER_SYSTEMD, -ENOENT, "systemctl enable --now nsbox.service");
	/* stopped: its group is gone, the file is still there */
	assert_int_equal(nsb_registry_set_base("/nsbox.slice/nsbox.service", NULL), 0);
	assert_refused(NSB_CGROUP_MANAGER_AUTO, -ENOENT, "systemctl enable --now nsbox.service");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put_file("run/cgroup", texts[i]);
		assert_refused(NSB_CGROUP_MANAGER_AUTO, -EBADMSG, "systemctl enable --now nsbox.service");
	}
}

/* The group that systemd gave may have fewer controllers than the tree. */
static void manage_v2_with_service(void **state)
{
	nsb_error error;

	(void)state;
	mount_v2("cpuset cpu io memory pids\n");
	systemd = true;
	assert_int_equal(mkdir("cg/nsbox.slice", 0755), 0);
	assert_int_equal(mkdir("cg/nsbox.slice/nsbox.service", 0755), 0);
	assert_int_equal(mkdir("cg/nsbox.slice/nsbox.service/monitors", 0755), 0);
	put_file("cg/nsbox.slice/nsbox.service/cgroup.controllers", "cpu pids\n");
	assert_int_equal(nsb_registry_set_base("/nsbox.slice/nsbox.service", &error), 0);
	for (int manager = NSB_CGROUP_MANAGER_AUTO; manager <= NSB_CGROUP_MANAGER_SYSTEMD; manager++) {
		char *text;

		assert_int_equal(nsb_cgroup_find(CPU | IO, layout, NULL), 0);
		if (manager == NSB_CGROUP_MANAGER_CGROUPFS) {
			assert_own(manager);
			continue;
		}
		assert_int_equal(manage(manager, &error), 0);
		assert_string_equal(layout->base, "nsbox.slice/nsbox.service");
		assert_string_equal(layout->scope_unit, "");
		assert_true(layout->delegated);
		text = describe(layout, CPU | IO);
		assert_string_equal(text + strlen(text) - strlen("pids,cpu\nmissing io\n"), "pids,cpu\nmissing io\n");
		free(text);
	}
}

static void manage_long_parent(void **state)
{
	char parent[NSB_CGROUP_MOUNT_MAX + 1];
	nsb_error error = { 0 };

	(void)state;
	mount_v2("pids\n");
	assert_int_equal(nsb_cgroup_find(0, layout, NULL), 0);
	memset(parent, 'x', sizeof(parent));
	parent[NSB_CGROUP_MOUNT_MAX] = '\0';
	assert_int_equal(nsb_cgroup_manage(layout, NSB_CGROUP_MANAGER_CGROUPFS, parent, &error), -ENAMETOOLONG);
	assert_non_null(strstr(error.words, "longer than 255 bytes: xxx"));
	parent[NSB_CGROUP_MOUNT_MAX - 1] = '\0';
	assert_int_equal(nsb_cgroup_manage(layout, NSB_CGROUP_MANAGER_CGROUPFS, parent, &error), 0);
	assert_string_equal(layout->base, parent);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_base, remove_base)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choose),
		cmocka_unit_test(choose_long),
		TEST(find_v1),
		TEST(find_v2),
		TEST(find_unwritable),
		TEST(find_unwritable_hybrid),
		TEST(find_nothing),
		TEST(find_behind_many_mounts),
		TEST(find_on_this_machine),
		TEST(manage_v1),
		TEST(manage_v2_without_systemd),
		TEST(manage_v2_without_service),
		TEST(manage_v2_with_service),
		TEST(manage_long_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
