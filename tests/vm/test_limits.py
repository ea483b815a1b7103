# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-2
"""Limits on a host with systemd and control groups version 2: each one is hit, by ssh (the application leads a logind
session: its scope has the limits), by su in somebody's session and by cron (groups below nsbox.service)."""
import re
import time

import pexpect
import pytest

from lib import host, nsboxvm
from lib.nsboxvm import GROUPS, boxes, ending, lines, properties, scope_of, seconds, started

FORKS = r"""setsid -w python3 -c '
import os, time
n = 0
try:
    while n < 400:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        n += 1
except BlockingIOError as error:
    print("stopped", n, error.strerror, flush=True)
os.kill(0, 15)'"""
HOG = "python3 -c 'import time; a = bytearray({0} * 1024 * 1024); print(len(a)); time.sleep(1)'"
# the share of one processor that a busy loop gets in so many seconds
SPIN = r"""python3 -c '
import time
begin, cpu = time.monotonic(), time.process_time()
while time.monotonic() - begin < 6: pass
print(round((time.process_time() - cpu) / (time.monotonic() - begin), 3))'"""


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


def by_ssh(vm, command, timeout=120):
    return vm.run(command, user="alice", timeout=timeout)


def by_su(vm, command, timeout=120):
    """su in root's session."""
    vm.write("/home/alice/command", command + "\n")
    return vm.run("su alice -c 'sh /home/alice/command'", user="root", timeout=timeout)


def by_cron(vm, command, timeout=120):
    vm.run("rm -f /home/alice/done /home/alice/output")
    vm.write("/home/alice/command", f"( {command} ) >/home/alice/output 2>&1\ntouch /home/alice/done\n")
    # @reboot alone would do, but cron looks at each minute's files anyway
    vm.write("/etc/cron.d/test", "* * * * * alice sh /home/alice/command\n")
    try:
        host.wait_until(lambda: vm.run("test -e /home/alice/done").rc == 0, timeout=timeout + 75, what="the job's end")
    finally:
        vm.run("rm /etc/cron.d/test")
    return host.Result(0, vm.run("cat /home/alice/output").out, "")


WAYS = pytest.mark.parametrize("way", [by_ssh, by_su], ids=["ssh", "su"])


def test_limits_are_set(vm, conf):
    """Each key arrives in its file, in the session's scope and in a group of our own; the rest of the machine has none of
    it. In the box the group is "/" and nothing can be written there."""
    conf("pids_max = 50", "memory_max = 150M", "memory_high = 140M", "swap_max = 0", "cpu_max = 80%", "cpu_weight = 200",
         "cpuset = 0", "io_max = /dev/nvme0n1 rbps=50M wiops=1000")
    files = {"pids.max": "50", "memory.max": str(150 << 20), "memory.high": str(140 << 20), "memory.swap.max": "0",
             "cpu.max": "80000 100000", "cpu.weight": "200", "cpuset.cpus": "0",
             "io.max": "259:0 rbps=50000000 wbps=max riops=max wiops=1000"}
    assert vm.run("nsboxctl check").rc == 0
    with started(vm, "alice", "echo $NSBOX_ID; cat /proc/self/cgroup; nproc") as session:
        found = lines(session, 3)
        assert found[1] == "0::/" and found[2] == "1"
        scope = scope_of(vm)
        group = f"/sys/fs/cgroup/user.slice/user-2001.slice/{scope}"
        assert {name: vm.read(f"{group}/{name}").strip() for name in files} == files
        (entry,) = boxes(vm)
        assert entry["cgroup"] == group
        assert vm.run(f"cat /proc/{entry['init_pid']}/cgroup").out == f"0::/user.slice/user-2001.slice/{scope}\n"
        monitors = vm.run("pgrep -x 'nsbox-monitor|nsbox-guard'").out.split()
        assert len(monitors) == 3  # with the holder
        for pid in monitors:
            assert vm.read(f"/proc/{pid}/cgroup") == "0::/nsbox.slice/nsbox.service/monitors\n"
    with started(vm, "root", "su alice -c 'cat /proc/self/cgroup; cat'") as session:
        assert lines(session, 1) == ["0::/"]
        (entry,) = boxes(vm)
        assert entry["cgroup"] == f"{GROUPS}/{entry['id']}"
        assert {name: vm.read(f"{entry['cgroup']}/{name}").strip() for name in files} == files
        assert properties(vm, scope_of(vm, "root"), "TasksMax", "MemoryMax")["MemoryMax"] == "infinity"


@WAYS
def test_processes(vm, conf, way):
    """A fork bomb stops at the limit; the line in the journal says so, and how it ended."""
    conf("pids_max = 40")
    since = seconds(vm)
    result = way(vm, FORKS)
    found = re.search(r"stopped (\d+) Resource temporarily unavailable", result.out)
    assert found and 25 <= int(found[1]) < 40, result
    said = ending(vm, since)
    assert "process limit 40 reached" in said
    assert re.search(r"ended after \d+ s, CPU [\d.]+ s, peak memory \d+ bytes, .*process limit hits [1-9]", said), said


@WAYS
def test_memory(vm, conf, way):
    """What wants more is killed, the session goes on."""
    conf("memory_max = 100M", "swap_max = 0")
    since = seconds(vm)
    result = way(vm, f"{HOG.format(40)}; {HOG.format(300)}; echo status $?")
    assert f"{40 << 20}\n" in result.out and str(300 << 20) not in result.out and "status 137" in result.out, result
    said = ending(vm, since)
    assert "memory limit 100M reached, a process was killed" in said
    assert re.search(r"peak memory (9\d|10[0-4])\d{6} bytes.*memory limit kills 1", said), said


@WAYS
def test_cpu(vm, conf, way):
    """A busy loop gets its quota, measured against the clock; without the limit it gets nearly all."""
    conf("cpu_max = 25%")
    share = float(way(vm, SPIN).out.split()[-1])
    assert 0.15 <= share <= 0.35, share
    conf()
    assert float(way(vm, SPIN).out.split()[-1]) > 0.6


def test_cron(vm, conf):
    """All three in one job, because cron starts jobs once a minute."""
    conf("pids_max = 40", "memory_max = 100M", "swap_max = 0", "cpu_max = 25%")
    since = seconds(vm)
    result = by_cron(vm, f"cat /proc/self/cgroup; {HOG.format(300)}; echo status $?; {SPIN}; {FORKS}")
    said = ending(vm, since)
    assert "0::/\n" in result.out and "status 137" in result.out and "memory limit 100M reached" in said, result
    assert 0.15 <= float(re.search(r"^0\.\d+$", result.out, re.M)[0]) <= 0.35, result
    assert re.search(r"stopped \d\d Resource temporarily unavailable", result.out), result
    assert "process limit 40 reached" in said and " (cron, profile all) ended after" in said


def test_io(vm, conf):
    """Reads of the disk are held back."""
    read = "python3 -c 'import os, time; fd = os.open(\"{0}\", os.O_RDONLY); " \
           "os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED); t = time.monotonic(); n = len(os.read(fd, 4 << 20)); " \
           "print(n, round(time.monotonic() - t, 2))'"
    file = "/home/alice/data"
    vm.run(f"dd if=/dev/urandom of={file} bs=1M count=4 conv=fsync && chown alice {file}", check=True)
    conf("io_max = / rbps=1M")
    size, took = by_ssh(vm, read.format(file)).out.split()
    assert int(size) == 4 << 20 and float(took) > 2.5
    conf()
    assert float(by_ssh(vm, read.format(file)).out.split()[1]) < 2.5


def test_user_limits(vm, conf):
    """Two sessions of one user share a limit."""
    conf("user_pids_max = 60", "user_memory_max = 300M", "user_cpu_max = 150%", "pids_max = 50")
    with started(vm, "root", "su alice -c 'for i in $(seq 30); do sleep 60 & done; echo on; cat'") as session:
        assert lines(session, 1) == ["on"]
        (entry,) = boxes(vm)
        assert entry["cgroup"] == f"{GROUPS}/user-2001/{entry['id']}"
        assert vm.read(f"{GROUPS}/user-2001/pids.max") == "60\n"
        assert vm.read(f"{GROUPS}/user-2001/memory.max") == f"{300 << 20}\n"
        assert vm.read(f"{GROUPS}/user-2001/cpu.max") == "150000 100000\n"
        since = seconds(vm)
        result = by_su(vm, FORKS)
        found = re.search(r"stopped (\d+) ", result.out)
        assert found and 10 <= int(found[1]) < 30, result
        assert "process limit 60 of all your sessions reached" in vm.journal(f"--since @{since} -t nsbox-helper")
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        assert properties(vm, "user-2001.slice", "TasksMax", "MemoryMax") == {"TasksMax": "60", "MemoryMax": str(300 << 20)}


def test_sessions(vm, conf):
    """The third one is refused before it is connected, with a sentence; when one has gone there is room again."""
    conf("sessions_max = 2")
    with started(vm, "alice", "echo on") as first, started(vm, "alice", "echo on") as second:
        assert lines(first, 1) == lines(second, 1) == ["on"]
        since = seconds(vm)
        assert vm.run("echo in", user="alice").rc == 255
        assert "alice has 2 sessions already, and sessions_max of the profile all is 2" in vm.journal(f"--since @{since}")
    host.wait_until(lambda: not boxes(vm), timeout=20)
    assert vm.run("echo in", user="alice").out == "in\n"


def test_runtime(vm, conf):
    """The session's terminal reads why, and it ends."""
    conf("runtime_max = 8s")
    begin = time.monotonic()
    child = vm.spawn("alice", timeout=60)
    child.expect(r"nsbox: the session's time \(runtime_max\) is over")
    child.expect(pexpect.EOF)
    assert 6 < time.monotonic() - begin < 40


def test_terminal_is_told(vm, conf):
    """On the session's own terminal, whether sshd or somebody else made it."""
    conf("pids_max = 30")
    child = vm.spawn("alice", timeout=60)
    child.expect(r"\$ ")
    child.sendline("for i in $(seq 40); do sleep 3 & done")
    child.expect("nsbox: process limit 30 reached")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child = vm.spawn("root", timeout=60)
    child.expect("# ")
    child.sendline("su alice")
    child.expect(r"\$ ")
    child.sendline("for i in $(seq 40); do sleep 3 & done")
    child.expect("nsbox: process limit 30 reached")
    child.sendline("exit")
    child.expect("# ")
    child.sendline("exit")
    child.expect(pexpect.EOF)


def test_missing_controller(vm, conf):
    """A limit that the kernel does not know is refused at check and login with its name; limits_optional does without."""
    conf("io_weight = 50")
    known = vm.run(f"ls {GROUPS}/monitors/io.weight {GROUPS}/monitors/io.bfq.weight").out != ""
    result = vm.run("nsboxctl check")
    assert (result.rc == 0) == known, result
    if not known:
        assert "profile all: logins are refused: io_weight: this kernel's control groups have no io.weight" in result.err
        assert vm.run("echo in", user="alice").rc == 255
    conf("io_weight = 50", "limits_optional = yes", "memory_max = 100M")
    assert vm.run("nsboxctl check").rc == 0
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        assert properties(vm, scope_of(vm), "MemoryMax") == {"MemoryMax": str(100 << 20)}
