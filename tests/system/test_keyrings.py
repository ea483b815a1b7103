# SPDX-License-Identifier: BSD-3-Clause
"""The session keyring of a box: named after it, root's, nobody else's. keyctl(2) is not for boxes by default, hence seccomp = off."""
import contextlib
import ctypes
import os
import re
import subprocess

import pytest

from lib import ctl as boxes
from lib import host, privileges, syslog
from lib.ctl import ctl
from lib.privileges import BY_ALICE, WAYS
from lib.refusal import refused

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\nseccomp = off\n"
SHOW = "keyctl rdescribe @s"
ID = r"[a-z0-9]{10}"
SYS_ADD_KEY, SYS_KEYCTL, KEYCTL_JOIN = 248, 250, 1


@pytest.fixture
def boxed(conf, baseline):
    """Everybody is."""
    privileges.open_ways(conf)
    conf.nsbox(PROFILE)
    return conf


def keyring(text):
    """(owner, name) of the session keyring from what rdescribe printed."""
    found = re.search(r"^keyring;(\d+);\d+;[0-9a-f]+;(\S+)\s*$", text, re.M)
    assert found, text
    return int(found[1]), found[2]


def alice(*command, **options):
    return host.run(*BY_ALICE, *command, **options)


def with_session(*command, name="outer"):
    """A command with a session keyring of its own, as a login without a box has it."""
    return ["keyctl", "session", name, *command]


@pytest.mark.parametrize("way", WAYS)
def test_named_after_the_box_and_roots(way, boxed, sshd):
    """By every way in. Whoever calls, and whoever is called: root owns it, so the caller of su and sudo has no hold on it."""
    names = set()
    for user in ("alice", "root"):
        owner, name = keyring(WAYS[way](sshd, boxed, user, SHOW))
        assert owner == 0 and re.fullmatch(rf"nsbox:{ID}" + (rf":{ID}" if way == "enter" else ""), name), name
        names.add(name)
    assert len(names) == 2


def test_the_name_is_the_boxs(boxed):
    """nsbox:ID."""
    result = host.run("su", "alice", "-c", f"{SHOW}; echo $NSBOX_ID")
    assert keyring(result.out) == (0, f"nsbox:{result.out.split()[-1]}")


def test_owner_when_the_caller_is_a_user(boxed):
    """The real user of su and sudo is the caller; after the join the ids are as they were."""
    child = host.spawn(*BY_ALICE, "su", "bob", "-c", f"{SHOW}; grep -E '^[UG]id:' /proc/self/status; sleep 2")
    child.expect("Password: ")
    child.sendline("bobpw")
    child.expect(r"Gid:[^\n]*\n")
    assert keyring(child.before.replace("\r", ""))[0] == 0
    assert re.search(r"Uid:\s+2002\s+2002\s+2002\s+2002", child.before)
    assert host.status(child.pid)["Uid"].split() == ["2001", "0", "0", "0"]  # su itself
    child.wait()
    child.close(force=True)


def test_caller_cannot_get_at_the_keys(boxed):
    """alice starts a command as carol, who puts a secret into her session keyring: alice, outside, cannot see, link or read it."""
    process = subprocess.Popen([*BY_ALICE, "sudo", "-n", "-u", "carol", "sh", "-c", "id=$(keyctl add user secret text @s); "
                                "ring=$(keyctl show @s | awk '/nsbox/ {print $1}'); echo $id $ring; exec cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        key, ring = process.stdout.readline().split()
        assert int(key) > 0 and int(ring) > 0
        for words in (["link", ring, "@s"], ["link", ring, "@u"], ["rlist", ring], ["read", key], ["describe", ring],
                      ["link", key, "@u"]):
            result = alice(*with_session("keyctl", *words))
            assert result.rc != 0 and ("denied" in result.err or "not permitted" in result.err), (words, result)
    finally:
        process.communicate(timeout=10)


def test_two_boxes_of_a_user(boxed):
    """Each has its own; a key of one is not found in the other, nor outside, and goes with its box."""
    first = subprocess.Popen(["su", "alice", "-c", "keyctl add user nsbox-mine secret @s >/dev/null; keyctl search @s user "
                              "nsbox-mine; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        key = first.stdout.readline().strip().decode()
        assert int(key) > 0
        for command in ("keyctl search @s user nsbox-mine", f"keyctl print {key}"):
            result = host.run("su", "alice", "-c", command)
            assert result.rc != 0 and "secret" not in result.out, result
            assert alice("sh", "-c", command).rc != 0
    finally:
        first.communicate(timeout=10)
    host.wait_until(lambda: f"{int(key):08x}" not in host.read("/proc/keys"), what="the key is gone")


def test_logins_of_a_shared_box(boxed):
    """A box that is shared has a keyring for each login: named after both."""
    boxed.nsbox(f"{PROFILE}share = user\n")
    first = subprocess.Popen(["su", "alice", "-c", f"{SHOW}; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        _, one = keyring(first.stdout.readline())
        result = host.run("su", "alice", "-c", f"{SHOW}; echo $NSBOX_ID")
        _, two = keyring(result.out)
        box = result.out.split()[-1]
        assert one == f"nsbox:{box}" and re.fullmatch(rf"nsbox:{box}:{ID}", two), (one, two)
    finally:
        first.communicate(timeout=10)


def squat(*names):
    """A process of alice's that holds keyrings of these names, which anybody may search and join."""
    code = ("import ctypes, sys\nc = ctypes.CDLL(None)\n"
            f"for name in {names!r}:\n"
            f"    key = c.syscall({SYS_ADD_KEY}, b'keyring', name.encode(), None, 0, -4)\n"
            f"    assert key > 0 and c.syscall({SYS_KEYCTL}, 5, key, 0x3f3f3f3f) == 0\n"
            "print('ready', flush=True)\nsys.stdin.read()\n")
    process = subprocess.Popen([*BY_ALICE, "python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def test_names_made_in_advance(boxed):
    """The kernel joins a keyring that has the name already, if it may be searched. Who knows a shared box's id makes some; a
    login's own id is nobody's to know, so none of them is joined."""
    boxed.nsbox(f"{PROFILE}share = user\n")
    with boxes.running(user="alice"):
        box = boxes.box(user="alice")["id"]
        process = squat(f"nsbox:{box}", f"nsbox:{box}:", "nsbox:", "nsbox")
        try:
            # what the attack rests on: root joins such a keyring
            libc = ctypes.CDLL(None, use_errno=True)
            pid = os.fork()
            if pid == 0:
                key = libc.syscall(SYS_KEYCTL, KEYCTL_JOIN, f"nsbox:{box}".encode())
                os._exit(0 if key > 0 and f"{key & 0xffffffff:08x}" in host.read("/proc/keys") else 1)
            assert os.waitpid(pid, 0)[1] == 0
            for _ in range(3):
                owner, name = keyring(host.run("su", "alice", "-c", SHOW).out)
                assert owner == 0 and re.fullmatch(rf"nsbox:{box}:{ID}", name)
            owner, name = keyring(ctl("enter", box, "--", *SHOW.split()).out)
            assert owner == 0 and re.fullmatch(rf"nsbox:{box}:{ID}", name)
        finally:
            process.communicate(timeout=10)


@contextlib.contextmanager
def no_quota(user):
    """The user has as many keys as he may."""
    # keys that an earlier test left are collected some time later, and give room again
    code = ("import ctypes, sys, time\nc = ctypes.CDLL(None)\nn = 0\nfor _ in range(10):\n    time.sleep(0.1)\n"
            f"    while c.syscall({SYS_ADD_KEY}, b'user', b'fill%d' % n, b'x', 1, -2) > 0:\n        n += 1\n"
            "print(n, flush=True)\nsys.stdin.read()\n")
    words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
    process = subprocess.Popen([*words, *with_session("python3", "-c", code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    try:
        assert int(process.stdout.readline()) > 50
        assert host.run(*words, "keyctl", "session", "more", "true").rc != 0, "there is quota left"
        yield
    finally:
        process.communicate(timeout=10)
        host.wait_until(lambda: host.run(*words, "keyctl", "session", "more", "true").rc == 0, what="quota")


@pytest.mark.parametrize("way", ["ssh", "su", "login", "run", "sudo"])
def test_quota_used_up(way, boxed, sshd):
    """alice has no key left, and can log in; and so can whom she calls by sudo."""
    with no_quota("alice"):
        user = "carol" if way == "sudo" else "alice"
        owner, name = keyring(WAYS[way](sshd, boxed, user, SHOW))
        assert owner == 0 and name.startswith("nsbox:")


def test_callers_keyring_is_not_reachable(boxed):
    """su from a shell with keys: what its session keyring holds is neither searched nor possessed inside."""
    script = ("keyctl add user nsbox-outer secret @s >/dev/null; key=$(keyctl search @s user nsbox-outer); "
              "ring=$(keyctl show @s | awk '/outer$/ {print $1; exit}'); "
              "su alice -c \"keyctl search @s user nsbox-outer; keyctl print $key; keyctl list $ring; keyctl link $ring @s; "
              "keyctl print $key; true\"; keyctl print $key")
    result = host.run(*with_session("sh", "-c", script))
    assert result.out == "secret\n", result  # only the last, outside
    assert len(re.findall("denied|not available|not permitted", result.err)) >= 4, result


@pytest.mark.parametrize("where", ["before", "after"])
def test_pam_keyinit(where, boxed, sshd):
    """In the stack before ours: replaced by the box's. After ours: its own, new one, as it is made to do (sshd's stack has it before
    ours as well, and it makes one only). Either way none of the caller's, and closing harms nothing."""
    line = "session required pam_keyinit.so force revoke"
    options = {"first": [line]} if where == "before" else {"last": [line]}
    boxed.pam("su", "sshd", **options)
    start = syslog.mark()
    script = "keyctl add user nsbox-outer secret @s >/dev/null; su alice -c 'keyctl search @s user nsbox-outer; keyctl rdescribe @s'"
    result = host.run(*with_session("sh", "-c", script))
    name = keyring(result.out)[1]
    assert re.fullmatch(rf"nsbox:{ID}" if where == "before" else "_ses", name), result
    assert "not available" in result.err or "denied" in result.err
    name = keyring(sshd.ssh("alice", SHOW).out)[1]
    assert re.fullmatch(rf"nsbox:{ID}", name)
    assert not syslog.matching("pam_keyinit.*(rror|ailed|nable)", start)


def test_keyring_works(boxed):
    """The user puts keys into it, finds and removes them, and links his own user keyring, though root owns it."""
    result = host.run("su", "alice", "-c", "keyctl add user a text @s >/dev/null && keyctl print $(keyctl search @s user a) && "
                      "keyctl purge user a && keyctl link @u @s && keyctl list @s && keyctl newring sub @s >/dev/null && echo good")
    assert result.rc == 0 and result.out.startswith("text\n") and result.out.endswith("good\n"), result


# -- kernels and hosts that say no --


@pytest.fixture(scope="module")
def no_syscall(tmp_path_factory):
    source = os.path.join(os.environ["NSBOX_SOURCE"], "tests/hostlib/no-syscall.c")
    program = tmp_path_factory.mktemp("no-syscall") / "no-syscall"
    host.run("gcc", "-O2", "-Wall", "-Wextra", "-o", str(program), source, check=True)
    os.chmod(program, 0o755)
    return str(program)


@pytest.mark.parametrize("word", ["keyctl", "keyctl=EPERM"])
def test_kernel_without_keys(word, boxed, no_syscall):
    """ENOSYS of a kernel without them, EPERM of a container's filter: a box without keys, as its host is."""
    result = host.run(no_syscall, word, "su", "alice", "-c", "echo in; keyctl show @s")
    assert result.out.startswith("in\n") and re.search("not implemented|not permitted", result.err), result


@pytest.mark.parametrize("word", ["keyctl=EDQUOT", "keyctl=ENOMEM", "keyctl=EACCES"])
def test_other_errors_refuse(word, boxed, no_syscall):
    """Not with the caller's keyring."""
    since = syslog.mark()
    line = refused(host.run(no_syscall, word, "su", "alice", "-c", "echo in"), since, r"cannot make a session keyring: ",
                   helper_lines=None)
    assert line.endswith(f"(stage join, {word.split('=')[1]})"), line
