# SPDX-License-Identifier: BSD-3-Clause
"""Attacks on boxes that sessions share, by who is in one already and by chance."""
import contextlib
import fcntl
import os
import pathlib
import re
import signal
import time

import pytest

from lib import host, refusal, syslog
from lib.ctl import BOXES, boxes, ctl

PROFILE = "[profile all]\nusers = alice bob twin\nnetwork = loopback\nshare = user\n"
CACHE = pathlib.Path("/tmp/krb5cc_2001")


@pytest.fixture
def shared(conf, baseline):
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")
    conf.nsbox(PROFILE)
    return conf


@pytest.fixture
def tickets(shared):
    """Logins by sshd bring a Kerberos cache."""
    CACHE.write_bytes(b"\5\4ticket")
    os.chown(CACHE, 2001, 2001)
    shared.file("/etc/tickets", f"KRB5CCNAME=FILE:{CACHE}\n")
    shared.pam("sshd", before_open=["session required pam_env.so envfile=/etc/tickets"])
    yield
    CACHE.unlink()


def the_box():
    (found,) = boxes()
    return found


def monitor_of(box):
    return int(re.search(r"^monitor (\d+)", pathlib.Path(BOXES, box["id"], "state").read_text(), re.M)[1])


def members_of(box):
    return sorted(os.listdir(f"{BOXES}/{box['id']}/members"))


def test_each_login_brings_its_tickets(tickets, sshd):
    with sshd.session("alice"):
        CACHE.write_bytes(b"\5\4new")
        assert sshd.ssh("alice", f"cat {CACHE}").out == "\5\4new"


@pytest.mark.parametrize("trap", [f"mkdir {CACHE}", f"ln -s /etc/hostname {CACHE}", f"mkfifo {CACHE}",
                                  "cat /dev/zero >/tmp/full 2>/dev/null"],
                         ids=["directory", "link", "fifo", "full"])
def test_trap_for_tickets(tickets, sshd, trap):
    """What stands in the way of the cache in /tmp of the box keeps nobody out."""
    with sshd.session("alice", f"sh -c 'rm -f {CACHE}; {trap}; cat'"):
        time.sleep(1)
        before = pathlib.Path("/etc/hostname").read_bytes()
        began = time.monotonic()
        result = sshd.ssh("alice", "echo in $NSBOX_ID")
        assert result.out == f"in {the_box()['id']}\n", (result, syslog.lines_since(0)[-5:])
        assert time.monotonic() - began < 3 * host.PATIENCE
        assert pathlib.Path("/etc/hostname").read_bytes() == before


def test_last_leaves_as_another_comes(shared, sshd):
    """The monitor learns of both at once: the box stays, and the one that has left is off its list."""
    with sshd.session("alice"):
        box = the_box()
        first = members_of(box)
        monitor = monitor_of(box)
        os.kill(monitor, signal.SIGSTOP)
        late = None
    # left, not heard
    late = sshd.popen("alice", "echo ready; exec cat")
    try:
        host.wait_until(lambda: " 00010000 " in "".join(
            line for line in host.read("/proc/net/unix").splitlines(True) if box["id"] in line) and
            host.find("nsbox-helper"), what="the helper has connected")
        time.sleep(0.5)
        os.kill(monitor, signal.SIGCONT)
        assert late.stdout.readline() == b"ready\n"
        assert the_box()["id"] == box["id"]
        host.wait_until(lambda: len(members_of(box)) == 1, what="one member")
        assert members_of(box) != first
    finally:
        late.stdin.close()
        late.wait(10)
        late.stdout.close()
        late.stderr.close()


def test_same_uid(shared, sshd):
    """Another name with the number of the first (the account was removed and the number given away)."""
    shared.file("/etc/passwd", pathlib.Path("/etc/passwd").read_text() + "twin:x:2001:2001::/home/alice:/bin/sh\n")
    with sshd.session("alice"):
        first = the_box()
        assert first["id"] not in host.run("su", "twin", "-c", "echo in $NSBOX_ID").out
        assert host.run("su", "alice", "-c", "echo in $NSBOX_ID").out == f"in {first['id']}\n"


def test_unboxed_beside_a_box(shared, sshd):
    """on_error = allow: a login that cannot join is listed by itself, as one that cannot be boxed is."""
    shared.nsbox(PROFILE + "on_error = allow\n")
    with sshd.session("alice"):
        directory = f"{BOXES}/{the_box()['id']}/members"
        host.run("mount", "--bind", directory, directory, check=True)
        try:
            host.run("mount", "-o", "remount,bind,ro", directory, check=True)
            with sshd.session("alice"):
                assert sorted(one["state"] for one in boxes()) == ["ready", "unboxed"]
        finally:
            host.run("umount", directory, check=True)


def test_old_box_is_no_way_out(shared, sshd):
    """on_change = refuse is no failure: a session kept from before the change does not let the next ones run unboxed,
    whatever on_error says."""
    shared.nsbox(PROFILE + "on_error = allow\non_change = refuse\n")
    with sshd.session("alice"):
        shared.nsbox(PROFILE + "on_error = allow\non_change = refuse\npids_max = 100\n")
        assert host.run("su", "alice", "-c", "echo in").out == ""
        assert sshd.ssh("alice", "echo in").out == ""
    host.wait_until(lambda: boxes() == [], what="the old box has ended")
    assert host.run("su", "alice", "-c", "echo in").out == "in\n"


def test_utmp_locked_while_many_end(shared, sshd):
    """Who keeps utmp locked holds the end of a box up for as long as that of one login."""
    before = pathlib.Path("/run/utmp").read_bytes()
    with contextlib.ExitStack() as stack:
        with open("/run/utmp", "rb") as utmp:
            for _ in range(6):
                stack.enter_context(sshd.session("alice"))
            fcntl.lockf(utmp, fcntl.LOCK_SH)
            os.kill(monitor_of(the_box()), signal.SIGTERM)
            began = time.monotonic()
            host.wait_until(lambda: boxes() == [], timeout=15, what="the box is gone")
            took = time.monotonic() - began
    pathlib.Path("/run/utmp").write_bytes(before)  # what could not be closed
    assert took < 12  # six logins, each waited for, were 18


def test_linger_alone_locks_nobody_in(shared):
    """A line that no login fits is a fault of the file: check says so, and root is let in to mend it."""
    shared.nsbox("[defaults]\nlinger = yes\n[profile all]\nusers = *\nnetwork = loopback\n")
    found = ctl("check")
    assert found.rc == 1 and "nsbox.conf:3: profile all: logins are refused: linger: " in found.err, found
    mark = syslog.mark()
    assert host.run("su", "root", "-c", "echo in").out == "in\n"
    assert syslog.matching("root is let in WITHOUT a box: linger: ", mark)
    assert host.run("su", "alice", "-c", "echo in").out == ""


def test_utmp_locked_under_what_crashes_left(shared, sshd):
    """A login cleans after boxes whose programs were all killed, but not as long as somebody who locks utmp likes: twelve
    records, of which each would be waited for, kept it from its deadline."""
    shared.nsbox("[profile all]\nusers = *\nnetwork = loopback\n")
    before = pathlib.Path("/run/utmp").read_bytes()
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(sshd.session("alice"))
        for name in ("nsbox-guard", "nsbox-monitor"):
            for pid in host.find(name):
                os.kill(pid, signal.SIGKILL)
    host.wait_until(lambda: not host.find("nsbox-init"), what="the boxes are dead")
    assert len(list(pathlib.Path("/run/nsbox/boxes").iterdir())) >= 11
    with open("/run/utmp", "rb") as utmp:
        fcntl.lockf(utmp, fcntl.LOCK_SH)
        began = time.monotonic()
        assert host.run("su", "alice", "-c", "echo in").out == "in\n"
        assert time.monotonic() - began < 5 * host.PATIENCE
    pathlib.Path("/run/utmp").write_bytes(before)  # what could not be closed
    assert ctl("gc").rc == 0
