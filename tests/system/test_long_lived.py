# SPDX-License-Identifier: BSD-3-Clause
"""Boxes that live for long: what the host replaces meanwhile arrives in them."""
import os
import pathlib
import re
import shutil
import signal
import time

import pytest

from lib import baseline as picture
from lib import host, syslog

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
LOOK = 10  # s between two looks of the monitor
WTMP = "/var/log/wtmp"
RECORD = 384  # bytes of a record


@pytest.fixture
def boxed(conf):
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")  # the machine's, whatever it does
    conf.nsbox(PROFILE)
    return conf


class Shell:
    """A session that runs commands, one after the other."""

    def __init__(self, process):
        self.process = process

    def __call__(self, command):
        self.process.stdin.write(f"{command}; echo; echo done-$?\n".encode())
        self.process.stdin.flush()
        lines = []
        while not (line := self.process.stdout.readline().decode()).startswith("done-"):
            assert line, "the session has ended"
            lines.append(line)
        return "".join(lines).strip()


def replace(path, text):
    """As programs do it that are careful: a new file in the place of the old one."""
    pathlib.Path(f"{path}.new").write_text(text)
    os.rename(f"{path}.new", path)


def mounts(shell):
    """How many mounts the box has."""
    return int(shell("wc -l < /proc/self/mountinfo"))


def test_what_is_masked_stays_masked(boxed, sshd, baseline):
    """The host replaces a masked file and a masked directory, and removes and makes them: a mount on them goes with that, and
    is made again, without being piled up."""
    file, directory = pathlib.Path("/srv/secret file"), pathlib.Path("/srv/secrets")
    look = "cat '/srv/secret file'; ls /srv/secrets"
    try:
        file.write_text("old\n")
        directory.mkdir()
        (directory / "old").write_text("")
        boxed.nsbox(f"{PROFILE}mask = \"{file}\" {directory} /srv/nothing\n")
        with sshd.session("alice", "sh") as session:
            shell = Shell(session)
            assert shell(look) == ""
            before = mounts(shell)
            for number in range(2):
                replace(file, f"new {number}\n")
                directory.rename("/srv/secrets.old")
                directory.mkdir()
                (directory / "new").write_text("")
                shutil.rmtree("/srv/secrets.old")
                host.wait_until(lambda: shell(look) == "", timeout=2, what="masked again")
                file.unlink()
                time.sleep(0.2)
                file.write_text("made\n")
                host.wait_until(lambda: shell(look) == "", timeout=LOOK + 2, what="masked again")
            assert mounts(shell) == before
            assert file.read_text() == "made\n" and os.listdir(directory) == ["new"]
    finally:
        file.unlink()
        shutil.rmtree(directory)


def test_what_the_host_replaces_arrives(boxed, sshd, baseline):
    """nscd starts again, resolvconf writes its file anew, passwd is changed, wtmp is rotated: a session that
    was there before sees what is there now, with no more mounts than before."""
    directory, nscd = pathlib.Path("/run/resolver"), pathlib.Path("/run/nscd")
    directory.mkdir()
    nscd.mkdir(exist_ok=True)
    (nscd / "socket").write_text("old")
    (directory / "stub.conf").write_text("nameserver 192.0.2.1\n")
    boxed.remove("/etc/resolv.conf")
    os.symlink("../run/resolver/stub.conf", "/etc/resolv.conf")
    passwd = pathlib.Path("/etc/passwd").read_text()
    boxed.file("/etc/passwd", passwd)
    try:
        with sshd.session("alice", "sh") as process:
            shell = Shell(process)
            assert shell("cat /etc/resolv.conf /run/nscd/socket") == "nameserver 192.0.2.1\nold"
            before, records = mounts(shell), shell(f"stat -c %s {WTMP}")
            replace(directory / "stub.conf", "nameserver 192.0.2.2\n")
            shutil.rmtree(nscd)
            nscd.mkdir()
            (nscd / "socket").write_text("new")
            replace("/etc/passwd", f"{passwd}zoe:x:2077:2077::/home/zoe:/bin/sh\n")
            os.rename(WTMP, f"{WTMP}.1")
            pathlib.Path(WTMP).write_bytes(bytes(RECORD))
            assert "2077" in shell("getent passwd zoe")  # /etc is the host's directory: at once
            host.wait_until(lambda: shell("cat /etc/resolv.conf /run/nscd/socket") == "nameserver 192.0.2.2\nnew",
                            timeout=LOOK + 5, what="the box has the new files")
            # a file of the box's own, as before: what its sshd writes there is not for the host. The mount on the old
            # file has gone along with it, and goes when that is removed or written over.
            assert shell(f"stat -c %s {WTMP}") == records != str(RECORD)
            assert mounts(shell) == before + 1
            os.unlink(f"{WTMP}.1")
            assert mounts(shell) == before
            # read-only, as before
            assert shell("echo x > /run/nscd/socket 2>&1 || echo refused").endswith("refused")
        # the record of the host is closed in the new file
        host.wait_until(lambda: os.path.getsize(WTMP) > RECORD, what="the record is closed")
        assert [record for record in picture.utmp_records() if record[2].startswith("nsbox/")] == []
    finally:
        shutil.rmtree(directory)
        shutil.rmtree(nscd)
        pathlib.Path(f"{WTMP}.1").unlink(missing_ok=True)


def test_syslogd_starts_again(boxed, sshd):
    """What a session says after that is heard; the module and sshd speak by the same socket at logout."""
    with sshd.session("alice", "sh") as process:
        shell = Shell(process)
        syslog.restart()

        def heard():
            mark = syslog.mark()
            shell("logger -p auth.info said-in-the-box")
            return syslog.matching("said-in-the-box", mark)

        host.wait_until(heard, timeout=LOOK + 5, interval=0.5, what="the box's /dev/log is the new one")


def test_what_is_new_arrives(boxed, sshd, baseline):
    """A service that was not there at login, and one that goes."""
    nscd = pathlib.Path("/run/nslcd")
    with sshd.session("alice", "sh") as process:
        shell = Shell(process)
        assert shell("ls /run/nslcd 2>&1 >/dev/null").startswith("ls: ")
        nscd.mkdir()
        try:
            (nscd / "socket").write_text("here")
            host.wait_until(lambda: shell("cat /run/nslcd/socket 2>/dev/null") == "here", timeout=LOOK + 5, what="it is there")
        finally:
            shutil.rmtree(nscd)
        assert process.poll() is None


def test_nothing_of_it_in_another_tree(boxed, sshd, baseline):
    """A box that ends while its monitor wants something bound again, and a renewal by hand of a box that is none."""
    assert host.run("/usr/libexec/nsbox/nsbox-helper", "renew", "aaaaaaaaaa").rc == 0
    assert host.run("/usr/libexec/nsbox/nsbox-helper", "renew", "../../x").rc == 2
    with sshd.session("alice") as process:
        (entry,) = pathlib.Path("/run/nsbox/boxes").iterdir()
        monitor = int(re.search(r"^monitor (\d+)", (entry / "state").read_text(), re.M)[1])
        before = host.read(f"/proc/{monitor}/mountinfo")
        for _ in range(20):
            assert host.run("/usr/libexec/nsbox/nsbox-helper", "renew", entry.name).rc == 0
        assert host.read(f"/proc/{monitor}/mountinfo") == before
        os.kill(monitor, signal.SIGTERM)
        assert host.run("/usr/libexec/nsbox/nsbox-helper", "renew", entry.name).rc == 0
        process.wait(10)


@pytest.mark.parametrize("wish", ["mask = /run/nscd", "bind = /srv/other:/run/nscd", "mask = /run/nscd/private"])
def test_what_the_profile_puts_there_stays(wish, boxed, sshd, baseline):
    """A profile that hides a service, or puts another in its place, does so as long as the box lives."""
    nscd, other = pathlib.Path("/run/nscd"), pathlib.Path("/srv/other")
    boxed.nsbox(PROFILE + wish + "\n")
    for directory in (nscd, other):
        directory.mkdir(exist_ok=True)
    (nscd / "private").mkdir()
    (nscd / "private/socket").write_text("old")
    try:
        with sshd.session("alice", "sh") as process:
            shell = Shell(process)
            (entry,) = pathlib.Path("/run/nsbox/boxes").iterdir()
            assert "socket" not in shell("ls -R /run/nscd")
            shutil.rmtree(nscd)
            (nscd / "private").mkdir(parents=True)
            (nscd / "private/socket").write_text("new")
            assert host.run("/usr/libexec/nsbox/nsbox-helper", "renew", entry.name).rc == 0
            time.sleep(1)
            assert "socket" not in shell("ls -R /run/nscd")
    finally:
        shutil.rmtree(nscd)
        shutil.rmtree(other)
