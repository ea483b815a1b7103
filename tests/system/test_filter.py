# SPDX-License-Identifier: BSD-3-Clause
"""Where the filters of system calls come from: nsbox-seccomp, and the cache in /run/nsbox/seccomp."""
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from lib import host, syslog
from lib.refusal import LIBEXEC, boxed, refused, su

PROGRAM = pathlib.Path(LIBEXEC, "nsbox-seccomp")
CACHE = pathlib.Path("/run/nsbox/seccomp")
FILTERED = "Seccomp:\t2"


@pytest.fixture
def conf(conf, core_pattern):
    conf.pam_all()
    core_pattern("core")  # so each filter has the word core
    conf.nsbox("[profile all]\nusers = *\n")
    shutil.rmtree(CACHE, ignore_errors=True)
    return conf


@pytest.fixture
def program():
    """nsbox-seccomp may be replaced: program(script)."""
    kept = PROGRAM.with_name("kept")
    os.rename(PROGRAM, kept)

    def write(script, mode=0o755):
        new = PROGRAM.with_name("new")
        # no script itself: it is started by a descriptor that is closed then
        source = 'int execl(const char *, ...); int main(void) { return execl("/bin/sh", "sh", "-c", "%s", (char *)0); }'
        host.run("gcc", "-w", "-x", "c", "-o", str(new), "-", input=source % script, check=True)
        os.chmod(new, mode)
        os.rename(new, PROGRAM)
    yield write
    PROGRAM.unlink(missing_ok=True)
    os.rename(kept, PROGRAM)


def names():
    return sorted(path.name for path in CACHE.iterdir())


def status():
    """The line about the filter in a box's /proc."""
    result = su("alice", "grep '^Seccomp:' /proc/self/status")
    assert result.rc == 0, result
    return result.out.strip()


def test_every_login_is_filtered(conf, sshd, baseline):
    """The session, and all that it starts, by ssh, su, sudo, nsboxctl run and enter; not with seccomp = off."""
    conf.sudoers("alice ALL=(ALL) NOPASSWD: ALL\n")
    ask = "grep ^Seccomp: /proc/self/status"
    ways = [lambda: sshd.ssh("alice", ask), lambda: host.run("su", "-", "alice", "-c", ask),
            lambda: host.run("sudo", "-u", "alice", "sh", "-c", ask),
            lambda: host.run("nsboxctl", "run", "--user", "alice", "--", "sh", "-c", ask)]
    assert [way().out.strip() for way in ways] == [FILTERED] * len(ways)
    with sshd.session("alice"):
        [box] = re.findall(r"^(\w{10}) ", host.run("nsboxctl", "list").out, re.M)
        for words in ((), ("--root",)):
            assert host.run("nsboxctl", "enter", *words, box, "--", "sh", "-c", ask).out.strip() == FILTERED
            result = host.run("nsboxctl", "enter", *words, box, "--", "unshare", "--user", "true")
            assert result.rc != 0 and "not permitted" in result.err
    conf.nsbox("[profile all]\nusers = *\nseccomp = off\n")
    assert {way().out.strip() for way in ways} == {"Seccomp:\t0"}


def test_joined_box(conf, baseline):
    """Each login of a shared box is filtered."""
    conf.nsbox("[profile all]\nusers = *\nshare = user\nseccomp = strict\n")
    first = subprocess.Popen(["su", "alice", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout.readline() == b"ready\n"
    result = su("alice", "grep ^Seccomp: /proc/*/status; unshare --mount true")
    assert "not permitted" in result.err
    found = re.findall(r"/proc/(\d+)/status:(Seccomp:\t\d)", result.out)
    assert len(found) > 2 and {state for pid, state in found if pid != "1"} == {FILTERED}
    first.communicate()


def test_kept_and_found(conf, baseline):
    """One file for each combination of words, root's alone; the next login takes it as it is."""
    assert status() == FILTERED
    [name] = names()
    assert name.startswith("default+core@")
    info = os.stat(CACHE / name)
    made = (info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
    assert (info.st_uid, info.st_mode & 0o7777, os.stat(CACHE).st_mode & 0o7777) == (0, 0o600, 0o700)
    assert info.st_size % 8 == 0 and info.st_size <= 32776
    content = (CACHE / name).read_bytes()
    assert content[:-8] == subprocess.run([PROGRAM, "default", "core"], capture_output=True, check=True).stdout
    assert status() == FILTERED
    info = os.stat(CACHE / name)
    assert (info.st_ino, info.st_mtime_ns, info.st_ctime_ns) == made
    conf.nsbox("[profile all]\nusers = *\nseccomp = strict\nnested_namespaces = yes\ncore = yes\n")
    assert status() == FILTERED
    assert [name.split("@")[0] for name in names()] == ["default+core", "strict+nested+core"]


def damage_truncate(path):
    os.truncate(path, 800)


def damage_flip(path):
    with open(path, "r+b") as file:
        file.seek(40)
        byte = file.read(1)
        file.seek(40)
        file.write(bytes([byte[0] ^ 1]))


def damage_allow_all(path):
    path.write_bytes(bytes.fromhex("0600 00 00 0000ff7f") * 2)


def damage_link(path):
    os.rename(path, "/run/filter")
    os.symlink("/run/filter", path)


def damage_fifo(path):
    path.unlink()
    os.mkfifo(path, 0o600)


DAMAGE = {
    "truncated": damage_truncate, "flipped": damage_flip, "allows all": damage_allow_all, "empty": lambda path: os.truncate(path, 0),
    "long": lambda path: path.write_bytes(path.read_bytes() * 20), "odd": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "owner": lambda path: os.chown(path, 2001, 0), "mode": lambda path: os.chmod(path, 0o622), "link": damage_link,
    "fifo": damage_fifo, "future": lambda path: os.utime(path, (2**32, 2**32)), "old": lambda path: os.utime(path, (1, 1)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged(conf, baseline, kind):
    """What is not exactly what was kept, or not root's alone, is made again, not used."""
    assert status() == FILTERED
    [name] = names()
    content = (CACHE / name).read_bytes()
    DAMAGE[kind](CACHE / name)
    result = su("alice", "grep '^Seccomp:' /proc/self/status; unshare --user true")
    assert result.out.strip() == FILTERED and "not permitted" in result.err
    info = os.lstat(CACHE / name)
    assert (info.st_uid, info.st_mode) == (0, 0o100600) and (CACHE / name).read_bytes() == content
    assert abs(info.st_mtime - time.time()) < 60
    pathlib.Path("/run/filter").unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["file", "owner", "mode", "link", "directory"])
def test_no_cache(conf, how):
    """Where the directory cannot be trusted or used, each login makes its own filter and the log says so."""
    assert status() == FILTERED
    [name] = names()
    if how == "file":
        shutil.rmtree(CACHE)
        CACHE.write_text("")
    elif how == "owner":
        os.chown(CACHE, 2001, 2001)
    elif how == "mode":
        os.chmod(CACHE, 0o777)
    elif how == "link":
        os.rename(CACHE, "/run/seccomp")
        os.symlink("/run/seccomp", CACHE)
    else:
        (CACHE / name).unlink()
        (CACHE / name / "x").mkdir(parents=True)
    since = syslog.mark()
    try:
        assert status() == FILTERED
        syslog.wait_for("filters of system calls are made anew for each login: .", since)
    finally:
        if CACHE.is_dir() and not CACHE.is_symlink():
            shutil.rmtree(CACHE)
        else:
            CACHE.unlink()
        shutil.rmtree("/run/seccomp", ignore_errors=True)
    assert status() == FILTERED


def test_program_replaced(conf, baseline):
    """Another nsbox-seccomp makes other files; those of the old one go, and what nobody has finished."""
    assert status() == FILTERED
    [before] = names()
    (CACHE / ".new-abc").write_text("")
    os.utime(CACHE / ".new-abc", (1, 1))
    shutil.copy(PROGRAM, PROGRAM.with_name("new"))
    os.rename(PROGRAM.with_name("new"), PROGRAM)
    assert status() == FILTERED
    [after] = names()
    assert after != before and after.startswith("default+core@")


def test_many_at_once(conf, baseline):
    """Twenty logins on an empty cache: all are filtered, one file stays."""
    logins = [subprocess.Popen(["su", "alice", "-c", "grep '^Seccomp:' /proc/self/status"], stdout=subprocess.PIPE, text=True)
              for _ in range(20)]
    assert [login.communicate(timeout=60)[0].strip() for login in logins] == [FILTERED] * 20
    assert len(names()) == 1


REFUSALS = {
    "says why": ("echo no memory >&2; exit 1", "no memory"),
    "fails": ("exit 3", "nsbox-seccomp: failed without a word"),
    "killed": ("kill -SEGV $$", "nsbox-seccomp died of signal 11"),
    "nothing": ("exit 0", "nsbox-seccomp made no filter: install nsbox again"),
    "odd": ("printf 123456789", "nsbox-seccomp made no filter"),
    "too much": ("trap '' XFSZ; dd if=/dev/zero bs=100k count=1 2>/dev/null; exit 0", "nsbox-seccomp made no filter"),
    "hangs": ("exec sleep 60", "nsbox-seccomp did not end in time: it was killed"),
    "no loader": (None, "nsbox-seccomp does not start: install libseccomp"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_program_fails(conf, program, baseline, kind):
    """The login is refused with a sentence, in time; nothing is kept; the next one with the program works."""
    script, sentence = REFUSALS[kind]
    if script is None:
        PROGRAM.write_bytes(b"\x7fELF" + b"\0" * 100)
        os.chmod(PROGRAM, 0o755)
    else:
        program(script)
    since, began = syslog.mark(), time.monotonic()
    refused(su(), since, sentence)
    assert time.monotonic() - began < 9 * host.PATIENCE
    assert not CACHE.is_dir() or not names()
    assert not host.find("sleep", "60")
    shutil.copy(PROGRAM.with_name("kept"), PROGRAM)
    boxed(su())


def test_program_is_missing(conf, program, baseline):
    """Refused before anything is made; nsboxctl check says it; seccomp = off does without."""
    since = syslog.mark()
    line = refused(su(), since, "seccomp: nsbox-seccomp is not installed .* or write seccomp = off")
    assert "stage check" in line
    result = host.run("nsboxctl", "check")
    assert result.rc == 1 and "nsbox-seccomp is not installed" in result.err
    conf.nsbox("[profile all]\nusers = *\nseccomp = off\n")
    boxed(su())
    assert host.run("nsboxctl", "check").rc == 0


def test_program_of_others(conf, program, baseline):
    """One that somebody else could have changed is not run."""
    program("exec /usr/libexec/nsbox/kept default", mode=0o777)
    since = syslog.mark()
    refused(su(), since, "nsbox-seccomp is not a program that only root can change")


def test_kernel_without_filters(conf, baseline, tmp_path):
    """A kernel (or a filter around the service) without seccomp(2): refused by name."""
    tool = tmp_path / "no-syscall"
    host.run("gcc", "-O2", "-o", str(tool), f"{os.environ['NSBOX_SOURCE']}/tests/hostlib/no-syscall.c", check=True)
    since = syslog.mark()
    refused(host.run(str(tool), "seccomp", "su", "alice", "-c", "echo in"), since,
            "seccomp: this kernel does not filter system calls .*: write seccomp = off")
    conf.nsbox("[profile all]\nusers = *\nseccomp = off\n")
    boxed(host.run(str(tool), "seccomp", "su", "alice", "-c", "echo in $NSBOX_ID"))


def test_usage():
    """By hand: words in any number are told, never guessed."""
    for words in ((), ("off",), ("default", "strict"), ("nested",), ("default", "nested", "x")):
        result = host.run(PROGRAM, *words)
        assert result.rc == 2 and result.err.startswith("usage: nsbox-seccomp default|strict"), words
    rows = [line.split("\t") for line in host.run(PROGRAM, "list", check=True).out.splitlines()]
    assert len(rows) > 30 and all(len(row) == 4 for row in rows)
