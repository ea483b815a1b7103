# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""nsboxctl top, freeze and thaw under systemd: the box of an ssh session is its scope, any other a group of nsbox.service."""
import contextlib
import json

import pytest

from lib import host

BOXED = "[profile all]\nusers = alice bob\nnetwork = loopback\npids_max = 50\nmemory_max = 50%\nstop_timeout = 1s\n"


@pytest.fixture(scope="module")
def ready(vm):
    vm.write("/etc/security/nsbox.conf", BOXED)
    vm.run("systemctl start nsbox.service", check=True)
    yield vm
    vm.run("rm /etc/security/nsbox.conf")


def rows(vm, command):
    return json.loads(vm.run(f"nsboxctl {command} --json", check=True).out)


def row(vm, user):
    (found,) = [one for one in rows(vm, "list") if one["user"] == user]
    return found


def used(vm, group):
    return int(vm.run(f"sed -n 's/^usage_usec //p' {group}/cpu.stat", check=True).out)


def grows(vm, group):
    before = used(vm, group)
    vm.run("sleep 1")
    return used(vm, group) - before > 50_000


def gone(vm):
    host.wait_until(lambda: rows(vm, "list") == [], timeout=60, what="no box left", interval=0.5)


@contextlib.contextmanager
def looping(vm, user="alice"):
    """A session by ssh that never rests: (row of list, group of its scope)."""
    with vm.session(user, "sh -c 'while :; do :; done'"):
        one = row(vm, user)
        path = vm.run(f"sed -n s/^0:://p /proc/{one['members'][0]}/cgroup", check=True).out.strip()
        assert "/session-" in path, path
        yield one, f"/sys/fs/cgroup{path}"
    gone(vm)


def test_scope(ready):
    """systemd freezes the scope, and knows of it."""
    with looping(ready) as (one, group):
        (line,) = rows(ready, "top")
        assert line["cpu_percent"] > 20 and line["memory"] > 100_000 and line["memory_limit"] > 100_000_000
        assert line["processes"] >= 3 and line["processes_limit"] == 50
        scope = group.rsplit("/", 1)[1]
        assert grows(ready, group)
        ready.run(f"nsboxctl freeze {one['id']}", check=True)
        assert row(ready, "alice")["state"] == "frozen" and not grows(ready, group)
        assert ready.run(f"systemctl show -P FreezerState {scope}").out == "frozen\n"
        ready.run(f"nsboxctl thaw {one['id']}", check=True)
        assert row(ready, "alice")["state"] == "ready" and grows(ready, group)
        assert ready.run(f"systemctl show -P FreezerState {scope}").out == "running\n"


@pytest.mark.parametrize("how", ["kill -9 {app}", "kill {monitor}", "kill -9 {monitor}",
                                 "loginctl terminate-session {session}"])
def test_end_of_a_frozen_scope(ready, how):
    """Nothing remains, whoever ends it."""
    with looping(ready) as (one, group):
        ready.run(f"nsboxctl freeze {one['id']}", check=True)
        monitor = ready.run(f"pgrep -f 'nsbox-monitor {one['id']}'", check=True).out.strip()
        session = group.rsplit("/session-", 1)[1].removesuffix(".scope")
        ready.run(how.format(app=one["members"][0], monitor=monitor, session=session), check=True)
        gone(ready)
        host.wait_until(lambda: ready.run(f"test -e {group}").rc == 1, timeout=60, interval=0.5)


def test_group_of_the_service(ready):
    """No session of logind's: a group of our own, written to directly."""
    ready.run("systemd-run --unit=probe nsboxctl run --user bob -- sh -c 'while :; do :; done'", check=True)
    one = host.wait_until(lambda: rows(ready, "list"), timeout=30)[0]
    assert one["cgroup"].startswith("/sys/fs/cgroup/nsbox.slice/nsbox.service/")
    ready.run(f"nsboxctl freeze {one['id']}", check=True)
    assert row(ready, "bob")["state"] == "frozen" and not grows(ready, one["cgroup"])
    ready.run("systemctl kill -s KILL probe", check=True)
    host.wait_until(lambda: ready.run("systemctl reset-failed probe").rc == 0, timeout=30, interval=0.3, what="the unit has ended")
    gone(ready)
