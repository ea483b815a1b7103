# SPDX-License-Identifier: BSD-3-Clause
# host: --systemd
"""nsbox-bus with the real logind and systemd: who leads a session, limits of a unit set, read back and undone; and what it
says when somebody does not answer. The kernel's files of the limits are not looked at: systemd writes them where it has the
controllers."""
import os
import subprocess
import time

import pytest

from lib import bus, host
from lib.refusal import LIBEXEC, moved_away

PROGRAM = f"{LIBEXEC}/nsbox-bus"
SCOPE = "nsbox-test.scope"
PROPERTIES = ["TasksMax", "MemoryMax", "MemoryHigh", "MemorySwapMax", "CPUQuotaPerSecUSec", "CPUWeight", "IOWeight",
              "AllowedCPUs", "IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax"]
EVERY_KEY = ["pids_max=300", "memory_max=500000000", "memory_high=400000000", "swap_max=0", "cpu_max=1500000",
             "cpu_weight=200", "io_weight=50", "cpuset=0-1,3", "io_max=/dev/loop0 rbps=1000 wbps=2000 riops=30 wiops=40",
             "io_max=/dev/loop1 rbps=max wbps=5 riops=max wiops=max"]


def nsbox_bus(*words, **options):
    """As the helper runs it: without an environment."""
    return host.run(PROGRAM, *words, **{"env": {}, **options})


def says(result, status, *words):
    """Nothing on standard output, one sentence on standard error with these words in it."""
    assert (result.rc, result.out) == (status, ""), result
    sentence(result, *words)


def sentence(result, *words):
    assert result.err.startswith("nsbox-bus: ") and result.err.count("\n") == 1, result.err
    assert [word for word in words if word not in result.err] == [], result.err


def set_limits(unit, *limits):
    """The lines that undo it."""
    result = nsbox_bus("set", unit, *limits)
    assert (result.rc, result.err) == (0, ""), result
    return result.out.splitlines()


@pytest.fixture
def scope():
    with bus.scope(SCOPE):
        yield SCOPE


@pytest.fixture
def logind_stacks(conf):
    """Sessions as Debian makes them."""
    for service in ("sshd", "login", "su", "su-l"):
        conf.pam(service, variant="none", last=["session optional pam_systemd.so"])


# -- leader --


def test_pid_1_is_systemd():
    """Else nothing here tests anything."""
    assert host.comm(1) == "systemd"
    assert host.run("systemctl", "is-active", "systemd-logind").out == "active\n"


def session_of(pid):
    """What logind and the kernel say of a session's leader: (scope, control group)."""
    rows = [line.split() for line in host.run("loginctl", "list-sessions", "--no-legend", check=True).out.splitlines()]
    for number, *_ in rows:
        shown = host.run("loginctl", "show-session", "-p", "Leader", "-p", "Scope", number, check=True).out.split()
        if f"Leader={pid}" in shown:
            return next(word[len("Scope="):] for word in shown if word.startswith("Scope=")), host.cgroup(pid, "")
    raise AssertionError(f"{pid} leads none of {rows}")


def is_no_leader(pid):
    return tuple(nsbox_bus("leader", str(pid))) == (3, "", "")


def test_leader_of_an_ssh_session(logind_stacks, sshd):
    """sshd's monitor is; the user's sshd and shell, a su among them and sshd itself are not. After logout nobody is."""
    with sshd.session("alice", "sh", "-c", "'su bob -c cat; :'") as session:
        monitor, = sshd.monitors("alice")
        unit, group = session_of(monitor)
        assert unit.startswith("session-") and group == f"/user.slice/user-2001.slice/{unit}"
        assert tuple(nsbox_bus("leader", str(monitor))) == (0, f"{unit}\n{group}\n", "")
        session.stdin.write(b"bobpw\n")
        session.stdin.flush()
        others = [sshd.process.pid, *host.descendants(monitor)]
        assert len(others) >= 3 and [pid for pid in others if not is_no_leader(pid)] == []
    host.wait_until(lambda: not host.alive(monitor), what="the session has ended")
    host.wait_until(lambda: is_no_leader(monitor), what="logind knows that it has ended")


def test_su_in_a_session_is_no_leader(logind_stacks, sshd):
    """A root's su in somebody's session, with pam_systemd in its stack: the session stays that of the first."""
    with sshd.session("root", "su", "bob", "-c", "cat"):
        monitor, = host.children(sshd.process.pid)
        su = host.wait_until(lambda: [pid for pid in host.descendants(monitor) if host.comm(pid) == "su"])
        host.wait_until(lambda: host.children(su[0]), what="su's session is open")
        assert nsbox_bus("leader", str(monitor)).rc == 0
        assert is_no_leader(su[0])


def test_leader_of_a_login(logind_stacks):
    """login(1) leads; its scope is the one in which it is."""
    terminal = host.spawn("login", "-f", "alice")
    terminal.expect(r"\$ ")
    unit, group = session_of(terminal.pid)
    assert tuple(nsbox_bus("leader", str(terminal.pid))) == (0, f"{unit}\n{group}\n", "")
    terminal.sendline("exit")
    terminal.wait()


def test_no_leader_without_a_session():
    """A process of no session, a service, and a number that is nobody's."""
    for pid in (os.getpid(), bus.main_pid("dbus.service"), 2**22 - 3):
        assert is_no_leader(pid)


# -- set --


@pytest.mark.parametrize("limits, shown", [
    (["pids_max=300"], {"TasksMax": "300"}),
    (["pids_max=max"], {"TasksMax": "infinity"}),
    (["memory_max=1073741824"], {"MemoryMax": "1073741824"}),
    (["memory_high=1000000000000"], {"MemoryHigh": "1000000000000"}),
    (["swap_max=0"], {"MemorySwapMax": "0"}),
    (["cpu_max=1500000"], {"CPUQuotaPerSecUSec": "1.500000s"}),
    (["cpu_weight=10000"], {"CPUWeight": "10000"}),
    (["io_weight=1"], {"IOWeight": "1"}),
    (["cpuset=5,0-3"], {"AllowedCPUs": "0-3 5"}),
    (["cpuset=1000"], {"AllowedCPUs": "1000"}),
    (["io_max=/dev/loop0 rbps=7"], {"IOReadBandwidthMax": "/dev/loop0 7", "IOWriteBandwidthMax": ""}),
    (["io_max=/dev/loop0 wiops=4 wbps=3"], {"IOWriteBandwidthMax": "/dev/loop0 3", "IOWriteIOPSMax": "/dev/loop0 4"}),
    (["io_max=/dev/loop0 riops=4", "io_max=/dev/loop1 riops=5"], {"IOReadIOPSMax": "/dev/loop0 4\n/dev/loop1 5"}),
    (["io_max=/dev/loop0 riops=max"], {"IOReadIOPSMax": ""}),
    (["pids_max=9", "cpuset=0", "io_max=/dev/loop0 rbps=7"],
     {"TasksMax": "9", "AllowedCPUs": "0", "IOReadBandwidthMax": "/dev/loop0 7"}),
])
def test_set_is_what_systemd_shows_and_can_be_undone(scope, limits, shown):
    """Each key reaches its property, and no other; the printed lines put back what was."""
    before = shown_limits(scope)
    undo = set_limits(scope, *limits)
    after = shown_limits(scope)
    assert {name: after[name] for name in shown} == shown
    assert [name for name in PROPERTIES if after[name] != before[name] and name not in shown] == []
    assert {line.split("=")[0] for line in undo} == {limit.split("=")[0] for limit in limits}
    set_limits(scope, *undo)
    assert shown_limits(scope) == before


def shown_limits(unit):
    """As bus.show(), but a property may have several lines."""
    found = dict.fromkeys(PROPERTIES, "")
    for line in host.run("systemctl", "show", "-p", ",".join(PROPERTIES), unit, check=True).out.splitlines():
        name, value = line.split("=", 1)
        found[name] = f"{found[name]}\n{value}" if found[name] else value
    return found


def test_every_key_at_once_and_back_twice(scope):
    """What is printed is what was set, in the order of the keys, and is taken back word for word."""
    defaults = set_limits(scope, *EVERY_KEY)
    assert defaults[1:] == ["memory_max=max", "memory_high=max", "swap_max=max", "cpu_max=max", "cpu_weight=max",
                            "io_weight=max", "cpuset=", "io_max="]
    assert set_limits(scope, *defaults) == EVERY_KEY
    assert set_limits(scope, *EVERY_KEY) == defaults
    assert set_limits(scope, "io_max=", "cpuset=") == EVERY_KEY[-3:]
    assert set_limits(scope, "io_max=", "cpuset=") == ["cpuset=", "io_max="]


def test_io_max_replaces(scope):
    """A device that is not named any more has no limit any more."""
    set_limits(scope, "io_max=/dev/loop0 rbps=7 wbps=8")
    set_limits(scope, "io_max=/dev/loop1 rbps=9")
    assert shown_limits(scope)["IOReadBandwidthMax"] == "/dev/loop1 9"
    assert shown_limits(scope)["IOWriteBandwidthMax"] == ""


@pytest.mark.parametrize("bad, words", [
    ("cpu_weight=10001", "CPUWeight is out of range"),
    ("pids_max=0", "TasksMax is out of range"),
    ("cpu_max=0", "CPUQuotaPerSecUSec"),
    ("io_max=/dev/../dev/loop0 rbps=7", "not normalized"),
])
def test_all_or_nothing(scope, bad, words):
    """What systemd does not take is told in its words, and nothing else of the call is applied."""
    before = shown_limits(scope)
    good = [limit for limit in EVERY_KEY if limit.split("=")[0] != bad.split("=")[0]]
    result = nsbox_bus("set", scope, *good, bad)
    assert result.rc == 1
    sentence(result, "SetUnitProperties", words, "_PID=1")
    assert shown_limits(scope) == before
    assert "memory_max=max" in result.out.splitlines()


def test_set_on_a_slice(logind_stacks, sshd):
    """All sessions of one user."""
    with sshd.session("alice"):
        undo = set_limits("user-2001.slice", "pids_max=77", "memory_max=123456512")
        assert bus.show("user-2001.slice", "TasksMax", "MemoryMax") == {"TasksMax": "77", "MemoryMax": "123456512"}
        set_limits("user-2001.slice", *undo)
        assert bus.show("user-2001.slice", "MemoryMax") == {"MemoryMax": "infinity"}


def test_set_on_the_scope_of_a_session(logind_stacks, sshd):
    """The way of the product: what `leader` printed is what `set` takes. Nothing remains of it after logout."""
    with sshd.session("alice"):
        monitor, = sshd.monitors("alice")
        unit = nsbox_bus("leader", str(monitor)).out.splitlines()[0]
        set_limits(unit, "pids_max=33")
        assert bus.show(unit, "TasksMax") == {"TasksMax": "33"}
    host.wait_until(lambda: bus.show(unit, "LoadState")["LoadState"] == "not-found", what="the scope has gone")
    left = host.run("find", "/run/systemd", "/etc/systemd", "-name", f"{unit}*").out
    assert left == ""


def test_unit_that_is_not_there():
    """It is not made."""
    for words in (["set", "nobody.scope", "pids_max=1"], ["set", "nobody.slice", "pids_max=1"], ["freeze", "nobody.scope"]):
        says(nsbox_bus(*words), 3, words[1], "systemd")
    assert bus.show("nobody.scope", "LoadState")["LoadState"] == "not-found"


def test_freeze_and_thaw(scope):
    """The kernel says so."""
    group = f"/sys/fs/cgroup{bus.show(scope, 'ControlGroup')['ControlGroup']}"
    for word, state in (("freeze", "1"), ("freeze", "1"), ("thaw", "0")):
        assert tuple(nsbox_bus(word, scope)) == (0, "", "")
        assert f"frozen {state}\n" in host.read(f"{group}/cgroup.events")


def test_the_user_may_not(scope):
    """Whoever runs it has the rights that the bus gives him, and no other."""
    before = shown_limits(scope)
    result = nsbox_bus("set", scope, "pids_max=5", user="alice", group="alice", extra_groups=[])
    assert result.rc == 1 and shown_limits(scope) == before
    sentence(result, "SetUnitProperties")


# -- arguments --


@pytest.mark.parametrize("words", [
    [], ["help"], ["leader"], ["leader", "5", "6"], ["set"], ["set", SCOPE], ["freeze"], ["thaw", SCOPE, SCOPE], ["Leader", "5"],
])
def test_usage(words):
    """Wrong usage says what is right."""
    result = nsbox_bus(*words)
    assert (result.rc, result.out) == (2, "") and result.err.startswith("usage: nsbox-bus leader PID\n")


@pytest.mark.parametrize("words", [
    *(["leader", pid] for pid in ("", "0", "1", "-5", "+5", " 5", "5 ", "0x5", "5.", "2147483648", "18446744073709551617")),
    *(["freeze", unit] for unit in ("", ".scope", "ssh.service", "a", "a.scope/", "../a.scope", "a b.scope", "a.scope\n",
                                    "a\\x2d.scope", "é.scope", "a.scopes", f"{'a' * 250}.scope")),
    ["set", "ssh.service", "pids_max=1"],
])
def test_bad_names(words):
    """Refused before the bus is asked, so also where there is none."""
    with moved_away(bus.SOCKET):
        says(nsbox_bus(*words), 2)


@pytest.mark.parametrize("limits", [
    *([limit] for limit in (
        "", "=", "pids_max", "PIDS_MAX=1", "TasksMax=1", "user_pids_max=1", "pids_max=", "pids_max=-1", "pids_max=1x", "pids_max= 1",
        "pids_max=1 ", "pids_max=infinity", "pids_max=Max", "pids_max=18446744073709551615", "memory_max=1G",
        "memory_max=50%", "cpu_max=1.5", "cpuset=max", "cpuset=,", "cpuset=1,", "cpuset=,1", "cpuset=3-1", "cpuset=1-",
        "cpuset=-1", "cpuset=1-2-3", "cpuset=1 2", "cpuset=8192", "cpuset=0x1", "io_max=max", "io_max=/dev/loop0",
        "io_max=/dev/loop0 ", "io_max=loop0 rbps=1", "io_max= rbps=1", "io_max=/dev/loop0 rbps", "io_max=/dev/loop0 rbps=",
        "io_max=/dev/loop0 rbps=1 rbps=1", "io_max=/dev/loop0 rbps=1  wbps=1", "io_max=/dev/loop0 rbps=1 ",
        "io_max=/dev/loop0\trbps=1", "io_max=/dev/loop0 rbps=1G", "io_max=/dev/loop0 xbps=1", "io_max=/dev/loop\n0 rbps=1")),
    ["pids_max=1", "pids_max=1"], ["cpuset=", "cpuset=1"], ["io_max=", "io_max="], ["io_max=", "io_max=/dev/loop0 rbps=1"],
    ["io_max=/dev/loop0 rbps=1", "io_max="], ["io_max=/dev/loop0 rbps=1", "io_max=/dev/loop0 wbps=1"],
    ["pids_max=1", "nonsense"],
])
def test_bad_limits(scope, limits):
    """Refused, all of them, in one sentence."""
    before = shown_limits(scope)
    says(nsbox_bus("set", scope, "memory_high=5000000", *limits), 2)
    assert shown_limits(scope) == before


def test_too_many_words(scope):
    """There is an end to what is read."""
    devices = [f"io_max=/dev/d{number} rbps=1" for number in range(300)]
    says(nsbox_bus("set", scope, *devices[:65]), 2, "more than 64 devices")
    assert nsbox_bus("set", scope, *devices).rc == 2
    set_limits(scope, *devices[:64])


# -- nobody answers --


# Of the 2 s and 4.5 s that the program gives, on a machine with other things to do. sd-bus by itself takes 25 s, or 90.
PATIENCE = 8


def timed(*words):
    """(result, seconds)"""
    start = time.monotonic()
    result = nsbox_bus(*words)
    return result, time.monotonic() - start


CALLS = [["leader", "4000"], ["set", SCOPE, "pids_max=5"], ["freeze", SCOPE]]


@pytest.mark.parametrize("words", CALLS)
def test_no_bus(words):
    """Said at once, with the place where to look."""
    with moved_away(bus.SOCKET):
        result = nsbox_bus(*words)
    says(result, 1, bus.SOCKET, "No such file or directory", "systemctl status dbus.socket")


@pytest.mark.parametrize("words", CALLS)
def test_bus_that_does_not_speak(scope, words):
    """It takes the connection, and that is all."""
    with bus.stopped(bus.main_pid("dbus.service")):
        result, seconds = timed(*words)
    says(result, 1, bus.SOCKET, "systemctl status dbus.socket")
    assert 1.5 < seconds < PATIENCE


def test_bus_that_is_slow(scope):
    """Each answer comes in time, all of them together do not: it ends all the same, before anything is changed."""
    before = shown_limits(scope)
    with bus.slow(0.8):
        result, seconds = timed("set", scope, *EVERY_KEY)
    says(result, 1, "systemd (org.freedesktop.systemd1,", "does not answer")
    assert 3.5 < seconds < PATIENCE
    assert shown_limits(scope) == before


def test_logind_that_does_not_answer():
    """One call has 2 s."""
    with bus.stopped(bus.main_pid("systemd-logind.service")):
        result, seconds = timed("leader", str(os.getpid()))
    says(result, 1, "logind", "does not answer", "systemctl status systemd-logind")
    assert 1.5 < seconds < PATIENCE


def test_no_logind():
    """A host whose administrator has masked it."""
    host.run("systemctl", "mask", "--runtime", "--now", "systemd-logind.service", check=True)
    try:
        result, seconds = timed("leader", str(os.getpid()))
    finally:
        host.run("systemctl", "unmask", "--runtime", "systemd-logind.service", check=True)
        host.run("systemctl", "start", "systemd-logind.service", check=True)
    says(result, 1, "logind (org.freedesktop.login1, GetSessionByPID)", "systemctl status systemd-logind")
    assert seconds < PATIENCE


# -- how it is run --


def test_output_that_cannot_be_written(scope):
    """Without the lines that undo it nothing is changed."""
    before = shown_limits(scope)
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "set", scope, "pids_max=5"], stdout=full, stderr=subprocess.PIPE, text=True, env={},
                              timeout=10, check=False)
    assert done.returncode == 1 and "standard output" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([PROGRAM, "set", scope, "pids_max=5"], stdout=writer, stderr=subprocess.PIPE, text=True, env={},
                          timeout=10, check=False, restore_signals=True)
    os.close(writer)
    assert done.returncode == 1 and "standard output" in done.stderr
    assert shown_limits(scope) == before


def test_environment_leads_it_nowhere(scope):
    """Another bus that somebody names is not asked."""
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent", "SYSTEMD_LOG_LEVEL": "debug",
                   "DBUS_STARTER_ADDRESS": "unix:path=/nonexistent"}
    result = nsbox_bus("set", scope, "pids_max=5", env=environment)
    assert (result.rc, result.err) == (0, "")
