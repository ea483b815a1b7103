# SPDX-License-Identifier: BSD-3-Clause
# alone
"""Line 20: too many processes, threads, zombies, orphans, numbers of processes; and the sizes of what lies in memory."""
import json
import os
import subprocess
import threading
import time

import pytest

from attacks import STOP_TIMEOUT, as_user, su, tool
from attacks.limits import HOGS, Flood, box_of, holding, in_group, latency, limit_of, listed, login, seconds, seconds_until_gone
from lib import host

# How much slower another user's login may get, and how slow at most. What was measured is in the output of the test.
SLOWER = 40
SLOWEST = 30
PIDS_MAX = host.count(2048, 200)
HOWS = ["fork", "sessions", "threads", "zombies", "orphans", "namespaces"]
ENDLESS = ("orphans", "namespaces")  # nothing is refused


@pytest.fixture
def conf(conf):
    conf.pam_all()
    return conf


@pytest.fixture
def say(capsys):
    """Prints into the output of the run, whatever pytest does with the rest."""
    def print_now(text):
        with capsys.disabled():
            print(f"\n    {text}", end="", flush=True)
    return print_now


def flood_number(line):
    """How many there were when the first was refused; EAGAIN is the only word for it."""
    word, number, errno = line.split()
    assert (word, errno) == ("full", "EAGAIN"), line
    return int(number)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", HOWS)
def test_flood(conf, sshd, baseline, say, how):
    """Line 20. A box is filled up to its limit, which is felt as EAGAIN in it and nowhere else: another user and the same one
    log in meanwhile, `nsboxctl list` works, the host starts as many processes as it likes; and at logout all of it is gone
    within stop_timeout + 1 s."""
    most = 200 if how == "sessions" else PIDS_MAX  # SECURITY.md, *Amounts*: the more of these, the slower are all others
    conf.nsbox(f"[profile all]\nusers = *\nnested_namespaces = yes\npids_max = {most}\n")
    idle = latency(sshd, "bob", host.count(9, 3))
    with Flood(sshd, "mallory", how, "16") as flood:
        box = box_of("mallory")
        assert limit_of(box) == str(most)
        if how in ENDLESS:
            assert flood.first == "ready"
        else:
            assert flood_number(flood.first) < most
            host.wait_until(lambda: in_group(box) >= most - 2, timeout=20, what="the box is full")
        busy = latency(sshd, "bob", host.count(9, 3))
        listing = seconds(lambda: box_of("mallory"))
        assert in_group(box) <= most
        # the same user, in a box of her own; and the host
        login(sshd, "mallory")
        sleepers = [subprocess.Popen(["sleep", "1000"], **as_user("carol")) for _ in range(100)]
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
    left = seconds(lambda: host.wait_until(lambda: not set(box["members"]) & set(host.pids()), timeout=20, what="sshd has left"))
    gone = seconds_until_gone(box)
    say(f"{how} of {most}: login {idle:.2f} s idle, {busy:.2f} s under attack, ratio {busy / idle:.1f}; "
        f"nsboxctl list {listing:.2f} s; logout {left:.2f} s, then gone in {gone:.2f} s")
    assert busy / idle < SLOWER and busy < SLOWEST and listing < 10
    assert gone <= STOP_TIMEOUT + 1


@pytest.mark.parametrize("how", HOWS)
def test_floods_work(how):
    """Line 20. Outside of a box, where a limit of the tool's own stops them, the floods do what they say."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "runuser", "-u", "mallory", "--",
               tool("flood"), how, "16"]
    process = subprocess.Popen(command, env={**os.environ, "NSBOX_OUTSIDE": "1"}, stdout=subprocess.PIPE,
                               start_new_session=True)  # an autogroup of its own, so that this test goes on
    try:
        line = process.stdout.readline().decode().strip()
        states = [status for status in map(host.status, host.pids()) if status.get("Name") == "flood"]
        zombies = [status for status in states if status.get("State", "").startswith("Z")]
        if how in ENDLESS:
            assert line == "ready"
            [init] = host.children(process.pid)
            if how == "namespaces":
                host.wait_until(lambda: len({host.namespaces(pid).get("net") for pid in host.pids()} - {None}) > 1,
                                what="a network namespace of its own")
            else:
                host.wait_until(lambda: len(host.children(init)) > 1, what="orphans, which PID 1 of the namespace gets")
        else:
            assert 100 < flood_number(line) <= 300
        if how == "threads":
            assert max(int(status["Threads"]) for status in states if "Threads" in status) > 100
        elif how == "zombies":
            assert len(zombies) > 100
        elif how not in ENDLESS:
            assert len(states) > 100
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        host.wait_until(lambda: not host.find("flood"), timeout=20, what="the flood has ended")


def kernel():
    return tuple(int(word) for word in os.uname().release.split("-")[0].split(".")[:2])


@pytest.fixture
def few_numbers():
    """From Linux 6.14 on kernel.pid_max is the PID namespace's: then the throw-away host has few, and they wrap soon.
    Yields how many to take so that they wrap."""
    path = "/proc/sys/kernel/pid_max"
    if kernel() < (6, 14):
        yield min(int(host.read(path)), 65536) + 1000
        return
    before = host.read(path)
    with open(path, "w") as file:
        file.write("4000")
    yield 12000
    with open(path, "w") as file:
        file.write(before)


def newest():
    """The number that a process gets now."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_numbers_wrap(conf, sshd, baseline, say, few_numbers):
    """Line 20. A box takes numbers of processes until those of the host have begun again from below, more than once. Boxes
    that are there live on and are known by nsboxctl, others are made, those that end end alone: no number is taken for a
    process that had it before."""
    conf.nsbox("[profile all]\nusers = *\npids_max = 200\n")
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(50)]
    seen = [newest()]
    done = threading.Event()

    def watch():
        while not done.is_set():
            seen.append(newest())
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with sshd.session("bob") as session, sshd.session("carol", "sleep 1000"):
            live = {box["user"]: box for box in listed()}
            attack = sshd.popen("mallory", f"exec {tool('flood')} pids {few_numbers}", stderr=subprocess.DEVNULL)
            logins = 0
            while attack.poll() is None:
                login(sshd, "alice")
                logins += 1
            said = attack.communicate()[0].decode()
            done.set()
            watcher.join()
            wraps = sum(later < sooner for sooner, later in zip(seen, seen[1:]))
            assert said.startswith("wrapped ") and wraps >= 1, (said, wraps)
            assert logins >= 1
            # known by number: neither is one that is there missed, nor one of those that ended shown
            host.wait_until(lambda: {box["user"] for box in listed()} == {"bob", "carol"}, what="only the two are left")
            assert {box["user"]: box for box in listed()} == live
            session.stdin.write(b"still here\n")
            session.stdin.flush()
            assert session.stdout.readline() == b"still here\n"
        for box in live.values():
            assert seconds_until_gone(box) <= STOP_TIMEOUT + 1
        assert [sleeper.poll() for sleeper in sleepers] == [None] * 50
        say(f"{few_numbers} numbers taken, {wraps} times from below, {logins} logins meanwhile")
    finally:
        done.set()
        watcher.join()
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


# -- memory: what there is without a limit of it --

FILL = """
import json, os
said = {}
for place in (%r):
    try:
        space = os.statvfs(place)
        size = space.f_blocks * space.f_frsize
        fd = os.open(place + '/attack', os.O_RDWR | os.O_CREAT, 0o600)
        outcome = []
        for wanted in (4096, size + 4096):
            try:
                os.posix_fallocate(fd, 0, wanted)
                outcome.append('OK')
            except OSError as error:
                outcome.append(os.strerror(error.errno))
        os.unlink(place + '/attack')
        said[place] = [size, *outcome]
    except OSError as error:
        said[place] = [0, os.strerror(error.errno)]
print(json.dumps(said))
"""


def memory():
    return int(host.read("/proc/meminfo").split()[1]) * 1024


def test_tmpfs_sizes(conf, baseline):
    """Line 20. What lies in memory has an end, of a size that the machine can bear: a tenth of it each; a file that is too
    big is refused at once. (All of them together, and of all sessions, can be more; so can a tmpfs in a user namespace, and
    anonymous memory anyway: SECURITY.md, *Amounts*.)"""
    conf.nsbox("[profile all]\nusers = *\ntmpfs = /mnt:size=4m,mode=1777\n")
    places = ("/tmp", "/var/tmp", "/dev/shm", "/run/user/2001", "/run/lock", "/mnt")
    said = json.loads(host.run("su", "alice", "-c", 'exec python3 -c "$0"', FILL % (places,)).out)
    for place in places:
        size, small, big = said[place]
        assert small == "OK" and big == "No space left on device", (place, said)
        assert 0 < size <= memory() * 0.11, (place, said)
    assert said["/mnt"][0] == 4 << 20


def test_tmpfs_is_full(conf, baseline):
    """Line 20. One that is full is the box's own trouble: the same user logs in elsewhere, and it is empty there."""
    conf.nsbox("[profile all]\nusers = *\ntmpfs = /mnt:size=4m,mode=1777\n")
    fill = ("import os, sys; fd = os.open('/mnt/x', os.O_WRONLY | os.O_CREAT); n = 0\n"
            "try:\n    while True: n += os.write(fd, bytes(65536))\n"
            "except OSError as error: print(n, error.errno, flush=True)\nsys.stdin.read()")
    process = subprocess.Popen(["su", "alice", "-c", 'exec python3 -c "$0"', fill], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline().split() == [str(4 << 20).encode(), b"28"]
        assert su("alice", "echo x >/mnt/x && cat /mnt/x").out == "x\n"
        assert not os.path.exists("/mnt/x")
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("way", HOGS)
def test_hogs_work(conf, baseline, way):
    """Line 20. Each way to take memory does take it in a box without a limit of memory: what tests/vm relies on."""
    conf.nsbox("[profile all]\nusers = *\nnested_namespaces = yes\n")
    with holding(["su", "alice", "-c", f"exec {tool('hog')} {way} 24"]) as line:
        assert line == "got 24 OK", line
