# SPDX-License-Identifier: BSD-3-Clause
# alone
"""Line 24: what the kernel counts for a user or for all, used up in one box, while others want in."""
import collections
import contextlib
import os
import pathlib
import re

import pytest

from attacks import PLACE, STOP_TIMEOUT, su, tool
from attacks.limits import Flood, box_of, holding, seconds, seconds_until_gone
from lib import host

# Each kind of exhaust.c: how it is refused at the end; whether a second box of the same user has none left either
# (SECURITY.md, *Amounts*); the fewest that it must have taken, so that there was something to be refused.
Kind = collections.namedtuple("Kind", "errno shared fewest most", defaults=("",))
KINDS = {
    "ptys": Kind("ENOSPC", False, 1000),
    "inotify": Kind("EMFILE", True, 100),
    "watches": Kind("ENOSPC", True, 8000),
    "keys": Kind("EDQUOT", True, 20),
    "signals": Kind("EAGAIN", True, 1000),
    "files": Kind("EMFILE", False, 1000),
    "queues": Kind("EMFILE", True, 5),
    "shm": Kind("ENOSPC", False, 4000),
    "pipes": Kind("ENOBUFS", True, 900),
    "ports": Kind("EADDRINUSE", False, 60000),
    "mounts": Kind("ENOSPC", False, 10),
    # at most max_user_namespaces: a minute of work
    "users": Kind("ENOSPC", True, 50000) if host.full() else Kind("OK", False, 2000, "2000"),
}
SLOWEST = 20  # seconds, a login meanwhile


@pytest.fixture
def conf(conf):
    """Without a filter, which keeps keys and user namespaces from being taken at all: test_kinds_that_are_refused."""
    conf.pam_all()
    conf.nsbox("[profile all]\nusers = *\nseccomp = off\n")
    return conf


def taken(line):
    """(how many, errno) that exhaust tells."""
    assert re.fullmatch(r"\d+ \w+", line), line
    number, errno = line.split()
    return int(number), errno


def one_more(sshd, user, kind):
    """A login with a terminal in which one of the kind is asked for: what exhaust says. The login itself must be let in."""
    command = f"tty >/dev/null && cat /proc/1/comm && {tool('exhaust')} {kind} 1 </dev/null"
    result = sshd.ssh(user, command, tty=True, timeout=60)
    words = result.out.split()
    assert result.rc == 0 and words[0] == "nsbox-init", result
    return " ".join(words[1:])


@contextlib.contextmanager
def all_taken(sshd, user, kind):
    """A session in which all of the kind are taken."""
    row = KINDS[kind]
    with holding(sshd.command(user, f"exec {tool('exhaust')} {kind} {row.most}")) as line:
        number, errno = taken(line)
        assert errno == row.errno and number >= row.fewest, (kind, line)
        yield


@pytest.mark.parametrize("kind", ["keys", "users", "mounts"])
def test_kinds_that_are_refused(conf, baseline, kind):
    """Line 24. By default the filter of system calls lets nobody take the first of them."""
    conf.nsbox("[profile all]\nusers = *\n")
    with holding(["su", "mallory", "-c", f"exec {tool('exhaust')} {kind} 10"]) as line:
        assert taken(line) == (0, "EPERM"), line


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", KINDS)
def test_used_up(conf, sshd, baseline, kind):
    """Line 24. One user takes all there is of it in a box: another user logs in on a terminal and has it, root on the host has
    it; the same user logs in as well, and has it or has it not as SECURITY.md says. The end gives all back."""
    with all_taken(sshd, "mallory", kind):
        box = box_of("mallory")
        assert seconds(lambda: one_more(sshd, "bob", kind)) < SLOWEST
        assert one_more(sshd, "bob", kind) == "1 OK"
        assert host.run(tool("exhaust"), kind, "1").out == "1 OK\n"
        again = one_more(sshd, "mallory", kind)
        assert again == (f"0 {KINDS[kind].errno}" if KINDS[kind].shared else "1 OK")
        assert su("bob", "id -un").out == "bob\n" and su("mallory", "id -un").out == "mallory\n"
    assert seconds_until_gone(box) <= STOP_TIMEOUT + 1
    host.wait_until(lambda: one_more(sshd, "mallory", kind) == "1 OK", what=f"{kind} are there again")


def test_all_used_up_at_once(conf, sshd, baseline):
    """Line 24. Everything that is counted for a user, all at once: the others still log in, by ssh, su, sudo, and so does the
    same user."""
    conf.sudoers("ALL ALL=(ALL) NOPASSWD: ALL\n")
    with contextlib.ExitStack() as stack:
        for kind in ("inotify", "watches", "keys", "signals", "queues", "pipes"):
            row = KINDS[kind]
            line = stack.enter_context(holding(sshd.command("mallory", f"exec {tool('exhaust')} {kind}")))
            # watches need inotify instances, of which there are none by then
            assert taken(line)[1] == row.errno or kind == "watches", (kind, line)
        for user in ("alice", "bob", "root", "mallory"):
            assert one_more(sshd, user, "files") == "1 OK"
            assert su(user, "cat /proc/1/comm").out == "nsbox-init\n"
            assert host.run("sudo", "-n", "-u", user, "cat", "/proc/1/comm").out == "nsbox-init\n"


def test_processes_of_a_user(conf, sshd, baseline):
    """Line 24. RLIMIT_NPROC, where pam_limits sets it, is counted over all boxes of a user: full in one, the same user cannot
    start a shell in another (SECURITY.md); others can. pids_max is each box's own and has no such effect."""
    conf.file("/etc/security/limits.d/nsbox-test.conf", "mallory hard nproc 40\n")
    with Flood(sshd, "mallory", "zombies") as flood:
        assert re.fullmatch(r"full [1-3]?\d EAGAIN", flood.first), flood.first
        assert sshd.ssh("mallory", "echo in").out == ""
        assert sshd.ssh("bob", "echo in").out == "in\n"
    conf.remove("/etc/security/limits.d/nsbox-test.conf")
    conf.nsbox("[profile all]\nusers = *\npids_max = 40\n")
    with Flood(sshd, "mallory", "zombies") as flood:
        assert re.fullmatch(r"full [1-3]?\d EAGAIN", flood.first), flood.first
        assert sshd.ssh("mallory", "echo in").out == "in\n"


def test_pending_limit_of_pam(conf, sshd, baseline):
    """Line 24. With limits of zero for a user (pam_limits) the box is made all the same: nothing of the builder's is counted
    for the user."""
    conf.file("/etc/security/limits.d/nsbox-test.conf",
              "mallory hard sigpending 0\nmallory hard msgqueue 0\nmallory hard memlock 0\nmallory hard core 0\n")
    assert sshd.ssh("mallory", "cat /proc/1/comm").out == "nsbox-init\n"
    assert su("mallory", "cat /proc/1/comm").out == "nsbox-init\n"


# -- ports: whose they are --


PROXY = """
import os, select, socket, sys
server = socket.create_connection(("127.0.0.1", int(sys.argv[2])), source_address=("127.0.0.1", int(sys.argv[1])))
while True:
    for ready in select.select([0, server], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else server.recv(65536)
        if not data:
            sys.exit()
        server.sendall(data) if ready == 0 else os.write(1, data)
"""


def login_from_low_port(sshd, user, port):
    """As a client from another machine would come, which needs no port of this one's."""
    os.makedirs(PLACE, exist_ok=True)
    proxy = pathlib.Path(PLACE, "proxy.py")
    proxy.write_text(PROXY)
    result = sshd.ssh(user, "cat /proc/1/comm", opts=("-o", f"ProxyCommand=python3 {proxy} {port} {sshd.port}"))
    assert result.out == "nsbox-init\n", result


@pytest.fixture
def fresh_ports():
    """Clients take ports that none has used in the last minute: those in TIME_WAIT are free for connect(2) only."""
    path = "/proc/sys/net/ipv4/ip_local_port_range"
    before = host.read(path)
    with open(path, "w") as file:
        file.write("61000 65000")
    yield
    with open(path, "w") as file:
        file.write(before)


def test_ports_of_the_host(conf, sshd, baseline, fresh_ports):
    """Line 24. With network = host a user takes all ports of the host, as without a box: no program of the host can connect
    any more (SECURITY.md). Who comes from outside logs in. With network = loopback (above) they are the box's own."""
    conf.nsbox("[profile all]\nusers = *\nnetwork = host\n")
    login_from_low_port(sshd, "bob", 1021)
    # su, because the way back to an ssh client is one that is to be closed
    with holding(["su", "mallory", "-c", f"exec {tool('exhaust')} ports"]) as line:
        assert taken(line)[1] == "EADDRINUSE" and taken(line)[0] > 60000
        result = sshd.ssh("bob", "true")
        assert result.rc == 255 and "Cannot assign requested address" in result.err, result
        login_from_low_port(sshd, "bob", 1020)
        assert su("bob", "cat /proc/1/comm").out == "nsbox-init\n"
    host.wait_until(lambda: sshd.ssh("bob", "true").rc == 0, timeout=20, what="ports are there again")


# -- terminals: one box, the others, all --


def test_terminals_of_one_connection(conf, sshd, baseline):
    """Line 24. All terminals of a box taken: a further channel of the same connection, which is in the same box, gets none and
    goes on without one; a connection of its own has its own."""
    with sshd.master("mallory") as opts, \
            holding(sshd.command("mallory", f"exec {tool('exhaust')} ptys", opts=opts)) as line:
        assert taken(line) >= (1000, "ENOSPC")
        result = sshd.ssh("mallory", "tty", opts=opts, tty=True)
        assert "not a tty" in result.out + result.err, result
        assert sshd.ssh("mallory", "cat /proc/1/comm", opts=opts).out == "nsbox-init\n"
        assert "/dev/pts/0" in sshd.ssh("mallory", "tty", tty=True).out

