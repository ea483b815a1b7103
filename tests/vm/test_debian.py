# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# build: none
# full: ten minutes; tests/system/test_debian.py has the package too, without systemd
"""The Debian package on a Debian with systemd: its service, logins in boxes, an upgrade under them, removal."""
import json

import pytest

from lib import debpackage, host
from lib.nsboxvm import GROUPS, boxes, lines, started

pytestmark = pytest.mark.timeout(1200)  # the first test builds the package, or waits until somebody else has

NAME = debpackage.NAME
PROFILE = "[profile all]\nusers = alice bob\nnetwork = host\nstop_timeout = 1s\n"
CONF = "/etc/security/nsbox.conf"
OPEN = ("sed -i '1i session required pam_nsbox.so close' /etc/pam.d/sshd && "
        "printf 'account required pam_nsbox.so\\nsession required pam_nsbox.so open\\n' >>/etc/pam.d/sshd")
SHUT = "sed -i '/pam_nsbox[.]so/d' /etc/pam.d/sshd"


@pytest.fixture(scope="module")
def packages(bare_vm, tmp_path_factory):
    """(the package, one of a higher version): their paths in the machine."""
    staged = tmp_path_factory.mktemp("packages")
    deb = debpackage.deb()
    newer = debpackage.newer(deb, staged)
    (staged / deb.name).write_bytes(deb.read_bytes())
    bare_vm.copy_in(str(staged), "/root/packages")
    return f"/root/packages/{deb.name}", f"/root/packages/{newer.name}"


@pytest.fixture
def vm(bare_vm, packages):
    """The machine without the package, before and after."""
    yield bare_vm
    bare_vm.run(f"{SHUT}; nsboxctl kill --user alice; dpkg -P {NAME}", timeout=120)
    assert state(bare_vm) == "running", bare_vm.run("systemctl --failed --no-legend").out


def state(vm):
    return vm.run("systemctl is-system-running").out.strip()


def unit(vm):
    """(is it active, is it enabled, its main process)"""
    words = vm.run("systemctl is-active nsbox.service; systemctl is-enabled nsbox.service 2>/dev/null; "
                   "systemctl show -P MainPID nsbox.service").out.split()
    return tuple(words)


def picture(vm):
    """All files but those of dpkg itself and of what runs, with mode, owner and size; the units that are up, the groups."""
    files = vm.run("find /etc /usr /var /run /root /srv /opt -xdev "
                   r"\( -path /var/log -o -path /var/lib/dpkg -o -path /run/log -o -path /var/tmp -o -path /var/cache -o -path /run/user "
                   r"-o -path /run/systemd -o -path '/run/motd*' -o -path /run/utmp -o -path /root/.ssh \) "
                   r"-prune -o -printf '%p %M %U:%G %l' \( -type f -printf ' %s\n' -o -printf '\n' \)", check=True, timeout=120).out
    units = vm.run("systemctl --plain --no-legend list-units --all 'nsbox*'; find /sys/fs/cgroup -name 'nsbox*'; "
                   "nft list tables").out
    return set(files.splitlines()) | set(units.splitlines())


def test_life(vm, packages):
    """Installed: the service runs and starts at boot, and no login has changed. Then a boxed login; an upgrade under it changes
    neither box nor service. Removal is refused, first for the lines of PAM, then for the box; after the logout it goes, and
    after purge nothing is left."""
    deb, newer = packages
    before = picture(vm)
    vm.run(f"dpkg -i {deb}", check=True, timeout=120)
    active, enabled, main = unit(vm)
    assert (active, enabled) == ("active", "enabled") and main != "0" and state(vm) == "running"
    assert vm.run("echo unboxed=$NSBOX_ID", user="alice").out == "unboxed=\n"
    vm.write(CONF, PROFILE)
    vm.run(OPEN, check=True)
    with started(vm, "alice", "echo $NSBOX_ID") as session:
        (ident,) = lines(session, 1)
        upgrade_under(vm, newer, ident, main)
        refused(vm, "/etc/pam.d/sshd")
        vm.run(SHUT, check=True)
        refused(vm, f"({ident} of alice)")
        assert unit(vm) == ("active", "enabled", main) and [box["id"] for box in boxes(vm)] == [ident]
    host.wait_until(lambda: not boxes(vm), timeout=30, interval=0.3, what="no box left")
    result = vm.run(f"dpkg -r {NAME}", timeout=120)
    assert result.rc == 0 and "Failed" not in result.err, result
    assert unit(vm)[0] == "inactive" and not vm.run("find /sys/fs/cgroup -name 'nsbox.service'; ls -d /run/nsbox").out
    assert vm.run("id -un", user="alice").out == "alice\n"
    vm.run(f"dpkg -P {NAME}", check=True, timeout=120)
    assert sorted(before ^ picture(vm)) == [] and state(vm) == "running"


def upgrade_under(vm, newer, ident, main):
    """The box, its processes and its groups are those from before; logins by the new programs join the same service."""
    before = json.dumps(boxes(vm))
    groups = vm.run(f"find {GROUPS} -type d | sort; cat {GROUPS}/monitors/cgroup.procs", check=True).out
    result = vm.run(f"dpkg -i {newer}", check=True, timeout=120)
    assert "Failed" not in result.err, result
    assert unit(vm) == ("active", "enabled", main)
    assert json.dumps(boxes(vm)) == before and [box["id"] for box in boxes(vm)] == [ident]
    assert vm.run(f"find {GROUPS} -type d | sort; cat {GROUPS}/monitors/cgroup.procs", check=True).out == groups
    other = vm.run("echo $NSBOX_ID", user="bob").out.strip()
    assert other not in ("", ident)
    assert vm.run(f"nsboxctl enter {ident} -- id -un").out == "alice\n"
    host.wait_until(lambda: len(boxes(vm)) == 1, timeout=30, interval=0.3, what="the box of bob has ended")


def refused(vm, words):
    result = vm.run(f"dpkg -r {NAME}", timeout=120)
    assert result.rc != 0, result
    (sentence,) = [line for line in result.err.splitlines() if line.startswith(f"{NAME} is not removed")]
    assert words in sentence, sentence
    assert vm.run(f"dpkg-query -Wf '${{db:Status-Status}}' {NAME}").out == "installed"


def test_service_that_was_switched_off(vm, packages):
    """An administrator's "disable" holds over an upgrade: the service is neither enabled nor started."""
    deb, newer = packages
    vm.run(f"dpkg -i {deb}", check=True, timeout=120)
    vm.run("systemctl disable nsbox.service && systemctl kill nsbox.service", check=True)
    host.wait_until(lambda: unit(vm)[0] == "inactive", timeout=20, interval=0.3)
    vm.run(f"dpkg -i {newer}", check=True, timeout=120)
    assert unit(vm) == ("inactive", "disabled", "0")


def test_its_own_test(vm, packages):
    """debian/tests/login, with systemd."""
    vm.run(f"dpkg -i {packages[0]}", check=True, timeout=120)
    vm.write("/root/login", (debpackage.SOURCE / "debian/tests/login").read_text(), mode="755")
    result = vm.run("/root/login 2>&1; rm /root/login", timeout=240)
    assert result.out.endswith("--- ok\n"), result
