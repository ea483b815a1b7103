# SPDX-License-Identifier: BSD-3-Clause
"""The resident programs: who cleans, what they cost, what they hold."""
import os
import pathlib
import re
import signal

import pytest

from lib import host, syslog

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
ENDED = re.compile(r"nsbox-helper\[(\d+)\].* box (\w{10}) of alice .* ended after")


@pytest.fixture
def session(conf, baseline):
    """`su alice` that waits in a box; yields (process, state of the registry)."""
    conf.pam("su")
    conf.nsbox(PROFILE)
    process = host.spawn("su", "alice", "-c", "echo in; read line")
    process.expect("in\r")
    yield process, state()
    process.close(force=True)


def state():
    """The one registry entry as a dictionary of its lines."""
    (entry,) = pathlib.Path("/run/nsbox/boxes").iterdir()
    lines = (entry / "state").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def pid_of(entry, role):
    return int(entry[role].split()[0])


def guard_of(entry):
    """The pid of the guard: nsbox-monitor guard ID."""
    (pid,) = host.find(argument=f"guard {entry['id']}")
    return pid


def cleaner(mark, box):
    """The pid that logged the end of the box."""
    line = syslog.wait_for(rf"box {box} of alice .* ended after", timeout=5, since=mark)
    return int(ENDED.search(line).group(1))


def test_the_monitor_cleans(session):
    """After an ordinary logout the monitor itself becomes the cleaner: same pid. (If it died, the guard would clean, and
    nobody would notice that the monitor crashes.)"""
    process, entry = session
    mark = syslog.mark()
    process.sendline()
    process.wait()
    assert cleaner(mark, entry["id"]) == pid_of(entry, "monitor")


def test_the_guard_cleans_after_the_monitor(session):
    """The monitor is killed: the box ends, and the guard becomes the cleaner."""
    process, entry = session
    guard = guard_of(entry)
    mark = syslog.mark()
    os.kill(pid_of(entry, "monitor"), signal.SIGKILL)
    process.wait()
    assert cleaner(mark, entry["id"]) == guard


def test_sigterm_ends_the_box_in_order(session):
    """SIGTERM to the monitor (a shutdown) ends the box as a logout does."""
    process, entry = session
    mark = syslog.mark()
    os.kill(pid_of(entry, "monitor"), signal.SIGTERM)
    process.wait()
    assert cleaner(mark, entry["id"]) == pid_of(entry, "monitor")


def pss(pid):
    """Proportional set size in kB."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


def test_memory(conf, baseline):
    """init and monitor together need at most 60 kB PSS with static musl, the guard 30 more. (One box alone: with more of
    them the programs' pages are shared.) The kernel begins each stack somewhere within 8 kB, so a page more or less is
    chance: the median of nine."""
    conf.pam("su")
    conf.nsbox(PROFILE)
    together, guards = [], []
    for _ in range(9):
        process = host.spawn("su", "alice", "-c", "echo in; read line")
        process.expect("in\r")
        entry = state()
        together.append(pss(pid_of(entry, "init")) + pss(pid_of(entry, "monitor")))
        guards.append(pss(guard_of(entry)))
        process.sendline()
        process.wait()
        process.close(force=True)
        host.wait_until(lambda: not host.find("nsbox-monitor"), what="the box is gone")
    assert host.median(together) <= 60, together
    assert host.median(guards) <= 30, guards


def test_what_they_hold(session):
    """No resident process holds a terminal, a directory of somebody's, or a cgroup file, but the monitor the counters of
    its box's limits, for reading."""
    _, entry = session
    counters = 0
    for pid in (pid_of(entry, "init"), pid_of(entry, "monitor"), guard_of(entry)):
        for descriptor, target in host.descriptors(pid).items():
            allowed = (target == "/dev/null" or target.startswith(("pipe:", "socket:", "anon_inode:"))
                       or target == f"/run/nsbox/boxes/{entry['id']}/lock")
            if pid == pid_of(entry, "monitor") and target.endswith(f"/nsbox/{entry['id']}/pids.events"):
                flags = re.search(r"^flags:\s+(\d+)", host.read(f"/proc/{pid}/fdinfo/{descriptor}"), re.M)[1]
                allowed = int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
                counters += 1
            assert allowed, (pid, descriptor, target)
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert counters == 1


def test_they_are_not_in_the_cgroup_of_the_application(session):
    """Whoever kills the application's group must not kill monitor and guard."""
    _, entry = session
    for pid in (pid_of(entry, "monitor"), guard_of(entry)):
        assert host.cgroup(pid) == "/nsbox/monitors"
