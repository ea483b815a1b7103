# SPDX-License-Identifier: BSD-3-Clause
"""The directory that keeps what is written: what lies in it, who has it, many logins at once; the loop devices of images."""
import fcntl
import os
import pathlib
import random
import re
import stat
import struct
import subprocess
import sys
import time

import pexpect
import pytest

from attacks import start, stop, su, tool
from attacks.roots import (IMAGE, IMAGE_KINDS, KEPT, KEPT_KINDS, REFUSED, TRAP, TREE, every, give, harmless, login, loops, untouched)
from lib import host, syslog

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

MINE = KEPT / "alice"  # of her boxes
ELOOP = "symbolic links|Symbolic link loop"  # by which C library the helper has
STOP = "stop_timeout = 1s"


@pytest.fixture(params=KEPT_KINDS)
def kind(request, conf):
    with every(request.param, conf) as made:
        yield made


one_kept = pytest.mark.parametrize("kind", ["directory+kept"], indirect=True)
images = pytest.mark.parametrize("kind", IMAGE_KINDS, indirect=True)


def refused(pattern, user="alice", **options):
    begin = syslog.mark()
    result = login(user, **options)
    assert not harmless(result)
    line = syslog.wait_for(rf"login of {user} refused: ", begin)
    assert re.search(pattern, line), line


def make_upper():
    for name in ("upper", "work"):
        os.makedirs(MINE / name)
    MINE.chmod(0o700)


# -- what lies in it: lines 4, 5 and 7 --


def test_links_wait_in_the_directory(kind, baseline):
    """Line 5. Links at the names of the helper's own files: refused, nothing happens where they lead."""
    for name, target, pattern in (("upper", f"{TRAP}/dir", "upper is not a directory of root's"), ("work", f"{TRAP}/dir", "work is not"),
                                  ("lock", f"{TRAP}/file", ELOOP), ("lock", f"{TRAP}/none", ELOOP)):
        make_upper()
        if name != "lock":
            (MINE / name).rmdir()
        os.symlink(target, MINE / name)
        with untouched(KEPT):
            refused(pattern)
        host.run("rm", "-r", str(MINE), check=True)


def test_fifos_wait_in_the_directory(kind, baseline):
    """Line 4. FIFOs there: the login ends at once."""
    for name in ("upper", "work", "lock"):
        make_upper()
        if name != "lock":
            (MINE / name).rmdir()
        os.mkfifo(MINE / name)
        refused("lock is no plain file" if name == "lock" else f"{name} is not a directory")
        host.run("rm", "-r", str(MINE), check=True)
    os.mkfifo(MINE)
    refused("Not a directory")
    os.unlink(MINE)


def test_links_wait_in_work(kind, baseline):
    """Line 5. What overlayfs finds in its own directory leads it nowhere."""
    make_upper()
    os.symlink(TRAP / "dir", MINE / "work/work")
    os.symlink("/etc", MINE / "work/index")
    with untouched("/etc"):
        harmless(login())


def test_links_wait_in_upper(kind, baseline):
    """Line 5. Links that a user made in an earlier box, where the tree let him, are followed by no later one."""
    os.makedirs(TREE / "common")
    give(TREE / "common")
    os.makedirs(TREE / "srv")
    kind.use()
    for profile in ("bind = /srv/trap:/common/x", "tmpfs = /common/x", "mask = /common/x", "bind = /srv/trap:/common/x/y"):
        kind.use()
        assert harmless(login(script=f"rm -f /common/x; ln -s {TRAP}/dir /common/x; readlink /common/x"))
        kind.use(profile)
        with untouched():
            assert not harmless(login()), profile
    kind.use()
    assert login(script="readlink /common/x").out.split()[1] == f"{TRAP}/dir"


def test_trojan_in_upper(kind, baseline):
    """Line 7. What was kept makes no place from which root loads code somebody else's: refused, and told where."""
    for make in (lambda: give(plant("etc/ld.so.preload")), lambda: plant("etc/nsswitch.conf").chmod(0o666),
                 lambda: give(plant("usr/lib/locale/x").parent), lambda: plant("usr/lib/x86_64-linux-gnu/gconv/x").parent.chmod(0o777),
                 lambda: (MINE / "upper").chmod(0o777), lambda: give(plant("etc/x").parent)):
        make_upper()
        make()
        with untouched():
            refused("with /srv/kept/alice/upper upon it: .*can be changed by others than root|root of /.* can be changed")
        host.run("rm", "-r", str(MINE), check=True)
    assert harmless(login())


def plant(name):
    path = MINE / "upper" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("/home/alice/trojan.so\n")
    return path


@pytest.mark.parametrize("name", ["etc/passwd", "etc/nsswitch.conf", "etc/login.defs", "etc/environment", "etc/group"])
def test_fifo_in_upper(kind, baseline, name):
    """Line 4. A FIFO that root left in a box where root's programs read: the next login is refused and does not hang."""
    make_upper()
    plant(name).unlink()
    os.mkfifo(MINE / "upper" / name)
    refused(f"/{name} is a FIFO or a socket, on which logins would hang")


def test_mount_points_gone_from_upper(kind, baseline):
    """Line 5. Mount points that root removed in a box, or made links of, refuse the next login; the host stays as it is."""
    assert harmless(login(script="true"))
    for name in ("proc", "run", "mnt"):
        kind.use("tmpfs = /mnt")
        os.mknod(MINE / "upper" / name, stat.S_IFCHR | 0o600, os.makedev(0, 0))
        with untouched():
            assert not harmless(login()), name
        os.unlink(MINE / "upper" / name)
        os.symlink(TRAP / "dir", MINE / "upper" / name)
        with untouched():
            harmless(login())
        os.unlink(MINE / "upper" / name)


@one_kept
def test_flags_of_its_file_system_hold(kind, baseline):
    """Line 14. nosuid and noexec of the file system below hold in the overlay."""
    host.run("mount", "-o", "remount,nosuid,noexec", str(KEPT), check=True)
    result = su("alice", "grep ' / / ' /proc/self/mountinfo")
    assert result.rc != 0  # noexec: the shell itself does not start
    host.run("mount", "-o", "remount,nosuid,exec", str(KEPT), check=True)
    result = login(script="grep ' / / ' /proc/self/mountinfo")
    assert harmless(result) and {"nosuid", "nodev"} <= set(result.out.split()[6].split(",")), result
    host.run("mount", "-o", "remount,suid", str(KEPT), check=True)


# -- who has it --


@one_kept
def test_a_second_session_is_never_unboxed(kind, baseline):
    """on_error = allow lets in nobody without a box only because the user has one already."""
    kind.use("on_error = allow", STOP)
    first = start("su", "alice", "-c", "echo ready; exec cat")
    result = su("alice", "readlink /proc/self/ns/mnt")
    assert not harmless(result), result
    stop(first)


@one_kept
def test_sentence_for_a_box_that_cannot_be_shared(kind, baseline):
    """With share = user a box for other terminals keeps the directory: the sentence does not advise what is done already."""
    kind.use("share = user", STOP)
    first = start("su", "alice", "-c", "echo ready; exec cat")
    begin = syslog.mark()
    child = host.spawn("su", "alice", "-c", "echo in")
    child.expect_exact(REFUSED)
    child.expect_exact(pexpect.EOF)
    child.close()
    line = syslog.wait_for("login of alice refused", begin)
    assert "which this session cannot share" in line and "write share = user" not in line, line
    stop(first)


@one_kept
def test_one_that_another_login_took_is_not_undone(kind, baseline):
    """Two first logins at once: the one that made the directory but not the lock leaves the other's alone."""
    kind.use("stop_timeout = 0s")
    # the login is slow to go on whenever it has made a directory
    slow = subprocess.Popen(["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=mkdirat", "-e", "inject=mkdirat:delay_exit=200000",
                             "su", "alice", "-c", "readlink /proc/self/ns/mnt"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    host.wait_until(MINE.exists, interval=0.001, what="the directory is made")
    with open(MINE / "lock", "wb") as lock:
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        (MINE / "upper").mkdir()
        out, errors = slow.communicate(timeout=20)
        assert not harmless(host.Result(slow.returncode, out, errors))
        assert os.fstat(lock.fileno()).st_nlink == 1 and (MINE / "upper").exists()
    assert harmless(login())


FILLER = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
told = False
while True:
    try:
        os.write(fd, bytes(4096))
    except OSError:
        if not told:
            print("ready", flush=True)
        told = True
"""


@one_kept
def test_full_disk_keeps_nobody_out(kind, baseline):
    """No new block is needed for the next login, however full the file system is."""
    os.makedirs(TREE / "common")
    give(TREE / "common")
    kind.use()
    assert harmless(login(script="dd if=/dev/zero of=/common/big bs=65536 2>/dev/null; touch /common/x"))
    # takes each block at once that a login gives back
    filler = start(sys.executable, "-S", "-c", FILLER, str(KEPT / "filler"))
    try:
        for _ in range(host.count(100, 10)):
            assert harmless(login())
    finally:
        stop(filler)


@one_kept
def test_lock_of_a_killed_monitor(kind, baseline):
    """kill -9 of the monitor: its box ends, and the next login gets in without waiting long."""
    kind.use(STOP)
    for _ in range(host.count(20, 5)):
        session = start("su", "alice", "-c", "echo ready; exec cat")
        [monitor] = [pid for pid in host.pids() if re.match("nsbox-monitor (?!guard|hold)", host.cmdline(pid)) and host.alive(pid)]
        os.kill(monitor, 9)
        began = time.monotonic()
        assert harmless(su("alice", "readlink /proc/self/ns/mnt")) and time.monotonic() - began < 3 * host.PATIENCE
        stop(session)


@one_kept
def test_box_that_ends_slowly(kind, baseline):
    """Processes that ignore the end keep the directory as long as they live: the next login waits for them."""
    kind.use(STOP)
    result = su("alice", "trap '' HUP TERM; (while :; do sleep 1; done) >/dev/null 2>&1 & echo left")
    assert result.out == "left\n", result
    assert harmless(su("alice", "readlink /proc/self/ns/mnt"))


# -- many at once --


def logins(number, script="echo ready; exec cat", users=("alice", "bob", "carol")):
    return [subprocess.Popen(["su", users[i % len(users)], "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True) for i in range(number)]


def end_all(processes):
    for process in processes:
        process.stdin.close()
    for process in processes:
        process.wait(60 * host.PATIENCE)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("kind", ["squashfs", "erofs", "erofs+memory"], indirect=True)
def test_many_logins_on_one_image(kind, baseline):
    """Forty logins at once share one loop device, while others come and go; none is left, no login fails for it."""
    busy = logins(host.count(40, 8), script="echo ready; sleep 0.1")
    many = logins(host.count(200, 40))
    words = [process.stdout.readline() for process in (*busy, *many)]
    assert words == [b"ready\n"] * len(words), [process.stderr.read() for process in many if process.poll() is not None]
    assert list(loops().values()) == [str(IMAGE)]
    end_all(busy)
    assert list(loops().values()) == [str(IMAGE)]
    end_all(many)
    host.wait_until(lambda: loops() == {}, what="the loop device is freed")


@images
def test_connect_and_drop(kind, baseline):
    """Logins that are killed at any moment, while the device comes and goes with each: nothing is left, the next gets in."""
    kind.use(STOP)
    numbers = random.Random(3)
    for _ in range(host.count(200, 25)):
        [process] = logins(1, script="echo ready", users=("alice",))
        time.sleep(numbers.uniform(0, 0.06))
        process.kill()
        end_all([process])
    host.wait_until(lambda: loops() == {}, timeout=8, what="the loop devices are freed")
    assert harmless(su("alice", "readlink /proc/self/ns/mnt"))


@images
def test_device_that_goes_while_it_is_found(kind, baseline):
    """Login after login from four sides, so that the last user of the device often leaves while the next looks for it."""
    sides = [subprocess.Popen(["sh", "-c", f"i=0; while [ $i -lt {host.count(100, 12)} ]; do su {user} -c 'echo in' || exit 1; "
                                           "i=$((i + 1)); done"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
             for user in ("bob", "carol", "mallory") if not kind.name.endswith("kept")]
    if kind.name.endswith("kept"):
        sides = [subprocess.Popen(["sh", "-c", "for i in 1 2 3 4 5 6; do su bob -c 'echo in' || exit 1; done"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)]
    for side in sides:
        out, errors = side.communicate(timeout=100)
        assert side.returncode == 0 and set(out.split()) == {"in"}, errors
    host.wait_until(lambda: loops() == {}, what="the loop device is freed")


@images
def test_image_exchanged_all_the_time(kind, baseline):
    """rename(2) of one good image over another while logins run: each gets a whole one."""
    (TREE / "etc/which").write_text("one\n")
    kind.use()
    other = IMAGE.with_name("image-two")
    os.link(IMAGE, other.with_name("image-one"))
    (TREE / "etc/which").write_text("two\n")
    kind.use()
    os.rename(IMAGE, other)
    os.rename(other.with_name("image-one"), IMAGE)
    racer = start(tool("exchange"), str(IMAGE), str(other))
    seen = set()
    try:
        for _ in range(host.count(100, 15)):
            result = su("alice", "readlink /proc/self/ns/mnt; cat /etc/which")
            assert harmless(result), result
            seen.add(result.out.split()[1])
            assert len(loops()) <= 3  # this box's, and one that goes, and by its other name
    finally:
        stop(racer)
    assert seen == {"one", "two"}
    host.wait_until(lambda: loops() == {}, what="the loop devices are freed")
    assert pathlib.Path(IMAGE).exists()
