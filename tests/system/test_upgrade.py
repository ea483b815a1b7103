# SPDX-License-Identifier: BSD-3-Clause
"""Programs of another version are installed while boxes live: the boxes go on, and end cleanly."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct

import pytest

from lib import baseline as picture
from lib import host, syslog
from lib.ctl import BOXES, boxes, ctl

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
SHARED = f"{PROFILE}share = user\n"
PROGRAMS = ("nsbox-helper", "nsbox-init", "nsbox-monitor")
LIBEXEC = pathlib.Path("/usr/libexec/nsbox")


@pytest.fixture
def boxed(conf, baseline):
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")
    conf.nsbox(PROFILE)
    return conf


def the_entry():
    (entry,) = pathlib.Path(BOXES).iterdir()
    return entry


def make_version_2(entry):
    """What version 2 has of this box: nothing about privileges."""
    state = (entry / "state").read_text()
    assert state.startswith("nsbox 3\n")
    (entry / "state").write_text(re.sub(r"^(capabilities|confine|seccomp|subids) .*\n", "", state, flags=re.M).replace("nsbox 3\n", "nsbox 2\n"))
    for member in (entry / "members").iterdir():
        member.write_text(member.read_text().replace("nsbox 3\n", "nsbox 2\n"))
    plan = (entry / "plan").read_text()
    (entry / "plan").write_text(re.sub(r'^box +(capabilities|no_new_privs|seccomp|nested_namespaces|user_namespace|core) .*\n', "",
                                       plan, flags=re.M))


def make_version_1(entry):
    """What version 1 has of this box: the only login is in `state`, and there is nothing else."""
    make_version_2(entry)
    (member,) = (entry / "members").iterdir()
    login = dict(line.split(" ", 1) for line in member.read_text().splitlines() if " " in line)
    state = (entry / "state").read_text()
    assert state.startswith("nsbox 2\n")
    state = state.replace("nsbox 2\n", "nsbox 1\n")
    state = re.sub(r"^share .*\nterminals .*\n", f"ut_id {login['ut_id']}\n", state, flags=re.M)
    state = re.sub(r"^(monitor .*\n)", rf"\g<1>members {login['process']}\n", state, flags=re.M)
    (entry / "state").write_text(state)
    (entry / "plan").unlink()
    shutil.rmtree(entry / "members")


def end_by(what, entry, sshd, child):
    """Ends the box of this session, in one of the ways in which one ends."""
    monitor = int(re.search(r"^monitor (\d+)", (entry / "state").read_text(), re.M)[1])
    guard = host.find(argument=f"guard {entry.name}")
    for pid in {"logout": [], "app": sshd.monitors("alice"), "monitor": [monitor], "guard": guard,
                "all": [monitor, *guard]}[what]:
        with contextlib.suppress(ProcessLookupError):  # sshd of the second login, which is about to end
            os.kill(pid, signal.SIGKILL)
    if what in ("logout", "guard"):
        child.sendline("exit")
    child.wait()
    if what == "all":
        assert ctl("gc").rc == 0
    host.wait_until(lambda: not entry.exists(), what="the entry is gone")
    host.wait_until(lambda: records() == [], what="the record is closed")
    child.close(force=True)


def records():
    return [record for record in picture.utmp_records() if record[2].startswith("nsbox/")]


@pytest.mark.parametrize("end", ["logout", "app", "monitor", "guard", "all"])
def test_boxes_of_version_1(end, boxed, sshd):
    """Listed and entered as before. Whatever ends them, the record is closed, and nothing remains."""
    child = sshd.spawn("alice")
    child.expect(r"[$#] ")
    entry = the_entry()
    make_version_1(entry)
    (one,) = boxes()
    assert (one["id"], one["state"], one["members"]) == (entry.name, "ready", sshd.monitors("alice"))
    assert ctl("enter", entry.name, "--", "id", "-un").out == "alice\n"
    assert len(records()) == 1
    # the next login looks at it, and leaves it alone
    assert sshd.ssh("alice", "echo $NSBOX_ID").out.strip() not in ("", entry.name)
    end_by(end, entry, sshd, child)


@pytest.mark.parametrize("end", ["logout", "app", "monitor", "all"])
def test_boxes_of_version_2(end, boxed, sshd):
    """Likewise. What is entered is as little confined as the rest of such a box; a login of today is, in a box of its own."""
    boxed.nsbox(SHARED)
    child = sshd.spawn("alice")
    child.expect(r"[$#] ")
    entry = the_entry()
    make_version_2(entry)
    (one,) = boxes()
    assert (one["id"], one["state"]) == (entry.name, "ready")
    mine = host.status("self")
    result = ctl("enter", "--root", entry.name, "--", "cat", "/proc/self/status")
    assert f"CapBnd:\t{mine['CapBnd']}\n" in result.out and "NoNewPrivs:\t0\n" in result.out, result
    result = sshd.ssh("alice", "echo $NSBOX_ID; grep CapBnd /proc/self/status")
    assert entry.name not in result.out and mine["CapBnd"] not in result.out, result
    end_by(end, entry, sshd, child)


def test_a_box_of_a_version_to_come(boxed, sshd):
    """It is not joined, not counted and not cleaned: it is left to its own programs, and that is said."""
    boxed.nsbox(SHARED)
    with sshd.session("alice"):
        entry = the_entry()
        state = (entry / "state").read_text()
        (entry / "state").write_text(state.replace("nsbox 3\n", "nsbox 4\nnew thing\n"))
        try:
            mark = syslog.mark()
            assert sshd.ssh("alice", "echo $NSBOX_ID").out.strip() not in ("", entry.name)
            syslog.wait_for(f"the box {entry.name} is of another version of nsbox, which cannot be joined", mark)
            result = ctl("list")
            assert result.rc == 1 and f"{entry.name} cannot be read: it is of another version of nsbox" in result.err
            assert ctl("gc").rc == 0 and entry.exists()
        finally:
            (entry / "state").write_text(state)


def test_programs_replaced_under_shared_boxes(boxed, sshd):
    """The same version again, as `make install` does it: new files in the place of the old ones. Logins join, and all of
    them end, by the programs that are there then."""
    boxed.nsbox(SHARED)
    with sshd.session("alice") as one:
        entry = the_entry()
        for name in PROGRAMS:
            shutil.copy2(LIBEXEC / name, LIBEXEC / f"{name}.new")
            os.rename(LIBEXEC / f"{name}.new", LIBEXEC / name)
        assert sshd.ssh("alice", "echo $NSBOX_ID").out.strip() == entry.name
        with sshd.session("alice"):
            assert len(boxes()) == 1
        assert one.poll() is None


def test_programs_gone_under_a_box(boxed, sshd):
    """Uninstalled: the box ends with its session all the same; what is left is cleaned when they are back."""
    with sshd.session("alice") as process:
        entry = the_entry()
        os.rename(LIBEXEC / "nsbox-helper", LIBEXEC / "nsbox-helper.away")
        try:
            init = json.loads(ctl("list", "--json").out)[0]["init_pid"]
            process.stdin.close()
            process.wait(10)
            host.wait_until(lambda: not host.alive(init), what="the box has ended")
            assert entry.exists()
        finally:
            os.rename(LIBEXEC / "nsbox-helper.away", LIBEXEC / "nsbox-helper")
    assert ctl("gc").rc == 0
    assert not entry.exists()


def test_an_answer_of_another_version(boxed):
    """A module that was loaded before the helper was replaced by one of another version refuses, and says why."""
    stub = "#!/bin/sh\nexec /usr/bin/python3 /run/answer.py\n"
    # what a helper of protocol version 2 would say: the head is enough
    boxed.file("/run/answer.py", "import socket, struct\n"
               "s = socket.socket(fileno=3)\ns.recv(65536)\n"
               "s.send(struct.pack('=IHHII', 0x6e736278, 2, 2, 16, 0))\n")
    helper = LIBEXEC / "nsbox-helper"
    os.rename(helper, f"{helper}.away")
    try:
        helper.write_text(stub)
        helper.chmod(0o755)
        mark = syslog.mark()
        assert host.run("su", "alice", "-c", "id").rc != 0
        line = syslog.wait_for(r"su\[\d+\].*: nsbox \w+: login of alice refused: ", mark)
        assert "same version" in line, line
    finally:
        os.rename(f"{helper}.away", helper)


def test_a_request_of_another_version(boxed):
    """And the other way round."""
    mark = syslog.mark()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(struct.pack("=IHHII", 0x6E736278, 2, 1, 16, 0))
    theirs.set_inheritable(True)
    result = host.run("bash", "-c", f"exec {LIBEXEC}/nsbox-helper 3<&{theirs.fileno()}", pass_fds=(theirs.fileno(),))
    theirs.close()
    answer = ours.recv(65536)
    assert result.rc != 0 and b"do module and helper have the same version?" in answer, (result, answer, syslog.lines_since(mark))
