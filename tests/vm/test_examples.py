# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-2
"""conf/examples on a Debian 12 with systemd, as they stand: all their limits are there, that of memory among them, which the
throw-away host cannot set. (What their users see: tests/system/test_examples.py.)"""
import contextlib
import re

import pytest

from lib import examples, host, nsboxvm
from lib.examples import NAMES, USERS, block, settings
from lib.nsboxvm import boxes, ending, lines, seconds

DIRECTORY = "/root/example"


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


@pytest.fixture(params=NAMES)
def example(request, vm, conf):  # pylint: disable=unused-argument
    """Each in turn is switched on by the commands of its head: (name, what they said). The image of ci-shell is busybox here:
    there is no network to fetch Debian."""
    name = request.param
    script = block(name, "Before").replace("ci --debian", "ci --busybox").replace("-s /bin/bash runner", "-s /bin/sh runner")
    vm.run(f"set -e\n{script}", timeout=300, check=True)
    vm.write("/etc/security/nsbox.conf", "")
    for path in (examples.SOURCE / name).iterdir():
        vm.write(f"{DIRECTORY}/{path.name}", path.read_text())
    lines_ = block(name, "In sshd_config")
    vm.write("/etc/ssh/sshd_config.d/example.conf", lines_ if lines_.startswith("Match") else "")
    result = vm.run(f"set -e; cp -a /etc/pam.d /root/pam.d.before; systemctl reload ssh; cd {DIRECTORY}\n{block(name, 'Switch on')}")
    yield name, result
    for entry in boxes(vm):  # what lingers
        vm.run(f"nsboxctl kill {entry['id']}")
    vm.run("cp -a /root/pam.d.before/. /etc/pam.d/; rm -r /root/pam.d.before /etc/security/nsbox.conf.d /root/example "
           "/etc/ssh/sshd_config.d/example.conf; systemctl reload ssh", check=True)


def limits(vm, entry, user, keys):
    """{key: what the kernel has}: of the box, and of all of the user. A shared box has its limits on the slice of the user."""
    slice_ = f"/sys/fs/cgroup/user.slice/user-{entry['uid']}.slice"
    files = {"pids_max": "pids.max", "memory_max": "memory.max", "cpu_max": "cpu.max"}
    found = {}
    for key in keys:
        name = key.replace("user_", "")
        if name in files:
            found[key] = vm.read(f"{slice_ if key != name else entry['cgroup']}/{files[name]}").strip()
    return found


def in_files(keys):
    """The same from the profile."""
    units = {"M": 20, "G": 30}
    found = {}
    for key, value in keys.items():
        if key.endswith("pids_max"):
            found[key] = value
        elif key.endswith("memory_max"):
            found[key] = str(int(value[:-1]) << units[value[-1]])
        elif key.endswith("cpu_max"):
            found[key] = f"{int(value[:-1]) * 1000} 100000"
    return found


def test_as_it_stands(vm, example):
    """check takes it, nothing is left out, and the limits are the kernel's."""
    name, result = example
    user, keys = USERS[name], settings(name)
    assert result.rc == 0 and "logins are refused" not in result.err, result
    with contextlib.ExitStack() as stack:
        if name == "sftp-only":
            child = stack.enter_context(contextlib.closing(
                host.spawn("sftp", "-F", vm.client_config, f"{user}@box", timeout=60)))
            child.expect("sftp> ")
        else:
            session = stack.enter_context(vm.session(user, "sh -c 'echo $NSBOX_ID; cat'"))
            assert re.fullmatch(r"\w{10}", lines(session, 1)[0])
        (entry,) = boxes(vm)
        assert entry["profile"] == name
        assert limits(vm, entry, user, keys) == in_files(keys)
        assert vm.run("su carol -c 'echo in $NSBOX_ID'").out == "in\n"


@pytest.mark.parametrize("example", ["bastion"], indirect=True)
def test_memory_holds(vm, example):  # pylint: disable=unused-argument
    """Who wants more than the profile gives is stopped. (Other profiles give more than this machine has.)"""
    since = seconds(vm)
    result = vm.run("python3 -c 'a = bytearray(400 << 20); print(len(a))'", user="alice")
    assert result.rc != 0 and result.out == "", result
    assert "memory limit 256M reached, a process was killed" in ending(vm, since)
