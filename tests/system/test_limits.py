# SPDX-License-Identifier: BSD-3-Clause
# host: --cgroup=v1
"""Limits in trees of version 1, each controller in its own; how many sessions a user has and how long; what is said of
it. (Version 2 and systemd: tests/vm. The memory tree is not in the throw-away host.)"""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import pexpect
import pytest

from lib import ctl, host, syslog
from lib.refusal import BOXED, boxed, refused, su

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

TREES = pathlib.Path("/sys/fs/cgroup")
FORKS = """python3 -c '
import os, time
failed = 0
for _ in range(60):
    try:
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
    except BlockingIOError:
        failed += 1
print("failed", failed, flush=True)
'"""


@pytest.fixture(autouse=True)
def _stacks(conf):
    conf.pam_all()


@pytest.fixture
def session(conf):
    """session("KEY = VALUE"..., user=): su that holds a box: (process, box id)."""
    running = []

    def start(*lines, user="alice"):
        conf.nsbox(BOXED + "\n".join([*lines, ""]))
        process = subprocess.Popen(["su", user, "-c", "echo $NSBOX_ID; exec cat"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        running.append(process)
        return process, process.stdout.readline().decode().strip()

    yield start
    for process in running:
        process.communicate(timeout=15)


def group(tree, box, user=None):
    return TREES / tree / "nsbox" / (f"user-{user}" if user else "") / box


def values(directory, *names):
    return {name: (directory / name).read_text().strip() for name in names}


def where(pid, controller):
    """The group of a process in the tree of a controller."""
    return re.search(rf"^\d+:(?:[^:]*,)?{controller}(?:,[^:]*)?:(.*)$", host.read(f"/proc/{pid}/cgroup"), re.M)[1]


def finish(child):
    """Until the session has ended: what it printed meanwhile."""
    child.expect(pexpect.EOF)
    child.close()


# -- what is written where --


def test_files(baseline, session):
    """Each limit is in the file of its tree, as systemd.resource-control(5) translates it; the application, PID 1 and the
    user's process are in the group of each tree, the monitor in none."""
    process, box = session("pids_max = 40", "cpu_max = 150%", "cpu_weight = 50", "cpuset = 0")
    assert values(group("pids", box), "pids.max") == {"pids.max": "40"}
    assert values(group("cpu", box), "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares") == {
        "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000", "cpu.shares": "512"}
    cpuset = values(group("cpuset", box), "cpuset.cpus", "cpuset.mems")
    assert cpuset["cpuset.cpus"] == "0" and cpuset["cpuset.mems"]
    (init,) = [pid for pid in host.pids() if host.inner_pids(pid)[1:] == [1]]
    for controller in ("pids", "cpu", "cpuset", "cpuacct"):
        for pid in (process.pid, init, *host.children(process.pid)):
            assert where(pid, controller).endswith(f"/nsbox/{box}"), (controller, pid)
        for pid in host.pids():
            if host.cmdline(pid).startswith("nsbox-monitor"):
                assert where(pid, controller).endswith("/nsbox/monitors")
    assert not (TREES / "blkio/nsbox" / box).exists()  # nothing asks for it


def test_frozen_group_of_the_caller(conf, baseline):
    """The application is in a freezer group that somebody may freeze: PID 1, monitor and guard are not, so the box ends."""
    conf.nsbox(BOXED + "runtime_max = 1s\nstop_timeout = 1s\n")
    frozen = TREES / "freezer/delegated"
    frozen.mkdir()
    since = syslog.mark()
    try:
        process = subprocess.Popen(["su", "alice", "-c", "echo in; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   preexec_fn=lambda: (frozen / "cgroup.procs").write_text("0"))
        assert process.stdout.readline() == b"in\n"
        ours = [pid for pid in host.pids() if host.cmdline(pid).startswith(("nsbox-monitor", "nsbox-init"))]
        assert len(ours) == 3
        assert {where(pid, "freezer") for pid in ours} == {"/"} and where(process.pid, "freezer") == "/delegated"
        (frozen / "freezer.state").write_text("FROZEN")
        syslog.wait_for("time .runtime_max. is over", since)
        (frozen / "freezer.state").write_text("THAWED")
        syslog.wait_for("ended after", since)
        process.communicate(timeout=10)
    finally:
        (frozen / "freezer.state").write_text("THAWED")
        host.wait_until(lambda: not (frozen / "cgroup.procs").read_text())
        frozen.rmdir()


def test_cpuset_holds(conf, baseline):
    conf.nsbox(BOXED + "cpuset = 0\n")
    assert su(command="nproc; taskset -c -p $$ 2>/dev/null | sed 's/.*: //'").out.split() == ["1", "0"]


def test_cpu_quota_holds(conf, baseline):
    """A busy loop, measured against the clock."""
    spin = "python3 -c 'import time; b = time.monotonic(); c = time.process_time()\n" \
           "while time.monotonic() - b < 2: pass\nprint((time.process_time() - c) / (time.monotonic() - b))'"
    conf.nsbox(BOXED + "cpu_max = 10%\n")
    assert float(su(command=spin).out) <= 0.16


def test_io(conf, baseline, session):
    """A file stands for the disk that it is on; where there is none, a sentence."""
    numbers = {path: os.stat(path).st_rdev for path in pathlib.Path("/dev").glob("loop?") if path.is_block_device()}
    # a node may be there without its disk
    loop, device = next((path, device) for path, number in numbers.items()
                        if os.path.exists(f"/sys/dev/block/{(device := f'{os.major(number)}:{os.minor(number)}')}"))
    _, box = session(f"io_max = {loop} rbps=1M wiops=20")
    assert values(group("blkio", box), "blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device") == {
        "blkio.throttle.read_bps_device": f"{device} 1000000", "blkio.throttle.write_iops_device": f"{device} 20"}
    since = syslog.mark()
    conf.nsbox(BOXED + "io_max = /dev/shm rbps=1M\n")
    line = refused(su(), since, r"nsbox.conf:\d+: io_max: /dev/shm is on no disk .*: name the disk")
    assert "(stage check, ENODEV)" in line


def test_cpu_that_is_not_there(conf, baseline):
    """Refused by check, by the account hook and at login, by a sentence that says which there are; limits_optional is for
    what the host cannot do, not for that."""
    for optional in ("no", "yes"):
        conf.nsbox(BOXED + f"cpuset = 0,8191\nlimits_optional = {optional}\n")
        words = r"cpuset = 0,8191: this machine has the CPUs 0[-,0-9]* \(/sys/devices/system/cpu/possible\): name no others"
        result = host.run("nsboxctl", "check")
        assert result.rc == 1 and re.search(f"profile all: logins are refused: {words}", result.err), result
        since = syslog.mark()
        assert "(stage check, EINVAL)" in refused(su(), since, words)


@pytest.mark.parametrize("key, words", [
    ("memory_max = 100M", "memory_max: the memory controller is missing in .*limits_optional = yes does without"),
    ("memory_high = 100M", "memory_high: the memory controller is missing"),
    ("user_memory_max = 100M", "user_memory_max: the memory controller is missing"),
])
def test_missing_controller(conf, baseline, key, words):
    """Refused at check and at login by its name; limits_optional does without and says so."""
    conf.nsbox(BOXED + key + "\n")
    result = host.run("nsboxctl", "check")
    assert result.rc == 1 and re.search(f"profile all: logins are refused: {words}", result.err), result
    since = syslog.mark()
    line = refused(su(), since, words)
    assert re.search(r"\(stage check, (ENOTSUP|EOPNOTSUPP)\)", line)
    conf.nsbox(BOXED + key + "\nlimits_optional = yes\n")
    assert host.run("nsboxctl", "check").rc == 0
    since = syslog.mark()
    boxed(su())
    assert re.search("limit left out", syslog.wait_for("limits_optional", since))


# -- limits of the user --


def test_user_limit_holds(conf, baseline, session):
    """Two boxes together; another user has a limit of its own. The user's group goes with the last box."""
    keys = ("user_pids_max = 40", "user_cpu_max = 80%", "pids_max = 30")
    _, box = session(*keys)
    above = group("pids", "", user=2001)
    assert values(above, "pids.max") == {"pids.max": "40"}
    assert values(above / box, "pids.max") == {"pids.max": "30"}
    assert values(group("cpu", "", user=2001), "cpu.cfs_quota_us") == {"cpu.cfs_quota_us": "80000"}
    fill = subprocess.Popen(["su", "alice", "-c", "for i in $(seq 25); do sleep 100 & done; echo on; exec cat"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert fill.stdout.readline() == b"on\n"
    assert "Resource temporarily unavailable" in su(command="for i in $(seq 25); do sleep 1 & done").err
    assert su(user="bob", command="for i in $(seq 25); do sleep 1 & done").err == ""
    fill.communicate(timeout=15)
    host.wait_until(lambda: not group("pids", "", user=2002).exists())


def test_quota_of_the_user_is_the_smaller_one(conf, baseline, session):
    """Version 1 takes no quota above that of the group above: the smaller one holds, as in version 2."""
    _, box = session("user_cpu_max = 60%", "cpu_max = 150%")
    assert values(group("cpu", box, user=2001), "cpu.cfs_quota_us") == {"cpu.cfs_quota_us": "60000"}


def test_users_group_comes_and_goes(conf, baseline):
    """Logins of one user at the moment when another one's end takes the common group away."""
    conf.nsbox(BOXED + "user_pids_max = 100\n")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: su(), range(host.count(400, 40))))
    assert len({boxed(result) for result in results}) == len(results)
    host.wait_until(lambda: sorted(path.name for path in (TREES / "pids/nsbox").iterdir() if path.is_dir()) == ["monitors"])


# -- sessions_max --


def test_sessions(conf, baseline, session):
    """As many as allowed, then a refusal that says how many; other users are not counted."""
    session("sessions_max = 2")
    process, _ = session("sessions_max = 2")
    since = syslog.mark()
    refused(su(), since, r"alice has 2 sessions already, and sessions_max of the profile all is 2 \(stage check, EUSERS\)")
    boxed(su(user="bob"))
    process.communicate(timeout=10)
    host.wait_until(lambda: len(host.run("nsboxctl", "list").out.splitlines()) == 2)
    boxed(su())


def test_sessions_at_once(conf, baseline):
    """Many logins at the same moment: never more than allowed, and as many as allowed."""
    conf.nsbox(BOXED + "sessions_max = 3\n")
    for _ in range(host.count(20, 3)):
        processes = [subprocess.Popen(["su", "alice", "-c", "echo in; exec cat"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(10)]
        first = [process.stdout.readline() for process in processes]
        assert sorted(first) == [b""] * 7 + [b"in\n"] * 3
        for process in processes:
            process.communicate(timeout=15)
        host.wait_until(lambda: len(host.run("nsboxctl", "list").out.splitlines()) == 1)


def test_unboxed_sessions_count(conf, baseline):
    """on_error=allow lets in without a box, but is a session."""
    conf.nsbox(BOXED + "sessions_max = 1\non_error = allow\nmemory_max = 1G\n")
    process = subprocess.Popen(["su", "alice", "-c", "echo in; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"in\n"
    conf.nsbox(BOXED + "sessions_max = 1\n")
    since = syslog.mark()
    refused(su(), since, "alice has 1 session already", helper_lines=None)
    process.communicate(timeout=10)


def test_one_too_many_is_no_way_out(conf, baseline, session):
    """on_error=allow is for what cannot be boxed."""
    session("sessions_max = 1", "on_error = allow")
    since = syslog.mark()
    refused(su(), since, "alice has 1 session already")


def test_ssh_is_refused_before_it_is_connected(conf, sshd, baseline, session):
    session("sessions_max = 1")
    assert sshd.ssh("alice", "true").rc == 255


# -- runtime_max --


def test_runtime(conf, baseline):
    """The session ends by itself, and says why on its terminal and in syslog."""
    conf.nsbox(BOXED + "runtime_max = 1s\nstop_timeout = 1s\n")
    since = syslog.mark()
    begin = time.monotonic()
    child = host.spawn("su", "alice", "-c", "trap '' TERM HUP; sleep 60; sleep 60")
    child.expect(r"nsbox: the session's time \(runtime_max\) is over, it ends now")
    finish(child)
    assert 0.9 < time.monotonic() - begin < 6
    assert "runtime_max" in syslog.wait_for("is over", since)


def test_runtime_of_one_that_leaves_in_time(conf, baseline):
    conf.nsbox(BOXED + "runtime_max = 5s\n")
    since = syslog.mark()
    boxed(su())
    syslog.wait_for("ended after", since)
    assert not syslog.matching("is over", since)


# -- what is said --


def test_notice(conf, baseline):
    """Syslog and the session's terminal hear that a limit was hit, once a minute; the count is in the last line."""
    conf.nsbox(BOXED + "pids_max = 30\n")
    since = syslog.mark()
    child = host.spawn("su", "alice", "-c", f"{FORKS}; read line; {FORKS}; read line")
    child.expect("nsbox: process limit 30 reached")
    time.sleep(1)
    child.sendline("")
    child.expect("failed")
    time.sleep(6)
    child.sendline("")
    finish(child)
    assert "nsbox: process limit" not in child.before
    line = syslog.wait_for("ended after", since)
    assert int(re.search(r"process limit hits (\d+)", line)[1]) > 30
    (told,) = syslog.matching("limit 30 reached", since)
    assert re.search(r"box \w+ of alice \(su, profile all\): process limit 30 reached", told)


def test_notice_in_an_ssh_session(conf, sshd, baseline):
    """The terminal is one of the box's own."""
    conf.nsbox(BOXED + "pids_max = 30\n")
    child = sshd.spawn("alice", f"{FORKS}; read line")
    child.expect("nsbox: process limit 30 reached")
    child.sendline("")
    finish(child)


def test_notice_reaches_no_other_terminal(conf, sshd, baseline):
    """devpts=host shows everybody's terminals: those of others hear nothing."""
    conf.nsbox("[profile alice]\nusers = alice\ndevpts = host\nnetwork = host\npids_max = 30\n")
    other = host.spawn("su", "bob", "-c", "echo ready; read line")
    other.expect("ready")
    since = syslog.mark()
    child = sshd.spawn("alice", f"{FORKS}; read line")
    child.expect("nsbox: process limit 30 reached")
    syslog.wait_for("limit 30 reached", since)
    child.sendline("")
    finish(child)
    other.sendline("")
    finish(other)
    assert "nsbox:" not in other.before


OWN, ALL = "memory_max 1073741824", "user_memory_max 2147483648"
KILLED = "a process was killed"


@pytest.mark.parametrize("limits, own, kills, others, words", [
    ([OWN, ALL], 3, 1, 0, f"memory limit 1G reached, {KILLED}"),
    ([OWN, ALL], 0, 1, 2, f"memory limit 2G of all your sessions reached, {KILLED}"),
    ([OWN, ALL], 0, 0, 2, f"memory limit 2G of all your sessions reached, {KILLED}"),
    ([OWN, ALL], 1, 1, 1, f"memory limit 1G or 2G of all your sessions reached, {KILLED}"),
    ([OWN, ALL], 0, 1, None, f"memory limit 2G of all your sessions reached, {KILLED}"),
    ([OWN, ALL], None, 1, None, f"memory limit 1G or 2G of all your sessions reached, {KILLED}"),
    ([OWN, ALL], 0, 1, 0, f"memory ran out, though no limit of yours was reached: {KILLED}"),
    ([OWN, ALL], 0, 0, 0, None),
    ([OWN], 1, 1, 7, f"memory limit 1G reached, {KILLED}"),
    ([OWN], 0, 1, 7, f"memory ran out, though no limit of yours was reached: {KILLED}"),
    ([OWN], None, 1, None, f"memory limit 1G reached, {KILLED}"),
    ([ALL], 0, 1, 7, f"memory limit 2G of all your sessions reached, {KILLED}"),
    ([ALL], None, 1, None, f"memory limit 2G of all your sessions reached, {KILLED}"),
])
def test_notice_of_memory(conf, baseline, tmp_path, limits, own, kills, others, words):
    """It names the limit that was reached, as far as the counters can tell: how often the box's own limit was, how many of
    its processes were killed, how often that of all boxes was. Not told by version 1, the last not by old kernels. What
    happened in another box by its own limit is no news here."""
    conf.nsbox(BOXED)
    group = tmp_path / "box"
    group.mkdir()
    if own is not None:
        (group / "memory.events").write_text(f"low 0\nhigh 0\nmax 9\noom {own}\noom_kill {kills}\noom_group_kill 0\n")
    if others is not None:
        (tmp_path / "memory.events.local").write_text(f"low 0\nmax 9\noom {others}\noom_kill 0\n")
    since = syslog.mark()
    with ctl.invented(group, *limits):
        for what in ("oom_kill", "runtime"):  # the second is told at once, so that the first has been
            assert host.run("/usr/libexec/nsbox/nsbox-helper", "notice", "aaaaaaaaaa", what).rc == 0
            host.wait_until(lambda: not host.find(argument="aaaaaaaaaa"), what="it is told")
    syslog.wait_for("box aaaaaaaaaa .* is over", since)
    told = [line.split("profile all): ")[1] for line in syslog.matching("box aaaaaaaaaa of alice", since)]
    assert told == [words, "the session's time (runtime_max) is over, it ends now"][words is None:]


def notice_holds(box):
    """What a notice that is being told has open."""
    with contextlib.suppress(OSError):
        for pid in host.pids():
            if host.cmdline(pid) == f"nsbox-helper notice {box} max":
                return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return []


def test_notice_holds_nothing_of_the_monitor(conf, baseline, session):
    """While it waits for syslog it has no descriptor of the monitor's: the guard must hear at once that this was killed."""
    _, box = session("pids_max = 30")
    (daemon,) = [pid for pid in host.pids() if "/host-syslog-" in host.cmdline(pid)]
    os.kill(daemon, signal.SIGSTOP)
    try:
        while host.run("timeout", "0.3", "logger", "full").rc == 0:
            pass
        host.run("nsboxctl", "enter", box, "--", "sh", "-c", FORKS, check=True)
        # its socket to syslog is there: it is past its beginning
        host.wait_until(lambda: (held := notice_holds(box)) and any("socket:" in name for name in held)
                        and not any(word in name for name in held for word in ("pipe:", "pidfd", "pids.events")),
                        timeout=5, what="nothing but its own is open")
    finally:
        os.kill(daemon, signal.SIGCONT)


def test_stopped_terminal_holds_nobody(conf, baseline):
    """Nobody reads the terminal and its buffer is full: the box ends as ever."""
    conf.nsbox(BOXED + "pids_max = 30\nstop_timeout = 1s\n")
    since = syslog.mark()
    child = host.spawn("su", "alice", "-c", f"yes | head -c 2000000 & sleep 0.2; {FORKS} >/dev/null; sleep 60")
    syslog.wait_for("limit 30 reached", since, timeout=10)
    child.close(force=True)
    syslog.wait_for("ended after", since, timeout=10)


def test_accounting(conf, baseline):
    """Duration, CPU time, processes: what version 1 tells."""
    conf.nsbox(BOXED)
    since = syslog.mark()
    boxed(su(command="echo in $NSBOX_ID; for i in $(seq 10); do sleep 0.5 & done; "
                     "python3 -c 'import time\nwhile time.process_time() < 0.5: pass'; wait"))
    line = syslog.wait_for("ended after", since)
    found = re.search(r"box \w+ of alice \(su, profile all\) ended after (\d+) s, CPU (\d+\.\d\d) s"
                      r"(?:, peak processes (\d+))?, process limit hits 0$", line)
    assert found, line
    assert int(found[1]) <= 10 and 0.5 <= float(found[2]) < 3
    if found[3]:
        assert 12 <= int(found[3]) < 25


def processor_time(pid):
    """Clock ticks of user and system time."""
    return sum(int(word) for word in host.read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[11:13])


def test_monitor_sleeps(conf, baseline, session):
    """Counters that are watched cost nothing while they do not change, and after they did."""
    _, box = session("pids_max = 30")
    (monitor,) = [pid for pid in host.pids() if host.cmdline(pid).startswith(f"nsbox-monitor {box}")]
    host.run("nsboxctl", "enter", box, "--", "sh", "-c", FORKS, check=True)
    host.wait_until(lambda: "max 0" not in (group("pids", box) / "pids.events").read_text())
    before = processor_time(monitor)
    time.sleep(1)
    assert processor_time(monitor) - before <= 2
