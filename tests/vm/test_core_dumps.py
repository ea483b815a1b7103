# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""A host whose core_pattern is a program: it runs as root, outside, and is handed the memory of whatever crashes. Crashes in a box
do not start it, unless the profile says core = yes."""
import re

import pytest

from lib import host

HANDLER = "/usr/local/sbin/nsbox-test-handler"
RECORD = "/var/log/nsbox-test-crashes"
PATTERN = "/proc/sys/kernel/core_pattern"
PROFILE = "[profile all]\nusers = alice carol root\nnetwork = loopback\n"


@pytest.fixture(scope="module")
def ready(vm):
    """The handler writes down who crashed; the machine's own pattern is put back."""
    before = vm.read(PATTERN)
    vm.write(HANDLER, f"#!/bin/sh\necho \"uid=$1 mark=$2 bytes=$(wc -c)\" >>{RECORD}\n", mode="755")
    vm.run("chown root:root /usr/local/sbin/nsbox-test-handler", check=True)
    vm.write("/etc/sudoers.d/nsbox-test", "alice ALL=(ALL) NOPASSWD: ALL\n", mode="440")
    vm.run(f"echo '|{HANDLER} %u %e' >{PATTERN}", check=True)
    yield vm
    vm.run(f"echo '{before.strip()}' >{PATTERN}; rm -f {RECORD} {HANDLER} /etc/security/nsbox.conf /etc/sudoers.d/nsbox-test", check=True)


def crash_line(mark):
    """A shell line whose child crashes, and not the shell: %e is the name of its file."""
    return (f"cp /bin/sleep /tmp/{mark}; /tmp/{mark} 99 & until grep -q {mark} /proc/$!/comm; do sleep 0.1; done; kill -SEGV $!; "
            f"wait $!; echo status-$?; rm -f /tmp/{mark}")


def records(vm, mark):
    """What the handler wrote of it. One that was started has a second to come; another crash, unboxed, says that it would have."""
    vm.run(crash_line("outside"))
    host.wait_until(lambda: "mark=outside " in vm.run(f"cat {RECORD}").out, timeout=20, interval=0.5, what="the handler works")
    found = re.findall(rf"^uid=(\d+) mark={mark} bytes=(\d+)$", vm.run(f"cat {RECORD}").out, re.M)
    vm.run(f"rm {RECORD}", check=True)
    return found


def configure(vm, *lines):
    vm.write("/etc/security/nsbox.conf", PROFILE + "".join(f"{line}\n" for line in lines))


def test_unboxed(ready):
    """The handler is started by crashes of the host, with their memory."""
    ready.write("/etc/security/nsbox.conf", "[profile none]\nusers = bob\n")
    assert "status-139" in ready.run(f"su alice -c '{crash_line('plain')}'").out
    ((uid, size),) = records(ready, "plain")
    assert int(uid) == int(ready.run("id -u alice").out) and int(size) > 10000


WAYS = {
    "ssh": lambda vm, line: vm.run(line, user="alice"),
    "su": lambda vm, line: vm.run(f"su alice -c '{line}'"),
    "su root": lambda vm, line: vm.run(f"su root -c '{line}'"),
    "run": lambda vm, line: vm.run(f"nsboxctl run --user alice -- sh -c '{line}'"),
}


@pytest.mark.parametrize("way", WAYS)
def test_boxed(way, ready):
    """Not started: neither for users nor for root."""
    configure(ready, "seccomp = off")
    result = WAYS[way](ready, crash_line("boxed"))
    assert "status-139" in result.out, result
    assert records(ready, "boxed") == []


@pytest.mark.parametrize("way", ["ssh", "su root"])
def test_core_yes(way, ready):
    """Started, as without a box."""
    configure(ready, "core = yes")
    assert "status-139" in WAYS[way](ready, crash_line("allowed")).out
    assert len(records(ready, "allowed")) == 1


@pytest.mark.parametrize("seccomp", ["off", "default"])
def test_a_user_who_sets_the_limit(seccomp, ready):
    """The limit is 1, and anybody may lower it to 0, at which the kernel starts the handler all the same: what keeps a hostile user
    from that is the filter of system calls, where there is one."""
    configure(ready, f"seccomp = {seccomp}")
    result = ready.run(f"grep ^Seccomp: /proc/self/status; ulimit -c 0; {crash_line('lowered')}", user="alice")
    assert "status-139" in result.out, result
    filtered = "Seccomp:\t2" in result.out
    assert not (filtered and seccomp == "off"), "this shows nothing"
    assert len(records(ready, "lowered")) == (0 if filtered else 1)


@pytest.mark.parametrize("seccomp", ["off", "default"])
@pytest.mark.parametrize("user, more", [("carol", ""), ("root", ""), ("carol", "user_namespace = keep-id")])
def test_sudo(user, more, seccomp, ready):
    """sudo comes with a hard limit of 0, which is raised, and sets it to 0 for its command after the session has been opened: it is
    as a user who does so."""
    configure(ready, f"seccomp = {seccomp}", more)
    result = ready.run(f"setpriv --reuid=alice --regid=alice --init-groups sudo -n -u {user} sh -c "
                       f"'grep ^Seccomp: /proc/self/status; ulimit -c; {crash_line('sudo')}'")
    assert "status-139" in result.out and "sudo:" not in result.err, result
    filtered = "Seccomp:\t2" in result.out
    assert not (filtered and seccomp == "off"), "this shows nothing"
    assert len(records(ready, "sudo")) == (0 if filtered else 1), result


FILE = f"cd; ulimit -S -c unlimited; ulimit -c; {crash_line('filed')}; ls core*; rm -f core*"


@pytest.mark.parametrize("line", ["core = yes", "seccomp = off", "seccomp = default"])
def test_file_pattern(line, ready):
    """Where dumps are files the limits are the session's own, and a file is written for whoever asks for it, with a filter or without."""
    configure(ready, line)
    ready.run(f"echo core >{PATTERN}", check=True)
    try:
        result = ready.run(FILE, user="alice")
        assert "status-139" in result.out, result
        assert re.search(r"^unlimited$", result.out, re.M) and re.search(r"^core", result.out, re.M), result
    finally:
        ready.run(f"echo '|{HANDLER} %u %e' >{PATTERN}", check=True)
