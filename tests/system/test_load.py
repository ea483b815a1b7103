# SPDX-License-Identifier: BSD-3-Clause
"""Many logins at once, and a user who fills a box while others want in."""
import collections
import concurrent.futures
import os
import re
import subprocess

import pytest

from attacks.limits import Flood, in_group, latency, limit_of, listed
from lib import host, syslog

AT_ONCE = 8
USERS = ("alice", "bob", "carol", "mallory")
SCRIPT = ("echo $NSBOX_ID $(readlink /proc/self/ns/pid /proc/self/ns/mnt /proc/self/ns/net) "
          "$(id -un) $(cat /proc/1/comm)")

Login = collections.namedtuple("Login", "id pid mnt net user init")


@pytest.fixture
def boxed(conf):
    """Everybody who comes by ssh is boxed."""
    start = syslog.mark()
    conf.pam("sshd")
    conf.nsbox("[profile all]\nusers = *\nnetwork = loopback\n")
    yield conf
    syslog.wait_for(r"pam_nsbox\(sshd:\w+\): nsbox \w+: (session|login) of ", start)  # else nothing was tested


def log_in(sshd, number):
    """(user that logged in, what the session said)"""
    user = USERS[number % len(USERS)]
    result = sshd.ssh(user, SCRIPT, timeout=60)
    assert result.rc == 0 and result.err == "", (user, result)
    return user, Login(*result.out.split())


def together(number):
    """Threads for so many logins at once; fewer on an emulated processor, because the module's deadline is not stretched."""
    return concurrent.futures.ThreadPoolExecutor(max(1, int(number / host.PATIENCE)))


def log_in_often(sshd, number):
    with together(AT_ONCE) as pool:
        return list(pool.map(lambda i: log_in(sshd, i), range(number)))


def ids_in_log(pattern, start):
    return {re.search(pattern, line)[1] for line in syslog.matching(pattern, start)}


def test_many_logins_at_once(boxed, sshd, baseline):
    """200 logins of four users, eight at a time: each has a box of its own, is logged with it, and leaves nothing."""
    start = syslog.mark()
    number = host.count(200, 40)
    logins = log_in_often(sshd, number)
    assert len(logins) == number
    ids = {login.id for _, login in logins}
    assert len(ids) == number and all(re.fullmatch("[a-z0-9]{10}", ident) for ident in ids)
    here = host.namespaces()
    for user, login in logins:
        assert (login.user, login.init) == (user, "nsbox-init")
        for kind in ("pid", "mnt", "net"):
            assert getattr(login, kind) != f"{kind}:[{here[kind]}]"
    host.wait_until(lambda: not host.find("nsbox-init"), what="all boxes have ended")
    assert ids_in_log(r"nsbox (\w+): session of .* opened", start) == ids
    host.wait_until(lambda: ids_in_log(r"nsbox-helper\[\d+\] box (\w+) of .* ended", start) == ids,
                    what="the end of each box is logged")
    assert not syslog.matching(r"^authpriv\.(warning|err|crit|alert|emerg) ", start)


def test_many_live_boxes(boxed, sshd, baseline):
    """Boxes that live at the same time share no namespace and no group, and all end together."""
    number = host.count(40, 16)
    sessions = []

    def open_one(i):
        session = sshd.popen(USERS[i % len(USERS)], SCRIPT + "; cat")
        sessions.append(session)
        return Login(*session.stdout.readline().decode().split())

    try:
        with together(number) as pool:
            logins = list(pool.map(open_one, range(number)))
        inits = host.find("nsbox-init")
        assert len(inits) == number
        for kind in ("id", "pid", "mnt", "net"):
            assert len({getattr(login, kind) for login in logins}) == number, kind
        for kind in ("uts", "ipc", "cgroup"):
            assert len({host.namespaces(pid)[kind] for pid in inits} | {host.namespaces()[kind]}) == number + 1, kind
        assert len({host.cgroup(pid) for pid in inits}) == number
        assert set(os.listdir("/run/nsbox/boxes")) == {login.id for login in logins}
    finally:
        for session in sessions:
            session.stdin.close()
        for session in sessions:
            session.wait(20 * host.PATIENCE)
            session.stdout.close()
            session.stderr.close()
    host.wait_until(lambda: not host.find("nsbox-init"), what="all boxes have ended")


@pytest.mark.timeout(900)
def test_three_hundred_boxes(boxed, sshd, baseline, capsys):
    """300 boxes at once: each with a group of its own that has its limit, all known to nsboxctl, and one more login takes not
    much longer than the first. A fork bomb in one of them fills that one alone. All are gone afterwards."""
    number = host.count(300, 40)
    boxed.nsbox("[profile all]\nusers = *\npids_max = 60\n")
    first = latency(sshd, "bob", 5)
    sessions = []

    def open_one(i):
        session = sshd.popen(USERS[i % len(USERS)], "echo ready; exec cat")
        sessions.append(session)
        return session.stdout.readline()

    try:
        with together(AT_ONCE) as pool:
            assert list(pool.map(open_one, range(number))) == [b"ready\n"] * number
        boxes = listed()
        assert len(boxes) == len({box["cgroup"] for box in boxes}) == len({box["init_pid"] for box in boxes}) == number
        assert collections.Counter(box["user"] for box in boxes) == collections.Counter(
            USERS[i % len(USERS)] for i in range(number))
        assert {limit_of(box) for box in boxes} == {"60"} and all(1 < in_group(box) < 20 for box in boxes)
        last = latency(sshd, "bob", 5)
        with Flood(sshd, "mallory", "fork") as bomb:
            assert bomb.first.startswith("full ") and bomb.first.endswith(" EAGAIN")
            attacked = latency(sshd, "bob", 3)
            assert {box["id"] for box in boxes} < {box["id"] for box in listed()}
            assert all(in_group(box) < 20 for box in boxes)
        with capsys.disabled():
            print(f"\n    {number} boxes: login {first:.2f} s before, {last:.2f} s with them, {attacked:.2f} s and a fork bomb",
                  end="", flush=True)
        assert last < 5 * first and attacked < 20 * first
    finally:
        for session in sessions:
            session.stdin.close()
        for session in sessions:
            session.wait(60 * host.PATIENCE)
            session.stdout.close()
            session.stderr.close()
    host.wait_until(lambda: listed() == [], timeout=30, what="all boxes have ended")


def test_clients_that_vanish_at_once(boxed, sshd, baseline):
    """Eight clients at a time that are killed at any moment of the login leave nothing behind."""
    for round_number in range(host.count(25, 5)):
        clients = [sshd.popen(USERS[i % len(USERS)], "sleep 1000") for i in range(AT_ONCE)]
        for position, client in enumerate(clients):
            # from the key exchange to the running command: the moments of the kill are spread over the login
            try:
                client.wait((0.02 * position + 0.005 * round_number) * host.PATIENCE)
            except subprocess.TimeoutExpired:
                pass
            client.kill()
        for client in clients:
            client.wait()
            for stream in (client.stdin, client.stdout, client.stderr):
                stream.close()
    host.wait_until(lambda: not host.find("nsbox-init") and not sshd.monitors(), timeout=10, what="all are gone")
