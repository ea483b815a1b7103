# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-2
"""user_namespace = keep-id on Debian's kernel (6.1), with roots on ext4, beside logind."""
import pathlib
import re

import pytest

from lib import host, nsboxvm
from lib.nsboxvm import boxes

KEEP = "user_namespace = keep-id"
POOL = (1879048192, 2147483647)
PLACE = "/srv/keep-id"
TREE = f"{PLACE}/tree"
AS_ROOT = """#include <stdio.h>
#include <unistd.h>
#include <grp.h>
int main(int argc, char **argv)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
		perror("as-root");
		return 1;
	}
	execvp(argv[1], argv + 1);
	return 127;
}
"""
MAKE_TREE = f"""set -e
mkdir -m 755 -p {TREE} && cd {TREE}
mkdir -p bin proc sys dev run home root etc var/log srv mnt && mkdir -m 1777 tmp var/tmp
cp /bin/busybox bin/busybox && cp {PLACE}/as-root bin/as-root && chmod 4755 bin/as-root
for name in sh ls cat id touch rm stat chmod chown mkdir sleep head; do ln -s busybox bin/$name; done
echo root:x:0:0::/root:/bin/sh >etc/passwd && echo alice:x:2001:2001::/home/alice:/bin/sh >>etc/passwd
echo root:x:0: >etc/group && echo alice:x:2001: >>etc/group
echo secret >etc/secret && chmod 600 etc/secret
mkdir -m 755 {PLACE}/kept
"""


@pytest.fixture(scope="module")
def tree(vm):
    directory = pathlib.Path("/cache/keep-id")
    directory.mkdir(exist_ok=True)
    (directory / "as-root.c").write_text(AS_ROOT)
    host.run("gcc", "-static", "-o", str(directory / "as-root"), str(directory / "as-root.c"), check=True)
    vm.copy_in(directory, PLACE)
    vm.run(MAKE_TREE, check=True)
    vm.run("usermod -s /bin/sh alice", check=True)
    yield TREE
    vm.run(f"usermod -s /bin/bash alice; rm -r {PLACE}")


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


def run(vm, script):
    vm.write("/home/alice/script", script)
    result = vm.run("sh /home/alice/script", user="alice", timeout=120)
    assert result.rc == 0, (result, vm.journal("-t sshd -t nsbox-helper -n 20"))
    return result.out


def refused(vm, words):
    """The login is, and these words say why."""
    since = nsboxvm.seconds(vm)  # the line of a login just before may be of the same second
    result = vm.run("echo in", user="alice", timeout=120)
    assert result.rc != 0 and result.out == "", result
    host.wait_until(lambda: re.search(f"login of alice refused: .*{re.escape(words)}", vm.journal(f"--since @{since}")), timeout=30,
                    interval=0.5, what=words)


LOOK = ("id -u; stat -c %u:%g / /etc /bin/as-root /dev/null /tmp; as-root id -u; cat /etc/secret || echo refused; as-root cat /etc/secret; "
        "head -1 /proc/self/uid_map; touch ~/mine\n")
SEEN = ["2001", *["0:0"] * 5, "0", "refused", "secret"]


def check_ids(vm, lines):
    assert lines[:-1] == SEEN, lines
    inside, outside, _ = map(int, lines[-1].split())
    assert inside == 0 and POOL[0] <= outside <= POOL[1]
    assert vm.run("stat -c %u:%g /home/alice/mine; rm /home/alice/mine").out == "2001:2001\n"
    return outside


def test_directory(vm, conf, tree):
    conf(KEEP, f"root = {tree}", "root_readonly = yes")
    check_ids(vm, run(vm, LOOK).splitlines())
    assert "ad-only file system" in run(vm, "as-root touch /etc/new 2>&1; true")


def test_overlays(vm, conf, tree):
    """On 6.1 a layer is mapped before it is stacked, in the box's own mount namespace."""
    conf(KEEP, f"root = {tree}", "overlay = ephemeral")
    check_ids(vm, run(vm, LOOK).splitlines())
    write = "as-root touch /etc/new; as-root chown 7 /etc/secret; as-root chmod 1777 /srv; touch /srv/mine; stat -c %u /etc/new /etc/secret /srv/mine\n"
    assert run(vm, write) == "0\n7\n2001\n"
    assert run(vm, "stat -c %u /etc/new || echo gone") == "gone\n"
    conf(KEEP, f"root = {tree}", f"overlay = {PLACE}/kept/%u")
    assert run(vm, write) == "0\n7\n2001\n"
    assert vm.run(f"cd {PLACE}/kept/alice/upper && stat -c %u etc/new etc/secret srv/mine").out == "0\n7\n2001\n"
    host.wait_until(lambda: not boxes(vm), timeout=30, interval=0.3)
    conf(KEEP, f"root = {tree}", f"overlay = {PLACE}/kept/%u", f"subid_pool = {POOL[0] + 65536 * 9}-{POOL[0] + 65536 * 10 - 1}")
    assert run(vm, "stat -c %u /etc/new /etc/secret /srv/mine") == "0\n7\n2001\n"


def test_curated(vm, conf):
    """The host's programs belong to root of the box: su has its rights in there, and finds nothing of the host's."""
    conf(KEEP, "root = curated")
    out = run(vm, "id -u; stat -c %u:%a /usr/bin/su /usr; cat /etc/shadow || echo none; touch ~/mine /tmp/x && echo written\n")
    assert out == "2001\n0:4755\n0:755\nnone\nwritten\n", out
    assert vm.run("stat -c %u /home/alice/mine; rm /home/alice/mine").out == "2001\n"


def test_home_takes_nothing_of_a_box(vm, conf, tree):
    """ext4 can be mapped: no file of root of the box is left in the home."""
    conf(KEEP, f"root = {tree}", "overlay = ephemeral")
    out = run(vm, "as-root touch ~/planted 2>&1; ls ~/planted 2>&1; true")
    assert "too large" in out and "o such file" in out, out


def test_what_this_kernel_cannot_map(vm, conf, tree):
    """squashfs since 6.2, tmpfs since 6.3: refused by name and kernel before anything is made."""
    release = vm.run("uname -r").out.strip()
    assert release.startswith("6.1."), release
    vm.run(f"mksquashfs {tree} {PLACE}/image -quiet -no-progress && mkdir -p {PLACE}/memory && mount -t tmpfs -o mode=755 memory "
           f"{PLACE}/memory && cp -a {tree}/. {PLACE}/memory", timeout=120, check=True)
    try:
        conf(KEEP, f"root = {PLACE}/image")
        refused(vm, f"{PLACE}/image is on squashfs, whose owners Linux {release} cannot show")
        conf(KEEP, f"root = {PLACE}/memory", "root_readonly = yes")
        refused(vm, f"{PLACE}/memory is on tmpfs, whose owners Linux {release} cannot show")
        conf(KEEP, f"root = {tree}", "overlay = ephemeral", f"bind = {PLACE}/memory:/mnt")
        assert run(vm, "ls /mnt/bin/as-root; id -u") == "/mnt/bin/as-root\n2001\n"
    finally:
        host.wait_until(lambda: not boxes(vm), timeout=30, interval=0.3)
        vm.run(f"umount {PLACE}/memory", check=True)


def test_shared_beside_logind(vm, conf, tree):
    """The sessions stay in their scopes; the second one joins."""
    conf(KEEP, f"root = {tree}", "overlay = ephemeral", "share = user")
    with nsboxvm.started(vm, "alice", "echo $NSBOX_ID; as-root touch /etc/first; echo made") as one:
        box = nsboxvm.lines(one, 2)[0]
        assert run(vm, "echo $NSBOX_ID; stat -c %u /etc/first; as-root id -u; cat /proc/self/cgroup\n") == f"{box}\n0\n0\n0::/\n"
    host.wait_until(lambda: not boxes(vm), timeout=30, interval=0.3)
