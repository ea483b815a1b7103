# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""nsboxctl doctor on a Debian that systemd has booted: a way out that it names is one, and its remedy closes it."""
import json
import re

import pytest

from lib import host, nsboxvm

UNITS = "/home/alice/.config/systemd/user"


def ask(vm):
    """{check: [finding]}, what found nothing, and that the exit status fits."""
    result = vm.run("nsboxctl doctor --json")
    said = json.loads(result.out)
    assert result.err == "" and result.rc == (1 if said["counts"]["problem"] else 0), result
    assert said["counts"]["unseen"] == 0
    found = {}
    for one in said["findings"]:
        found.setdefault(one["check"], []).append(one)
    return found, {one["check"] for one in said["passed"]}


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


def test_stock_debian(vm, conf):
    """The stacks of conf/pam.d on Debian's own: nothing of them is more than a note, control groups hold the limits; the
    sshd without PAM by which these tests come in is found."""
    conf(users="alice bob carol")
    found, passed = ask(vm)
    assert {"system-calls", "namespaces", "seccomp", "limits", "readable", "installation", "linger"} <= passed
    (door,) = found["use-pam"]
    pid = vm.run("systemctl show -P MainPID side-door.service").out.strip()
    assert door["severity"] == "problem" and f"process number {pid} " in door["what"], door
    for check in ("incomplete", "control", "skipped", "misplaced", "alone", "missing", "module-words", "owners"):
        assert all(one["severity"] == "note" for one in found.get(check, [])), found[check]


def where_it_ran(vm):
    return vm.run("cat /home/alice/where 2>/dev/null").out.strip()


def test_user_manager(vm, conf):
    """A boxed user leaves a unit in the home; the next login starts it outside. With the remedy there is no manager, and the
    login is boxed as before."""
    conf(users="alice")
    (finding,) = [one for one in ask(vm)[0]["user-manager"] if "by sshd" in one["what"]]
    unit = "[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"readlink /proc/self/ns/mnt >/home/alice/where\"\\n"
    assert vm.run(f"mkdir -p {UNITS}/default.target.wants && printf '{unit}' >{UNITS}/way-out.service && "
                  f"ln -s ../way-out.service {UNITS}/default.target.wants/ && echo in=$NSBOX_ID", user="alice").out.strip() != "in="
    host.wait_until(lambda: vm.run("systemctl is-active user@2001.service").out == "inactive\n", timeout=60, interval=0.5)
    try:
        with vm.session("alice"):
            host.wait_until(lambda: where_it_ran(vm), timeout=60, interval=0.5, what=vm.journal("-b _UID=2001"))
        assert where_it_ran(vm) == vm.run("readlink /proc/1/ns/mnt").out.strip()
        vm.run(re.search(r"run: (systemctl mask \S+)", finding["remedy"])[1], check=True)
        host.wait_until(lambda: vm.run("systemctl is-active user@2001.service").out != "active\n", timeout=60, interval=0.5)
        vm.run("rm /home/alice/where", check=True)
        with vm.session("alice", "sh -c 'echo in=$NSBOX_ID; sleep 15'") as session:
            assert re.fullmatch(r"in=\w+", session.stdout.readline().decode().strip())
            assert session.stdout.readline() == b""  # its time is over
        assert where_it_ran(vm) == ""
        assert vm.run("systemctl is-active user@2001.service").out != "active\n"
        assert "user-manager" in ask(vm)[1]
    finally:
        vm.run(f"systemctl unmask user@.service; rm -rf {UNITS} /home/alice/where")


def test_linger(vm, conf):
    """loginctl enable-linger is found, and disable-linger, which is the remedy, ends it."""
    conf(users="alice")
    vm.run("loginctl enable-linger alice", check=True)
    (finding,) = ask(vm)[0]["linger"]
    vm.run(finding["remedy"].removeprefix("run: "), check=True)
    assert "linger" in ask(vm)[1]
