# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""Homes on NFS with root_squash: root on this machine is nobody there, and a box is made by root."""
import pytest

from lib import host, nsboxvm
from lib.nsboxvm import boxes

KINDS = {
    "host": (),
    "curated": ("root = curated",),
    "read-only": ("root_readonly = yes",),
    "overlay": ("home = overlay",),
    "curated-overlay": ("root = curated", "home = overlay"),
    "tmpfs": ("home = tmpfs",),
    "none": ("home = none",),
}
KEEPS = {"host", "curated", "read-only"}


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


@pytest.fixture(scope="module")
def home(vm):
    """alice's is /nfs/alice, 0700, in an export that nobody but she gets into."""
    vm.run("""set -e
        mkdir -p /srv/export/alice /nfs && chown alice:alice /srv/export/alice && chmod 700 /srv/export/alice
        echo there >/srv/export/alice/mark && chown alice:alice /srv/export/alice/mark
        mkdir -p /etc/exports.d && echo '/srv/export 127.0.0.1(rw,root_squash,no_subtree_check,fsid=0)' >/etc/exports.d/test.exports
        systemctl start rpcbind nfs-server
        mount -t nfs4 127.0.0.1:/ /nfs
        sed -i 's|^\\(alice:.*\\):/home/alice:|\\1:/nfs/alice:|' /etc/passwd""", timeout=180, check=True)
    yield "/nfs/alice"
    vm.run("sed -i 's|^\\(alice:.*\\):/nfs/alice:|\\1:/home/alice:|' /etc/passwd; umount -l /nfs; systemctl stop nfs-server rpcbind rpcbind.socket; rm -r /etc/exports.d/test.exports",
           timeout=120)


def test_root_is_squashed(vm, home):
    """Or the test below would show nothing."""
    assert "Permission denied" in vm.run(f"ls {home}").err


@pytest.mark.parametrize("kind", KINDS)
def test_home(vm, conf, home, kind):
    conf(*KINDS[kind])
    result = vm.run("cd ~ && pwd && cat mark; echo new >mark; mkdir -p d/e && echo x >d/e/f && cat mark d/e/f; ls -ld ~", user="alice",
                    timeout=120)
    if kind == "none":
        assert "there" not in result.out and "new" not in result.out, result
    else:
        before = "" if kind == "tmpfs" else "there\n"
        assert result.out.startswith(f"{home}\n{before}new\nx\ndrwx------"), result
        assert " alice alice " in result.out
    kept = vm.run("cat /srv/export/alice/mark; ls -A /srv/export/alice; rm -rf /srv/export/alice/d; echo there >/srv/export/alice/mark").out
    assert kept == ("new\nd\nmark\n" if kind in KEEPS else "there\nmark\n")
    host.wait_until(lambda: not boxes(vm), timeout=30, interval=0.3, what="no box left")
