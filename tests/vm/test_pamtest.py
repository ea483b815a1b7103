# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
"""nsboxctl pamtest on Debian 12 with systemd, where nsbox.service does not run and nothing is configured."""
import re

import pytest


@pytest.fixture(scope="module")
def installed_vm(bare_vm):
    """The product's files, and that is all."""
    bare_vm.install()
    assert bare_vm.run("systemctl is-active nsbox.service").out != "active\n"
    return bare_vm


def test_copy(installed_vm):
    """A user of the copy gets in by the host's stack, the command's status comes back, and the host hears nothing of it."""
    before = installed_vm.run("md5sum /etc/passwd /etc/shadow; ls -A /home /var/lib; cat /proc/self/mountinfo", check=True).out
    result = installed_vm.run("nsboxctl pamtest --user zed:secret:sudo -- sh -c 'echo secret | runuser -u zed -- sudo -S -p x id -un; "
                              "logger from-the-copy; rm -rf /home /var/lib; exit 5'")
    assert result.rc == 5 and "root\n" in result.out and "user.notice root: from-the-copy" in result.err, result
    assert installed_vm.run("md5sum /etc/passwd /etc/shadow; ls -A /home /var/lib; cat /proc/self/mountinfo").out == before
    assert "from-the-copy" not in installed_vm.run("journalctl --no-pager").out
    assert installed_vm.run("find /sys/fs/cgroup/nsbox -mindepth 1 -maxdepth 1 -type d ! -name monitors").out == ""


def test_from_a_session(installed_vm):
    """So it does in a scope, as sessions have: which is the same afterwards."""
    result = installed_vm.run("systemd-run --scope -q sh -c 'cat /proc/self/cgroup; nsboxctl pamtest -- cat /proc/self/cgroup; "
                              "cat /proc/self/cgroup'", check=True)
    first, inside, last = result.out.splitlines()
    assert first == last and re.search(r"/run-\S+\.scope$", first) and inside == "0::/"


def test_keep(installed_vm):
    """On a disk: what was changed is kept, and removed by the command that is printed."""
    result = installed_vm.run("nsboxctl pamtest --keep -- sh -c 'echo new >/etc/fresh; rm /etc/motd'")
    place = re.search(r"rm -r (/var/tmp/nsbox-pamtest\.\w+)$", result.err)[1]
    assert installed_vm.run(f"cat {place}/upper/etc/fresh; stat -c %F {place}/upper/etc/motd; rm -r {place}").out == (
        "new\ncharacter special file\n")
