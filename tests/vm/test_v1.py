# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# full: tests/system has these trees too, but for memory's
"""The same machine with control groups version 1 (systemd's legacy hierarchy): each controller in its own tree, memory
among them, which the throw-away host does not have."""
import re

import pytest

from lib import host
from lib.nsboxvm import boxes, ending, lines, seconds, started
from lib.vm import Vm

TREES = "/sys/fs/cgroup"


@pytest.fixture(scope="module")
def v1():
    machine = Vm(append="systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 swapaccount=1")
    machine.install()
    machine.shipped_stacks()
    yield machine
    machine.stop()


@pytest.fixture
def conf(v1):
    def write(*words):
        v1.write("/etc/security/nsbox.conf",
                 "\n".join(["[profile all]", "users = alice", "network = host", "stop_timeout = 1s", *words, ""]))
    yield write
    v1.write("/etc/security/nsbox.conf", "")
    host.wait_until(lambda: not boxes(v1), timeout=30, interval=0.3, what="no box left")
    left = v1.run(f"find {TREES}/*/nsbox -mindepth 1 -type d").out.split()
    assert left and all(path.endswith("/nsbox/monitors") for path in left), left


def test_trees(v1):
    assert v1.run("stat -fc %T /sys/fs/cgroup").out == "tmpfs\n"
    assert v1.run("test -d /sys/fs/cgroup/memory && test -d /sys/fs/cgroup/pids").rc == 0


def test_service_is_skipped(v1):
    """nsbox.service is for version 2: started, as a package does it, it neither runs nor fails."""
    v1.run("systemctl daemon-reload && systemctl start nsbox.service", check=True)
    shown = v1.run("systemctl show -p ActiveState -p ConditionResult nsbox.service", check=True).out.split()
    assert set(shown) == {"ActiveState=inactive", "ConditionResult=no"}
    assert v1.run("systemctl is-system-running").out == "running\n"


def test_limits_are_set(v1, conf):
    """Each in the file of its tree; logind keeps the session."""
    conf("pids_max = 50", "memory_max = 150M", "swap_max = 50M", "cpu_max = 80%", "cpu_weight = 200", "cpuset = 0",
         "io_max = /dev/nvme0n1 rbps=50M", "user_pids_max = 90", "user_memory_max = 300M")
    assert v1.run("nsboxctl check").rc == 0, v1.run("nsboxctl check").err
    files = {"pids/pids.max": "50", "memory/memory.limit_in_bytes": str(150 << 20),
             "memory/memory.memsw.limit_in_bytes": str(200 << 20), "cpu/cpu.cfs_quota_us": "80000", "cpu/cpu.shares": "2048",
             "cpuset/cpuset.cpus": "0", "blkio/blkio.throttle.read_bps_device": "259:0 50000000"}
    with started(v1, "alice", "nproc; cat /proc/self/cgroup | grep -c -v ':/$'") as session:
        assert lines(session, 1) == ["1"]
        (entry,) = boxes(v1)
        for path, value in files.items():
            tree, name = path.split("/")
            assert v1.read(f"{TREES}/{tree}/nsbox/user-2001/{entry['id']}/{name}").strip() == value, path
        assert v1.read(f"{TREES}/pids/nsbox/user-2001/pids.max") == "90\n"
        assert v1.read(f"{TREES}/memory/nsbox/user-2001/memory.limit_in_bytes") == f"{300 << 20}\n"
        assert " alice " in v1.run("loginctl --no-legend list-sessions").out


def test_memory(v1, conf):
    """The hog is killed, the session lives on, and both syslog and the terminal hear of it."""
    conf("memory_max = 100M", "pids_max = 40")
    since = seconds(v1)
    result = v1.run("python3 -c 'a = bytearray(300 << 20); print(len(a))'; echo status $?; sleep 7", user="alice")
    assert "status 137" in result.out and str(300 << 20) not in result.out, result
    said = ending(v1, since)
    assert "memory limit 100M reached, a process was killed" in said
    assert re.search(r"peak memory (9\d|10[0-4])\d{6} bytes.*memory limit kills 1", said), said


def test_what_version_1_has_not(v1, conf):
    conf("memory_high = 100M")
    assert "memory_high: control groups version 1 have no such limit" in v1.run("nsboxctl check").err
    assert v1.run("echo in", user="alice").rc == 255
    conf("swap_max = 100M")
    assert "set memory_max as well" in v1.run("nsboxctl check").err
    conf("memory_high = 100M", "limits_optional = yes")
    assert v1.run("echo in", user="alice").out == "in\n"


def test_freeze(v1, conf):
    """In the freezer tree."""
    conf("pids_max = 40")
    with started(v1, "alice", "while :; do :; done & echo on") as session:
        assert lines(session, 1) == ["on"]
        (entry,) = boxes(v1)
        v1.run(f"nsboxctl freeze {entry['id']}", check=True)
        assert boxes(v1)[0]["state"] == "frozen"
        used = f"cat {TREES}/cpuacct/nsbox/{entry['id']}/cpuacct.usage"
        before = int(v1.run(used).out)
        v1.run("sleep 1")
        assert int(v1.run(used).out) - before < 50_000_000
        v1.run(f"nsboxctl thaw {entry['id']}", check=True)
        assert boxes(v1)[0]["state"] == "ready"
