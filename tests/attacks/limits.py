# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the limits share: boxes and their groups, floods, how long a login takes meanwhile, memory hogs."""
import contextlib
import json
import os
import re
import subprocess
import threading
import time

from lib import host

from . import PLACE, STOP_TIMEOUT, tool

# Ways to take memory, of tests/attacks/hog.c.
HOGS = ("anonymous", "memfd", "shm", "tmpfs", "nested", "pipes", "inodes", "relay")


def listed():
    """What `nsboxctl list --json` says."""
    return json.loads(host.run("nsboxctl", "list", "--json", check=True).out)


def box_of(user):
    """The one box of the user."""
    [box] = [box for box in listed() if box["user"] == user]
    return box


def in_group(box):
    """The number of processes and threads that the kernel counts for the box."""
    return int(host.read(f"{box['cgroup']}/pids.current", "0"))


def limit_of(box):
    return host.read(f"{box['cgroup']}/pids.max").strip()


def trees():
    """{1: where the version 1 tree with the pids controller is mounted, 2: where the version 2 tree is}; what is there."""
    found = {}
    for line in host.read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        if kind == "cgroup2":
            found.setdefault(2, fields[4])
        elif kind == "cgroup" and "pids" in options:
            found.setdefault(1, fields[4])
    return found


def seconds(what):
    """How long it takes to do."""
    began = time.monotonic()
    what()
    return time.monotonic() - began


def login(sshd, user):
    """One login with a terminal, as people do it; must be let in."""
    result = sshd.ssh(user, "cat /proc/1/comm", tty=True, timeout=100)
    assert result.rc == 0 and result.out.strip() == "nsbox-init", result


def latency(sshd, user, number):
    """The median of so many logins, in seconds."""
    return host.median([seconds(lambda: login(sshd, user)) for _ in range(number)])


class Flood:
    """A session of USER over ssh that runs `flood HOW` in a block. first: its first line."""

    def __init__(self, sshd, user, how, *words):
        self.process = sshd.popen(user, f"exec {tool('flood')} {how} {' '.join(words)}", stderr=subprocess.DEVNULL)
        self.first = ""

    def __enter__(self):
        self.first = self.process.stdout.readline().decode().strip()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def seconds_until_gone(box):
    """How long it takes from here until nothing of the box is left: no process, no group, no entry."""
    def gone():
        return not os.path.exists(box["cgroup"]) and not host.alive(box["init_pid"]) and \
            not os.path.exists(f"/run/nsbox/boxes/{box['id']}")
    return seconds(lambda: host.wait_until(gone, timeout=10 * (STOP_TIMEOUT + 1), what="the box is gone"))


@contextlib.contextmanager
def holding(command):
    """A session of exhaust or hog, from its first line (which is yielded) to the end of its standard input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def memory_hog(box, elsewhere, limit, ways=HOGS, seconds_each=60):
    """For a host whose boxes have memory_max = `limit` mebibytes (and swap_max = 0): each way to take memory, in a box.

    box(command) and elsewhere(command) run a shell command in a session of their own and return something with rc and out;
    `box` is the attacker's, who must have /opt/attacks/hog; `elsewhere` is another user's login, a new one each time.
    Asserts that no way gets more than the limit, and that `elsewhere` gets in meanwhile and is not killed. Returns
    {way: (what the attacker said, seconds of the slowest login elsewhere)}.
    """
    outcome = {}
    for way in ways:
        said = []
        command = f"timeout {seconds_each} {PLACE}/hog {way} {8 * limit} </dev/null"
        attack = threading.Thread(target=lambda: said.append(box(command)))
        attack.start()
        slowest = 0.0
        while attack.is_alive() or not slowest:
            began = time.monotonic()
            result = elsewhere("echo in")
            slowest = max(slowest, time.monotonic() - began)
            assert result.rc == 0 and "in" in result.out.split(), (way, result)
        attack.join()
        got = re.search(r"got (\d+) (\w+)", said[0].out)
        assert not got or (int(got[1]) <= limit and got[2] != "OK"), (way, said[0])  # killed, or refused in time
        assert got or said[0].rc != 0, (way, said[0])
        outcome[way] = (said[0].out.strip() or f"status {said[0].rc}", slowest)
    return outcome


def all_terminals(hold, elsewhere, boxes=4):
    """For a machine of one's own, because kernel.pty.max is the whole machine's: one user takes the terminals of so many
    boxes, 1024 each. SECURITY.md: then there are none for other boxes.

    hold(command) is a context manager that runs a command in a session of its own and yields its first line;
    elsewhere(command) runs a command on a terminal, as another user: what it says. Asserts that the terminals are used up,
    and that logins without one go on.
    """
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(hold(f"exec {PLACE}/exhaust ptys")) for _ in range(boxes)]
        assert sum(int(line.split()[0]) for line in lines) >= 3000 and lines[-1].split()[1] != "OK", lines
        result = elsewhere("tty; cat /proc/1/comm")
        assert "nsbox-init" in result.out and "not a tty" in result.out, result
