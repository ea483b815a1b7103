# SPDX-License-Identifier: BSD-3-Clause
# host: --cgroup=v2
"""share = user on one cgroup2 tree: who is in which group while sessions come and go, and the ends by force. Where the machine
keeps its pids controller in a version 1 tree there is no limit to be had here (test_cgroup_v2.py)."""
import os
import pathlib
import signal

import pytest

from lib import host
from lib.ctl import boxes, ctl
from lib.share import (PROFILE, guard_of, inside, many, monitor_of, records, ssh, su, the_box, timed_su, wait_gone,
                       wait_members, end_what_failed)

TREE = pathlib.Path("/sys/fs/cgroup")
LIFE = f"{PROFILE}pids_max = infinity\nstop_timeout = 1s\n"


@pytest.fixture
def shared(conf, baseline, request):
    conf.pam_all()
    conf.remove("/root/.bashrc")
    conf.nsbox(LIFE)
    yield conf
    end_what_failed(request)


def where(pid):
    return host.cgroup(pid, "")


def groups():
    return sorted(path.name for path in (TREE / "nsbox").iterdir() if path.is_dir() and path.name != "monitors")


def test_placement(shared, sshd):
    """All applications and their processes are in the box's one group, monitor and guard in nsbox/monitors; the box sees its
    group as "/"; who leaves is gone from it."""
    with ssh(sshd) as one, su() as two:
        box = wait_members(2)
        group = f"/nsbox/{box['id']}"
        assert one.box == two.box and groups() == [one.box]
        assert {where(pid) for pid in box["members"] + inside(box)} == {group} and len(inside(box)) >= 4
        assert where(monitor_of(box)) == where(guard_of(box)) == "/nsbox/monitors"
        assert one.ask("grep ^0: /proc/self/cgroup") == two.ask("grep ^0: /proc/self/cgroup") == "0::/\n"
        before = len((TREE / group[1:] / "cgroup.procs").read_text().split())
        two.close()
        wait_members(1)
        host.wait_until(lambda: len((TREE / group[1:] / "cgroup.procs").read_text().split()) == before - 2)
    wait_gone()
    host.wait_until(lambda: groups() == [])


def test_way_back(shared, tmp_path):
    """After close the application is in the group it came from, although the box lives on."""
    script = tmp_path / "probe"
    script.write_text("#!/bin/sh\n[ $PAM_TYPE = close_session ] || exit 0\n"
                      f"grep ^0: /proc/$PPID/cgroup >{tmp_path}/after-close\n")
    script.chmod(0o755)
    with su() as one:
        shared.pam("su", text="\n".join(["auth sufficient pam_rootok.so", "account sufficient pam_rootok.so",
                                         "session required pam_nsbox.so close", f"session required pam_exec.so {script}",
                                         "session required pam_permit.so", "session required pam_nsbox.so open", ""]))
        assert timed_su()[0] == one.box
        assert (tmp_path / "after-close").read_text() == "0::/host\n"


def test_come_and_go(shared, sshd):
    """First logins at the same moment make one box, again and again; the last one's end takes the group along."""
    for _ in range(host.count(50, 6)):
        makers = iter([su, lambda: ssh(sshd), su, su])
        with many(lambda: next(makers)(), 4) as sessions:
            assert len({session.box for session in sessions}) == 1 and groups() == [sessions[0].box]
        if _ % 2:
            wait_gone()


def test_frozen_box(shared):
    with su() as one:
        assert ctl("freeze", one.box).rc == 0
        try:
            box, _ = timed_su()
            assert box != one.box
        finally:
            assert ctl("thaw", one.box).rc == 0
        host.wait_until(lambda: len(boxes()) == 1)
        assert timed_su()[0] == one.box


@pytest.mark.parametrize("victim", ["monitor", "init", "application"])
def test_kill(shared, sshd, victim):
    with ssh(sshd) as one, su() as two:
        box = wait_members(2)
        if victim == "application":
            two.process.kill()
            assert wait_members(1)["id"] == one.box and one.ask("echo fine") == "fine\n"
            return
        os.kill(monitor_of(box) if victim == "monitor" else box["init_pid"], signal.SIGKILL)
        for session in (one, two):
            session.process.wait(5)
        host.wait_until(lambda: not inside(box) and records() == [] and groups() == [])


def test_linger(shared):
    """A box without sessions keeps its group, with PID 1 in it."""
    shared.nsbox(LIFE + "linger = yes\n")
    first, _ = timed_su()
    box = wait_members(0)
    assert where(box["init_pid"]) == f"/nsbox/{first}"
    assert timed_su()[0] == first
    os.kill(monitor_of(the_box()), signal.SIGTERM)
    wait_gone()
    host.wait_until(lambda: groups() == [])
