# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""share = user beside logind: the sessions stay in their scopes, the box outlives each of them, the user's slice holds the
limits."""
import pytest

from lib import host, nsboxvm
from lib.nsboxvm import GROUPS, boxes, lines, properties, started

SLICE = "user-2001.slice"


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


def gone(vm, timeout=30):
    host.wait_until(lambda: not boxes(vm), timeout=timeout, interval=0.3, what="no box left")


def sessions(vm, user="alice"):
    """Their numbers, oldest first."""
    found = [line.split()[0] for line in vm.run("loginctl --no-legend list-sessions").out.splitlines() if f" {user} " in line]
    return sorted(found, key=int)


def say(session, words):
    session.stdin.write(f"{words}\n".encode())
    session.stdin.flush()
    assert lines(session, 1) == [words]


def test_two_sessions_one_box(vm, conf):
    """Each has its scope and its place in loginctl; PID 1 has a group of its own; the limits are the slice's, and those of
    the box where they are lower; a process of the second sees one of the first; nothing of the host's groups is in sight."""
    conf("share = user", "pids_max = 77", "user_pids_max = 50", "memory_max = 123M")
    with started(vm, "alice", "echo on; cat /proc/self/cgroup") as one, \
            started(vm, "alice", "echo $NSBOX_ID; cat /proc/self/cgroup; pgrep -c -u alice -x cat") as other:
        assert lines(one, 2) == ["on", "0::/"]
        (entry,) = boxes(vm)
        found = lines(other, 3)
        assert found[:2] == [entry["id"], "0::/"] and int(found[2]) >= 1
        assert len(entry["members"]) == 2
        assert vm.read(f"/proc/{entry['init_pid']}/cgroup") == f"0::/nsbox.slice/nsbox.service/user-2001/{entry['id']}\n"
        for number, member in zip(sessions(vm), sorted(entry["members"])):
            assert vm.read(f"/proc/{member}/cgroup") == f"0::/user.slice/{SLICE}/session-{number}.scope\n"
        assert properties(vm, SLICE, "TasksMax", "MemoryMax") == {"TasksMax": "50", "MemoryMax": str(123 << 20)}
        assert vm.run(f"cat {GROUPS}/user-2001/{entry['id']}/pids.max").out == "77\n"
    gone(vm)
    host.wait_until(lambda: not sessions(vm), timeout=30, interval=0.3)


def test_the_limit_holds_for_all_together(vm, conf):
    """Processes of two sessions count against one number."""
    conf("share = user", "pids_max = 60")
    # dash gives up at once where bash tries again and again
    bomb = "i=0; while [ $i -lt 40 ]; do sleep 100 >/dev/null 2>&1 & i=$((i+1)); done; echo done"
    with started(vm, "alice", bomb) as one:
        assert lines(one, 1) == ["done"]
        vm.write("/home/alice/bomb", bomb)
        result = vm.run("sh /home/alice/bomb", user="alice", timeout=60)
        assert result.rc != 0 and "Cannot fork" in result.err, result
        assert int(vm.read(f"/sys/fs/cgroup/user.slice/{SLICE}/pids.max")) == 60
        # another user is not concerned
        assert vm.run("id -un", user="bob").out == "bob\n"
    gone(vm)


def test_terminate_one(vm, conf):
    """loginctl terminate-session of the session that made the box ends that session; the other goes on in the box."""
    conf("share = user", "memory_max = 200M")
    with started(vm, "alice", "echo on") as one:
        assert lines(one, 1) == ["on"]
        with started(vm, "alice", "echo on") as other:
            assert lines(other, 1) == ["on"]
            before = boxes(vm)[0]["id"]
            vm.run(f"loginctl terminate-session {sessions(vm)[0]}", check=True)
            one.wait(30)
            host.wait_until(lambda: len(boxes(vm)[0]["members"]) == 1, timeout=20, interval=0.3)
            say(other, "still")
            assert boxes(vm)[0]["id"] == before
            assert vm.run("echo $NSBOX_ID", user="alice").out == f"{before}\n"
    gone(vm)


def test_a_box_that_su_made(vm, conf):
    """It has its limits by itself. A session of logind that joins it stays in its scope and gets them by the slice."""
    conf("share = user", "devpts = private", "pids_max = 77")
    with started(vm, "root", "su alice -c 'echo on; cat'") as one:
        assert lines(one, 1) == ["on"]
        (entry,) = boxes(vm)
        assert vm.run(f"cat {entry['cgroup']}/pids.max").out == "77\n"
        assert vm.run(f"echo $NSBOX_ID; cat /sys/fs/cgroup/user.slice/{SLICE}/pids.max; cat /proc/self/cgroup",
                      user="alice").out.split()[0] == entry["id"]
        with started(vm, "alice", "echo on") as other:
            assert lines(other, 1) == ["on"]
            assert properties(vm, SLICE, "TasksMax") == {"TasksMax": "77"}
            assert len(boxes(vm)[0]["members"]) == 2
    gone(vm)


def test_linger(vm, conf):
    """The box outlives its last session by the time that is asked for, though logind has forgotten the user."""
    conf("share = user", "linger = 1min")
    assert vm.run("echo here > /tmp/left", user="alice").rc == 0
    host.wait_until(lambda: not sessions(vm), timeout=30, interval=0.3)
    (entry,) = boxes(vm)
    assert vm.run("cat /tmp/left", user="alice").out == "here\n"
    assert boxes(vm)[0]["id"] == entry["id"]
    vm.run(f"kill {entry['init_pid']}", check=True)
    gone(vm)


def test_freeze_is_refused(vm, conf):
    """What would stop is not only the box, so it is said how."""
    conf("share = user", "pids_max = 77")
    with started(vm, "alice", "echo on") as one:
        assert lines(one, 1) == ["on"]
        (entry,) = boxes(vm)
        result = vm.run(f"nsboxctl freeze {entry['id']}")
        assert result.rc == 1 and f"systemctl freeze {SLICE}" in result.err
        say(one, "still")
    gone(vm)
