# SPDX-License-Identifier: BSD-3-Clause
# host: --cgroup=v2
# alone: a loop must get more than half a processor
"""nsboxctl top, freeze and thaw, with one cgroup2 tree. (Where the machine keeps its controllers in version 1 trees there
are no limits to be had here; the kernel counts CPU time and freezes in any group.)"""
import json
import os
import pathlib
import signal
import time

import pytest

from lib import ctl as lib
from lib import host
from lib.ctl import box, boxes, ctl, running

TREE = pathlib.Path("/sys/fs/cgroup/nsbox")
BUSY = "echo ready; while :; do :; done"


@pytest.fixture
def busy(conf, baseline):
    """A box with a loop that never rests: what list says of it."""
    conf.nsbox(lib.PROFILE + "pids_max = infinity\nstop_timeout = 1s\n")
    with running(script=BUSY) as process:
        yield box(user="alice")
        process.kill()


def top():
    (row,) = json.loads(ctl("top", "--json").out)
    return row


def grows(one):
    def used():
        return int((TREE / one["id"] / "cpu.stat").read_text().split()[1])
    before = used()
    time.sleep(0.3)
    return used() - before > 10_000


def change(verb, one):
    result = ctl(verb, one["id"])
    assert result == (0, "", ""), result


def frozen(one):
    return "frozen 1" in (TREE / one["id"] / "cgroup.events").read_text()


def test_freeze_and_thaw(busy):
    """The loop stops and goes on; list and top show it."""
    # what runs beside the tests wants the processors too
    for pid in (TREE / busy["id"] / "cgroup.procs").read_text().split():
        os.setpriority(os.PRIO_PROCESS, int(pid), -20)
    host.wait_until(lambda: top()["cpu_percent"] > 50, timeout=30)
    assert grows(busy)
    for _ in range(2):
        change("freeze", busy)
        assert frozen(busy) and box()["state"] == "frozen" and not grows(busy)
    assert top()["cpu_percent"] == 0
    assert "nsboxctl thaw" in ctl("enter", busy["id"], "--", "true").err
    for _ in range(2):
        change("thaw", busy)
        assert not frozen(busy) and box()["state"] == "ready" and grows(busy)


def test_a_group_above_is_frozen(busy):
    """By somebody else: the box is shown as it is, and thawing it says why that is not enough."""
    (TREE / "cgroup.freeze").write_text("1")
    try:
        host.wait_until(lambda: frozen(busy))
        assert box()["state"] == "frozen"
        result = ctl("thaw", busy["id"])
        assert result.rc == 1 and "a group above" in result.err
    finally:
        (TREE / "cgroup.freeze").write_text("0")
    host.wait_until(lambda: box()["state"] == "ready")


def holders(one, *names):
    """Pids of monitor, guard, init, app."""
    found = {"init": one["init_pid"], "app": one["members"][0]}
    (found["guard"],) = host.find(argument=f"guard {one['id']}")
    (found["monitor"],) = [pid for pid in host.find(argument=f"nsbox-monitor {one['id']}") if pid != found["guard"]]
    return [found[name] for name in names]


@pytest.mark.parametrize("names, number", [
    (("monitor",), signal.SIGTERM), (("monitor",), signal.SIGKILL), (("app",), signal.SIGKILL),
    (("app", "monitor"), signal.SIGKILL), (("init",), signal.SIGKILL),
], ids=str)
def test_end_while_frozen(busy, names, number):
    """Also a frozen process dies of SIGKILL here, so the end of the application is the end of the box; the fixture
    `baseline` sees what is left."""
    change("freeze", busy)
    for pid in holders(busy, *names):
        os.kill(pid, number)
    if names == ("init",):
        change("thaw", busy)
    host.wait_until(lambda: not boxes())


def test_gc_of_a_frozen_box(busy):
    """Nobody is left who would clean: gc does, and thaws."""
    change("freeze", busy)
    for pid in holders(busy, "monitor", "guard"):
        os.kill(pid, signal.SIGKILL)
    host.wait_until(lambda: box()["state"] == "crashed")
    assert ctl("gc").out == "1 box cleaned\n"
    host.wait_until(lambda: not boxes())
