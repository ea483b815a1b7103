# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""Boxes beside logind and systemd: each keeps its view, restarts and reloads harm nobody, and what is refused leaves
nothing behind."""
import re
import time

import pytest

from lib import host, nsboxvm
from lib.nsboxvm import GROUPS, boxes, lines, properties, scope_of, seconds, started


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


def gone(vm, timeout=30):
    host.wait_until(lambda: not boxes(vm), timeout=timeout, interval=0.3, what="no box left")


def sessions(vm):
    return vm.run("loginctl --no-legend list-sessions").out.splitlines()


def test_logind_keeps_its_view(vm, conf):
    """During a boxed ssh session loginctl shows what it shows of any; the monitor is not in the session; afterwards
    nothing is left of it. The user's own manager starts and stops as ever."""
    conf("memory_max = 200M")
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        (line,) = sessions(vm)
        number = line.split()[0]
        shown = vm.run(f"loginctl show-session -p Service -p Remote -p Type -p State {number}").out.split()
        assert {"Service=sshd", "Remote=yes", "Type=tty", "State=active"} == set(shown)
        status = vm.run(f"loginctl session-status --no-pager {number}").out
        assert "nsbox-init" in status and "sshd: alice" in status
        assert "nsbox-monitor" not in status and "nsbox-guard" not in status
        assert vm.run("systemctl is-active user@2001.service").out == "active\n"
        assert vm.run("XDG_RUNTIME_DIR=/run/user/2001 runuser -u alice -- systemctl --user is-system-running").out == "running\n"
    gone(vm)
    host.wait_until(lambda: not sessions(vm), timeout=20, interval=0.3)
    host.wait_until(lambda: vm.run("systemctl is-active user@2001.service").out == "inactive\n", timeout=30, interval=0.5)
    host.wait_until(lambda: "user-2001.slice" not in vm.run("ls /sys/fs/cgroup/user.slice").out, timeout=20, interval=0.3)


def test_su_leaves_the_sessions_scope_alone(vm, conf):
    """su in somebody's session, boxed or not, changes nothing about the session's scope."""
    conf("pids_max = 77", "memory_max = 123M")
    with started(vm, "bob", "echo on") as session:
        assert lines(session, 1) == ["on"]
        scope = scope_of(vm, "bob")
        before = properties(vm, scope, "TasksMax", "MemoryMax", "CPUQuotaPerSecUSec")
        with started(vm, "root", "su alice -c 'echo on; cat'") as other:
            assert lines(other, 1) == ["on"]
            assert len(boxes(vm)) == 1
            root = properties(vm, scope_of(vm, "root"), "TasksMax", "MemoryMax", "CPUQuotaPerSecUSec")
            assert root == before == properties(vm, scope, "TasksMax", "MemoryMax", "CPUQuotaPerSecUSec")
            # the application is in the box's group, and back in the session's afterwards
            (entry,) = boxes(vm)
            assert entry["cgroup"] == f"{GROUPS}/{entry['id']}"
            assert vm.read(f"/proc/{entry['members'][0]}/cgroup") == f"0::/nsbox.slice/nsbox.service/{entry['id']}\n"
    gone(vm)


def test_reload_keeps_the_limits(vm, conf):
    """daemon-reload and daemon-reexec: the same numbers in the same files."""
    conf("pids_max = 77", "memory_max = 123M", "cpu_max = 70%")
    with started(vm, "alice", "echo on") as one, started(vm, "root", "su alice -c 'echo on; cat'") as other:
        assert lines(one, 1) == lines(other, 1) == ["on"]
        groups = [entry["cgroup"] for entry in boxes(vm)]
        assert len(groups) == 2
        for command in ("daemon-reload", "daemon-reexec"):
            vm.run(f"systemctl {command}", check=True)
            for group in groups:
                assert vm.run(f"cd {group}; cat pids.max memory.max cpu.max").out == f"77\n{123 << 20}\n70000 100000\n"
        one.stdin.write(b"still\n")
        one.stdin.flush()
        assert lines(one, 1) == ["still"]
    gone(vm)


def test_terminate_session(vm, conf):
    """loginctl terminate-session ends the session and its box; the monitor, which is outside, cleans."""
    conf("memory_max = 200M")
    since = seconds(vm)
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        vm.run(f"loginctl terminate-session {sessions(vm)[0].split()[0]}", check=True)
        session.wait(30)
    gone(vm)
    assert re.search(r"box \w+ of alice .* ended after", vm.journal(f"--since @{since} -t nsbox-helper"))


def test_kill_user_processes(vm, conf):
    """KillUserProcesses=yes kills what the session left; the box is gone all the same, and logind forgets the session."""
    conf("memory_max = 200M")
    vm.write("/etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\n")
    vm.run("systemctl restart systemd-logind", check=True)
    try:
        with started(vm, "alice", "(trap '' HUP TERM; sleep 1000) & echo on") as session:
            assert lines(session, 1) == ["on"]
        gone(vm)
        host.wait_until(lambda: not sessions(vm), timeout=20, interval=0.3)
        assert vm.run("pgrep -u alice sleep").rc != 0
    finally:
        vm.run("rm /etc/systemd/logind.conf.d/kill.conf && systemctl restart systemd-logind")


def test_restarts(vm, conf):
    """ssh, cron, logind, dbus clients, journald are restarted under live boxes: those live on, and end as ever; what is
    said afterwards arrives."""
    conf("pids_max = 100")
    with started(vm, "alice", "echo on") as one, started(vm, "root", "su alice -c 'echo on; cat'") as other:
        assert lines(one, 1) == lines(other, 1) == ["on"]
        for unit in ("ssh", "cron", "systemd-logind", "systemd-journald"):
            vm.run(f"systemctl restart {unit}", check=True)
        assert len(boxes(vm)) == 2
        one.stdin.write(b"still\n")
        one.stdin.flush()
        assert lines(one, 1) == ["still"]
        since = seconds(vm)
        assert vm.run("echo $NSBOX_ID", user="alice").out.strip()
        assert "pam_nsbox(sshd:session)" in vm.journal(f"--since @{since}")
    gone(vm)


def test_service_cannot_be_stopped_by_mistake(vm, conf):
    """A restart under live boxes would fail with this systemd: refused, and nothing happens."""
    conf("pids_max = 100")
    with started(vm, "root", "su alice -c 'echo on; cat'") as session:
        assert lines(session, 1) == ["on"]
        for verb in ("stop", "restart"):
            assert "Operation refused" in vm.run(f"systemctl {verb} nsbox.service").err
        (entry,) = boxes(vm)
        assert vm.read(f"{entry['cgroup']}/pids.max") == "100\n"
    gone(vm)


def test_without_the_service(vm, conf):
    """Whoever would be boxed is refused with the sentence that mends it; others are let in."""
    conf()
    vm.run("systemctl kill nsbox.service", check=True)
    try:
        host.wait_until(lambda: vm.run(f"test -d {GROUPS}").rc != 0, timeout=10, interval=0.2)
        since = seconds(vm)
        assert vm.run("echo in", user="alice").rc == 255
        assert "nsbox.service does not run: systemctl enable --now nsbox.service" in vm.journal(f"--since @{since}")
        assert "nsbox.service does not run" in vm.run("nsboxctl check").err
        assert vm.run("echo in", user="bob").out == "in\n"
    finally:
        vm.run("systemctl start nsbox.service", check=True)
    assert vm.run("echo in", user="alice").out == "in\n"


def test_without_the_bus_program(vm, conf):
    """The application leads a session and nobody can be asked: refused, never a box without its limits."""
    conf("pids_max = 100")
    vm.run("chmod 000 /usr/libexec/nsbox/nsbox-bus", check=True)
    try:
        since = seconds(vm)
        result = vm.run("echo in", user="alice")
        assert "in\n" not in result.out
        assert "cannot run /usr/libexec/nsbox/nsbox-bus" in vm.journal(f"--since @{since}")
    finally:
        vm.run("chmod 755 /usr/libexec/nsbox/nsbox-bus")


def test_refusal_puts_the_scope_back(vm, conf):
    """A login that fails after its limits were set: the scope has the limits of before."""
    vm.run("mkdir -p /srv/empty", check=True)
    # the mount point is hidden by the line before: only the builder can see that
    conf("pids_max = 77", "memory_max = 123M", "bind = /srv/empty:/mnt", "bind = /usr:/mnt/missing")
    since = seconds(vm)
    # ssh -N stays connected without a session, outside: its scope can be looked at
    with vm.master("alice"):
        said = host.wait_until(lambda: (text := vm.journal(f"--since @{since}")) and "login of alice refused" in text and text,
                               timeout=20, interval=0.3)
        assert "/mnt/missing" in said and "(stage build, ENOENT)" in said
        scope = scope_of(vm)
        assert not boxes(vm)
        assert properties(vm, scope, "MemoryMax") == {"MemoryMax": "infinity"}
        assert vm.run(f"cat /sys/fs/cgroup/user.slice/user-2001.slice/{scope}/memory.max").out == "max\n"
        assert properties(vm, scope, "TasksMax")["TasksMax"] != "77"


def test_manager_cgroupfs(vm, conf):
    """The other manager on the same host: by itself, below cgroup_parent."""
    conf("cgroup_manager = cgroupfs", "cgroup_parent = boxes", "pids_max = 60")
    with started(vm, "alice", "cat /proc/self/cgroup") as session:
        assert lines(session, 1) == ["0::/"]
        (entry,) = boxes(vm)
        assert entry["cgroup"] == f"/sys/fs/cgroup/boxes/{entry['id']}"
        assert vm.read(f"{entry['cgroup']}/pids.max") == "60\n"
    gone(vm)
    assert vm.run("ls -d /sys/fs/cgroup/boxes/*/").out == "/sys/fs/cgroup/boxes/monitors/\n"
    host.wait_until(lambda: vm.run("rmdir /sys/fs/cgroup/boxes/monitors /sys/fs/cgroup/boxes").rc == 0, timeout=10)


def test_enter_and_top(vm, conf):
    """nsboxctl enter goes into the session's scope; top shows its use against its limits."""
    conf("pids_max = 60", "memory_max = 300M")
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        (entry,) = boxes(vm)
        assert vm.run(f"nsboxctl enter {entry['id']} -- cat /proc/self/cgroup").out == "0::/\n"
        table = vm.run("nsboxctl top --once").out
        assert re.search(rf"{entry['id']}\s+alice\s+all\s.*/300.0M.*/60", table), table
    gone(vm)


def test_crash(vm, conf):
    """Application and monitor killed at once: the guard cleans, logind forgets the session."""
    conf("pids_max = 60")
    with started(vm, "alice", "sleep 1000 & echo on") as session:
        assert lines(session, 1) == ["on"]
        (entry,) = boxes(vm)
        monitor = vm.run("pgrep -x nsbox-monitor").out.split()
        holder = vm.run("systemctl show -P MainPID nsbox.service").out.strip()
        monitor.remove(holder)
        vm.run(f"kill -9 {entry['members'][0]} {' '.join(monitor)}", check=True)
        session.wait(30)
    gone(vm)
    host.wait_until(lambda: not sessions(vm), timeout=20, interval=0.3)


def test_many_at_once(vm, conf):
    """Several ssh sessions beside each other, each in its own scope."""
    conf("pids_max = 60")
    number = host.count(10, 4)
    begin = time.monotonic()
    processes = [vm.popen("alice", "echo $NSBOX_ID; cat") for _ in range(number)]
    ids = {process.stdout.readline().decode().strip() for process in processes}
    assert len(ids) == number and "" not in ids
    assert {entry["id"] for entry in boxes(vm)} == ids
    assert len({entry["cgroup"] for entry in boxes(vm)}) == number
    for process in processes:
        process.communicate(timeout=30)
    assert time.monotonic() - begin < 300
    gone(vm)


def test_managers_are_out_of_reach(vm, conf):
    """ATTACKS 19: while the user's own manager runs, a boxed session cannot make it run something outside of the box, nor the
    system's; who is not boxed can."""
    conf()
    told = "touch /home/alice/outside"
    reach = "export XDG_RUNTIME_DIR=/run/user/2001 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/2001/bus"
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        assert vm.run("systemctl is-active user@2001.service").out == "active\n"
        for command in (f"systemd-run --user {told}", f"systemd-run --system {told}", f"systemd-run --machine=alice@.host --user {told}",
                        "busctl --user list", "busctl --system list", "loginctl enable-linger", "systemctl --user daemon-reload"):
            result = vm.run(f"{reach}; {command}", user="alice")
            assert result.rc != 0 and re.search("Failed to|Could not|No such file", result.err), (command, result)
        assert vm.run("test -e /home/alice/outside").rc != 0
        vm.run(f"XDG_RUNTIME_DIR=/run/user/2001 runuser -u alice -- systemd-run --user --wait {told}", check=True)
        vm.run("rm /home/alice/outside", check=True)
    gone(vm)
