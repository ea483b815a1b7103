# SPDX-License-Identifier: BSD-3-Clause
# host: --cgroup=v2
"""One cgroup2 tree. Where the machine keeps its pids controller in a version 1 tree there is no limit to be had here;
that processes are put in the right groups is seen all the same."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lib import host, syslog
from lib.refusal import BOXED, SUDOERS, boxed, refused, refused_by_sudo, su, sudo

TREE = pathlib.Path("/sys/fs/cgroup")
UNLIMITED = f"{BOXED}pids_max = infinity\nstop_timeout = 1s\n"


@pytest.fixture(autouse=True)
def _stacks(conf):
    conf.pam_all()
    conf.sudoers(SUDOERS)


def has_pids():
    return "pids" in (TREE / "cgroup.controllers").read_text().split()


def programs(pattern):
    return [pid for pid in host.pids() if re.match(pattern, host.cmdline(pid)) and host.alive(pid)]


def where(pid):
    return host.cgroup(pid, "")


@pytest.fixture
def session(conf):
    """su that holds a box: (process, box id)."""
    conf.nsbox(UNLIMITED)
    process = subprocess.Popen(["su", "alice", "-c", "echo $NSBOX_ID; exec cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    yield process, process.stdout.readline().decode().strip()
    process.communicate(timeout=10)


def test_limit(conf, baseline):
    """pids_max (default 2048): set, or refused by the controller's name; never a box without the limit that was asked
    for."""
    conf.nsbox(BOXED + "pids_max = 20\n")
    since = syslog.mark()
    result = su(command="echo in $NSBOX_ID; for i in $(seq 30); do sleep 1 & done")
    if has_pids():
        assert "Resource temporarily unavailable" in result.err
        return
    line = refused(result, since, r"pids_max: the pids controller is missing in /sys/fs/cgroup")
    assert "(stage check, ENOTSUP)" in line or "(stage check, EOPNOTSUPP)" in line
    since = syslog.mark()
    refused_by_sudo(sudo(), since, "pids controller is missing")


def test_systemd_without_its_service(conf, baseline):
    """A host that was booted with systemd gives groups by nsbox.service only; the other manager can be asked for."""
    conf.nsbox(UNLIMITED)
    os.makedirs("/run/systemd/system")
    try:
        words = "the host was booted with systemd, but nsbox.service does not run: systemctl enable --now nsbox.service"
        result = host.run("nsboxctl", "check")
        assert result.rc == 1 and words in result.err
        since = syslog.mark()
        refused(su(), since, words)
        conf.nsbox(UNLIMITED + "cgroup_manager = cgroupfs\n")
        assert host.run("nsboxctl", "check").rc == 0
        assert su().rc == 0
    finally:
        os.removedirs("/run/systemd/system")
    conf.nsbox(UNLIMITED + "cgroup_manager = systemd\n")
    since = syslog.mark()
    refused(su(), since, "cgroup_manager = systemd: this host was not booted with systemd: write auto or cgroupfs")


def test_account_refuses_early(conf, sshd, baseline):
    """ssh is told in the account phase, by a banner."""
    conf.nsbox(BOXED)
    since = syslog.mark()
    result = sshd.ssh("alice", "echo in $NSBOX_ID", opts=("-o", "LogLevel=INFO"))
    if has_pids():
        boxed(result)
    else:
        assert result.rc == 255
        refused(result, since, "pids controller is missing")


def test_placement(baseline, session):
    """PID 1, the application and the user's processes are in the box's group, monitor and guard in nsbox/monitors; the
    box sees its group as "/"."""
    process, box = session
    group = f"/nsbox/{box}"
    (init,) = [pid for pid in host.pids() if host.inner_pids(pid)[1:] == [1]]
    (monitor,) = programs(r"nsbox-monitor (?!guard)")
    (guard,) = programs(r"nsbox-monitor guard")
    assert where(init) == where(process.pid) == group
    assert {where(pid) for pid in host.children(process.pid)} == {group}
    assert where(monitor) == where(guard) == "/nsbox/monitors"
    assert su(user="bob", command="cat /proc/self/cgroup | grep ^0:").out == "0::/\n"
    assert where("self") == "/host"


def stack_with_probe(directory):
    """A stack of su that writes down where the application is after our close."""
    script = directory / "probe"
    script.write_text("#!/bin/sh\n[ $PAM_TYPE = close_session ] || exit 0\n"
                      f"grep ^0: /proc/$PPID/cgroup >{directory}/after-close\n")
    script.chmod(0o755)
    return "\n".join(["auth sufficient pam_rootok.so", "account sufficient pam_rootok.so",
                      "session required pam_nsbox.so close", f"session required pam_exec.so {script}",
                      "session required pam_permit.so", "session required pam_nsbox.so open", ""])


def test_way_back(conf, baseline, tmp_path):
    """After close the application is in the group that it came from, and the box's group is gone."""
    conf.nsbox(UNLIMITED)
    conf.pam("su", text=stack_with_probe(tmp_path))
    boxed(su())
    assert (tmp_path / "after-close").read_text() == "0::/host\n"
    host.wait_until(lambda: [path.name for path in (TREE / "nsbox").iterdir() if path.is_dir()] == ["monitors"])


@pytest.mark.parametrize("victims", [("app",), ("monitor",), ("init",), ("app", "monitor"), ("app", "init")],
                         ids="+".join)
def test_kill(victims, baseline, session):
    """The end by force works on this tree as well (test_crash.py has all the cases)."""
    process, _ = session
    pids = {"app": process.pid, "monitor": programs(r"nsbox-monitor (?!guard)")[0],
            "init": [pid for pid in host.pids() if host.inner_pids(pid)[1:] == [1]][0]}
    for name in victims:
        os.kill(pids[name], signal.SIGKILL)


def test_many(conf, baseline):
    """Boxes beside and after each other."""
    conf.nsbox(UNLIMITED)
    sessions = [subprocess.Popen(["su", user, "-c", "echo $NSBOX_ID; exec cat"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE) for user in ("alice", "bob", "carol") * host.count(10, 3)]
    ids = {session.stdout.readline().decode().strip() for session in sessions}
    groups = {path.name for path in (TREE / "nsbox").iterdir() if path.is_dir()}
    assert groups == ids | {"monitors"} and len(ids) == len(sessions)
    for session in sessions:
        session.communicate(timeout=10)
